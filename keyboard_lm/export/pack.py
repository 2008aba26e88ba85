"""What an app in another language needs of the package's data files: layouts and the rules of a text field, as JSON."""

from __future__ import annotations

import json

from keyboard_lm.keyboard.language import load_language
from keyboard_lm.touch.layout import layout_names, load_layout

PACK_FILE = "pack.json"
PACK_FORMAT = 1


def pack_json(language: str = "en") -> str:
    """Return `pack.json` as text: ASCII, keys in order, so that the same data are the same bytes.

    Args:
        language: whose rules go in.

    Raises:
        ConfigError: no such language.
    """
    rules = load_language(language).editor
    layouts = {
        name: {
            "rows": [{"keys": row.keys, "left": row.left} for row in layout.rows],
            "space": {"left": layout.space_left, "width": layout.space_width},
        }
        for name, layout in ((name, load_layout(name)) for name in layout_names())
    }
    values = {
        "format": PACK_FORMAT,
        "language": language,
        "editor": {
            "capital_words": sorted(rules.capital_words),
            "full_stop": rules.full_stop,
            "sentence_capitals": rules.sentence_capitals,
        },
        "layouts": layouts,
    }
    return json.dumps(values, indent=1, sort_keys=True) + "\n"
