"""What a language says of its text fields is checked when it is read."""

from __future__ import annotations

from typing import Any

import pytest

from keyboard_lm.errors import ConfigError
from keyboard_lm.keyboard.editor import EditorOptions
from keyboard_lm.keyboard.language import load_language, parse_rules


def test_rules_are_read_as_written() -> None:
    rules = parse_rules({"capital_words": ["i", "i'm"], "full_stop": "\u0964", "sentence_capitals": False})
    assert rules == EditorOptions(frozenset({"i", "i'm"}), "\u0964", False)
    assert parse_rules({}).capital_words == frozenset()
    assert "i'm" in load_language().editor.capital_words


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"capital_words": "im"}, "capital_words must be a list of strings, not 'im'"),
        ({"capital_words": [3]}, "capital_words must be a list of strings"),
        ({"capital_words": ["I"]}, "capital_words must be words in small letters, not 'I'"),
        ({"capital_words": ["i am"]}, "small letters, not 'i am'"),
        ({"full_stop": 3}, "full_stop must be a string, not 3"),
        ({"full_stop": ". "}, "full_stop must be a mark without spaces"),
        ({"full_stop": "x"}, "full_stop must be a mark"),
        ({"sentence_capitals": 1}, "sentence_capitals must be true or false"),
        ({"capitals": True}, "unknown key capitals"),
        ({"full_stop": 3, "x": 1}, "full_stop must be a string, not 3; unknown key x"),
    ],
)
def test_rules_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=r"language\.toml: ") as caught:
        parse_rules(values)
    assert message in str(caught.value)
