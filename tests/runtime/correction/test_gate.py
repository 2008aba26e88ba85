"""The gate's file, and slips that the trie does not look for."""

from __future__ import annotations

import tomllib

import pytest

from keyboard_lm.correction.gate import FEATURES, Gate, load_gate, parse_gate, to_toml
from keyboard_lm.correction.slips import keys_above_space, letters_below_digits, pairs_of, without_digit
from keyboard_lm.errors import ConfigError
from keyboard_lm.touch.layout import load_layout

WEIGHTS = tuple(round(0.5 - 0.1 * place, 4) for place in range(len(FEATURES)))


def test_what_is_written_is_read_again() -> None:
    columns = {"in_context": WEIGHTS, "alone": WEIGHTS[::-1]}
    text = to_toml(columns, "# made by a test\n")
    assert text.startswith("# made by a test\n\n[in_context]\nconstant = 0.5000\n")
    assert parse_gate(tomllib.loads(text)) == Gate(**columns)
    assert load_gate("no such language") is None
    with pytest.raises(ValueError, match="shorter"):
        to_toml({"in_context": WEIGHTS[:-1]}, "")


@pytest.mark.parametrize("kept", [FEATURES[:-1], (*FEATURES, "another")])
def test_a_gate_has_a_number_for_each_feature(kept: tuple[str, ...]) -> None:
    whole = dict.fromkeys(FEATURES, 0.0)
    with pytest.raises(ConfigError, match="in_context needs a number for each"):
        parse_gate({"in_context": dict.fromkeys(kept, 0.0), "alone": whole})
    with pytest.raises(ConfigError, match="alone needs a number for each"):
        parse_gate({"in_context": whole, "alone": {**whole, "ratio": "high"}})
    with pytest.raises(ConfigError, match="unknown section more"):
        parse_gate({"in_context": whole, "alone": whole, "more": {}})
    with pytest.raises(ConfigError, match="alone needs"):
        Gate(WEIGHTS, WEIGHTS[1:])


def test_a_letter_stands_for_one_digit_inside_a_word_and_for_no_other_sign() -> None:
    below = letters_below_digits(load_layout())
    assert (below["1"], below["9"], below["0"]) == ("qw", "iop", "op")
    assert sorted(without_digit("hell9", below)) == ["helli", "hello", "hellp"]
    for word in ("hel", "he9", "9ello", "he9l9o", "he'lo", "he_lo", "hello", ""):
        assert list(without_digit(word, below)) == []


def test_every_place_between_letters_may_have_been_a_space_and_a_key_above_it_one_instead() -> None:
    above = keys_above_space(load_layout())
    assert above == set("xcvbn")
    assert list(pairs_of("abn", above)) == [
        ("a", "bn", False), ("a", "n", True), ("ab", "n", False),
    ]  # fmt: skip
    assert list(pairs_of("a'b", above)) == [("a'", "b", False)]
    assert list(pairs_of("a", above)) == []
