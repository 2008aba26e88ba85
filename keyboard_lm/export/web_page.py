"""The page that is a phone: what is built from `web/`, and the layouts that its keys come from."""

from __future__ import annotations

import dataclasses
import json
from importlib import resources

from keyboard_lm.touch.layout import layout_names, load_layout

LAYOUTS_FILE = "layouts.json"


def page_files() -> dict[str, bytes]:
    """Return every file of the page by name; `index.html` is the page itself."""
    folder = resources.files("keyboard_lm").joinpath("web")
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    return files | {LAYOUTS_FILE: json.dumps(_layouts()).encode()}


def _layouts() -> dict[str, dict[str, object]]:
    layouts = (load_layout(name) for name in layout_names())
    return {
        layout.name: {
            "rows": [dataclasses.asdict(row) for row in layout.rows],
            "space": {"left": layout.space_left, "width": layout.space_width},
        }
        for layout in layouts
    }
