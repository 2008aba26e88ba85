"""The page that is a phone, as it is built from `web/`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def page_folder() -> Path:
    """Return the folder of the page; `index.html` is the page itself, which talks to a service or runs a model."""
    return Path(str(resources.files("keyboard_lm").joinpath("web")))


def page_files() -> dict[str, bytes]:
    """Return every file of the page by name."""
    return {file.name: file.read_bytes() for file in page_folder().iterdir() if file.is_file()}
