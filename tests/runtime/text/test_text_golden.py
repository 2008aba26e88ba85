"""Text-form results that any other implementation, such as the Swift one, has to reproduce."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from keyboard_lm.text.form import TextForm

_GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "text_form.json").read_text(encoding="utf-8"))


def test_encode_and_decode_match_the_golden_file() -> None:
    form = TextForm(_GOLDEN["proper_nouns"])
    for case in _GOLDEN["encode"]:
        assert form.encode(case["text"]) == case["form"], case
        assert form.decode(case["form"]) == case["restored"], case


def test_split_typed_matches_the_golden_file() -> None:
    form = TextForm(_GOLDEN["proper_nouns"])
    for case in _GOLDEN["split_typed"]:
        typed = asdict(form.split_typed(case["text"]))
        typed["messages"] = [list(message) for message in typed["messages"]]
        assert {"text": case["text"], **typed} == case
