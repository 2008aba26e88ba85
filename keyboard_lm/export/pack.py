"""What an app in another language needs of the package's data and cannot read: TOML as JSON, the lexicon as arrays.

`pack.json` holds layouts, the rules of a text field and of words, the channel, the gate, and what a call of the network
costs on each device; `lexicon.bin` lies beside it (`keyboard_lm.export.lexicon_bin`). `emoji.tsv`, `proper_nouns.txt`
and the tokenizer are read as they are.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from keyboard_lm.device.budget import device_names, load_device
from keyboard_lm.export.lexicon_bin import LEXICON_BIN_FILE, lexicon_bin
from keyboard_lm.keyboard.language import Language, load_language
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.touch.layout import layout_names, load_layout

PACK_FILE = "pack.json"
PACK_FORMAT = 2


def write_pack(folder: Path, config: ModelConfig, language: str = "en") -> None:
    """Write `pack.json` and `lexicon.bin` into an existing folder.

    Args:
        folder: where.
        config: of the network that goes with them.
        language: whose words and rules go in.

    Raises:
        ConfigError: no such language.
    """
    (folder / PACK_FILE).write_text(pack_json(config, language), encoding="utf-8")
    (folder / LEXICON_BIN_FILE).write_bytes(lexicon_bin(load_language(language).lexicon))


def pack_json(config: ModelConfig, language: str = "en") -> str:
    """Return `pack.json` as text: ASCII, keys in order, so that the same data are the same bytes.

    Args:
        config: of the network that goes with it, for what its calls cost.
        language: whose rules go in.

    Raises:
        ConfigError: no such language.
    """
    of_language = load_language(language)
    layouts = {
        name: {
            "rows": [{"keys": row.keys, "left": row.left} for row in layout.rows],
            "space": {"left": layout.space_left, "width": layout.space_width},
        }
        for name, layout in ((name, load_layout(name)) for name in layout_names())
    }
    values = {
        "format": PACK_FORMAT, "language": language, **_rules(of_language), "layouts": layouts,
        "devices": {name: dataclasses.asdict(load_device(name).cost(config)) for name in device_names()},
    }  # fmt: skip
    return json.dumps(values, indent=1, sort_keys=True) + "\n"


def _rules(language: Language) -> dict[str, Any]:
    editor, channel, gate = language.editor, language.channel, language.gate
    return {
        "editor": {
            "capital_words": sorted(editor.capital_words),
            "full_stop": editor.full_stop,
            "sentence_capitals": editor.sentence_capitals,
        },
        "forms": [dataclasses.asdict(rule) for rule in language.forms],
        "units": sorted(language.units),
        "taps": dataclasses.asdict(channel.taps),
        "rates": dataclasses.asdict(channel.rates),
        # A line each, as the language's own file has them: a thousand small objects are slow to read.
        "spelling": "\n".join(
            f"{'^' * rule.at_start}{rule.meant}\t{rule.typed}\t{rule.log_probability!r}" for rule in channel.spelling
        ),
        "gate": None if gate is None else dataclasses.asdict(gate),
    }
