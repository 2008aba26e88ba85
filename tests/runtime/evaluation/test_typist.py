"""What a typist makes of a text."""

from __future__ import annotations

import dataclasses
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyboard_lm.errors import ConfigError
from keyboard_lm.evaluation.misspellings import Misspellings, load_misspellings, parse_rules
from keyboard_lm.evaluation.noise import LEVELS, RATES, ErrorKind, NoiseModel, TapSpread, load_noise, parse_noise
from keyboard_lm.evaluation.typist import TypedUnit, Typist, load_typist
from keyboard_lm.evaluation.words import words_of
from keyboard_lm.touch.layout import load_layout

LAYOUT = load_layout()
TEXT = (
    "The quick brown fox doesn't receive Alice's letters, I think. It's definitely in the garden behind 12 Elm Street!"
)
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from([*"abcdeIJ' .é1\n"]), max_size=40).map("".join))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def with_only(**rates: float) -> Typist:
    return Typist(LAYOUT, NoiseModel(**rates))


def rebuilt(text: str, units: list[TypedUnit]) -> str:
    """Return the text with what was typed in place of its words."""
    parts, end = [], 0
    for unit in units:
        parts += [text[end : unit.start], unit.typed]
        end = unit.end
    return "".join([*parts, text[end:]])


def assert_units_fit(text: str, units: list[TypedUnit]) -> None:
    words = [(word.start, word.end) for word in words_of(text)]
    covered = []
    for unit in units:
        assert unit.intended == text[unit.start : unit.end]
        assert len(unit.taps) == len(unit.typed)
        inside = [word for word in words if unit.start <= word[0] and word[1] <= unit.end]
        assert (inside[0][0], inside[-1][1]) == (unit.start, unit.end)
        assert len(inside) == 1 or (len(inside) == 2 and text[inside[0][1] : inside[1][0]] == " ")
        covered += inside
        for char, tap in zip(unit.typed, unit.taps, strict=True):
            assert (tap is None) == (LAYOUT.centre(char) is None)
            if tap is not None:
                assert (LAYOUT.key_at(tap) if char == " " else LAYOUT.nearest_key(tap)) == char.lower()
    assert covered == words
    assert all(one.end <= other.start for one, other in pairwise(units))


@given(TEXTS, st.sampled_from(LEVELS), st.integers(0, 99))
def test_units_cover_all_words_in_order_and_taps_lie_on_the_typed_keys(text: str, level: str, seed: int) -> None:
    units = load_typist(level).type_units(text, rng(seed))
    assert_units_fit(text, units)
    assert rebuilt(text, [dataclasses.replace(unit, typed=unit.intended) for unit in units]) == text


@given(TEXTS, st.integers(0, 99))
def test_the_laws_hold_however_many_errors_are_made(text: str, seed: int) -> None:
    rates = dict.fromkeys(RATES, 0.25)
    units = Typist(LAYOUT, NoiseModel(**rates, taps=TapSpread(0.1, 0.1, 2.0, 2.0))).type_units(text, rng(seed))
    assert_units_fit(text, units)


@given(TEXTS)
def test_a_perfect_typist_types_exactly_the_text(text: str) -> None:
    units = load_typist("perfect").type_units(text, rng())
    assert rebuilt(text, units) == text
    assert all(not unit.errors for unit in units)
    assert all(tap == LAYOUT.centre(c) for unit in units for c, tap in zip(unit.typed, unit.taps, strict=True))


def test_the_same_seed_types_the_same_and_another_seed_does_not() -> None:
    typist = load_typist("heavy")
    assert typist.type_units(TEXT, rng(7)) == typist.type_units(TEXT, rng(7))
    assert typist.type_units(TEXT, rng(7)) != typist.type_units(TEXT, rng(8))


@given(st.text(min_size=1), st.integers(0, 99))
@settings(max_examples=50)
def test_a_word_by_itself_keeps_its_capitals_and_gets_no_space(word: str, seed: int) -> None:
    unit = load_typist("heavy").type_word(word, rng(seed))
    assert (unit.start, unit.end, unit.intended) == (0, len(word), word)
    assert len(unit.taps) == len(unit.typed)
    assert unit.typed.count(" ") <= word.count(" ") * 2
    assert not {ErrorKind.MISSED_SHIFT, ErrorKind.STRAY_SPACE} & {*unit.errors}


@pytest.mark.parametrize(
    ("kind", "text", "chances"),
    [
        (ErrorKind.OMISSION, "bad cafe", 5),  # never a word's first letter
        (ErrorKind.INSERTION, "bad cafe", 7),
        (ErrorKind.DOUBLING, "bad cafe", 7),
        (ErrorKind.MISSED_SPACE, "one, two three-four five", 2),
        (ErrorKind.DOUBLED_SPACE, "one, two three-four five", 2),
        (ErrorKind.STRAY_SPACE, "bad cafe", 5),
        (ErrorKind.DROPPED_APOSTROPHE, "don't can't won't", 3),
        (ErrorKind.MISSED_SHIFT, "See Anna at NASA. Yes", 2),  # a sentence's first capital is the keyboard's work
    ],
)
def test_each_kind_of_error_has_its_rate(kind: ErrorKind, text: str, chances: int) -> None:
    rate, repetitions = 0.05, 4000
    typist, source = with_only(**{kind.value: rate}), rng(3)
    kinds = Counter(
        error for _ in range(repetitions) for unit in typist.type_units(text, source) for error in unit.errors
    )
    assert set(kinds) == {kind}
    draws = repetitions * chances
    assert kinds[kind] == pytest.approx(rate * draws, abs=4 * (rate * draws) ** 0.5)


def test_transpositions_are_of_letters_that_differ_and_do_not_overlap() -> None:
    assert with_only(transposition=1.0).type_word("Abcd", rng()).typed == "Badc"
    assert with_only(transposition=1.0).type_word("oo", rng()).typed == "oo"
    source = rng(5)
    typist = with_only(transposition=0.05)
    swaps = sum(len(typist.type_word("bad", source).errors) for _ in range(8000))
    assert swaps == pytest.approx(8000 * (0.05 + 0.95 * 0.05), rel=0.1)


def test_a_tap_hits_a_neighbour_as_often_as_the_gaussian_says() -> None:
    typist = Typist(LAYOUT, NoiseModel(taps=TapSpread(0.1, 0.0, 0.25, 0.0)))
    source = rng(11)
    typed = Counter(typist.type_word("g", source).typed for _ in range(20_000))
    assert set(typed) == {"f", "g", "h"}
    assert typed["h"] / 20_000 == pytest.approx(0.0548, abs=0.007)  # P(z > (0.5 - 0.1) / 0.25)
    assert typed["f"] / 20_000 == pytest.approx(0.0082, abs=0.003)  # P(z < -(0.5 + 0.1) / 0.25)


def test_a_key_measured_by_itself_has_its_own_spread() -> None:
    noise = NoiseModel(keys={"g": TapSpread(dx=1.0)})
    unit = Typist(LAYOUT, noise).type_word("fg", rng())
    assert (unit.typed, unit.errors) == ("fh", (ErrorKind.NEIGHBOUR,))


def test_words_whose_space_goes_wrong_are_one_unit_and_at_most_two() -> None:
    (first, second) = with_only(missed_space=1.0).type_units("in the house", rng())
    assert (first.intended, first.typed, first.errors) == ("in the", "inthe", (ErrorKind.MISSED_SPACE,))
    assert (second.start, second.end, second.typed) == (7, 12, "house")
    (unit,) = with_only(doubled_space=1.0).type_units("in the", rng())
    assert (unit.typed, unit.errors) == ("in  the", (ErrorKind.DOUBLED_SPACE,))
    assert [u.typed for u in with_only(missed_space=1.0).type_units("in, the", rng())] == ["in", "the"]


def test_a_brushed_key_is_not_the_intended_one() -> None:
    unit = with_only(insertion=1.0).type_word("k", rng(2))
    assert len(unit.typed) == 2
    assert unit.typed.count("k") == 1


def test_a_doubled_letter_has_one_place() -> None:
    unit = with_only(doubling=1.0).type_word("no", rng())
    assert unit.typed == "nnoo"
    assert unit.taps[0] == unit.taps[1]


def test_characters_of_other_pages_are_typed_as_they_are() -> None:
    typist = with_only(omission=0.5, insertion=0.25, transposition=0.25)
    assert all(typist.type_word("2024", rng(seed)).typed == "2024" for seed in range(20))
    assert all("é" in typist.type_word("café", rng(seed)).typed for seed in range(20))


def test_misspelling_follows_the_weights_of_its_rules() -> None:
    rules = parse_rules(
        {"rules": [{"pattern": "ei", "replacement": "ie", "weight": 3}, {"pattern": "^r", "replacement": "wr"}]}
    )
    typist = Typist(LAYOUT, NoiseModel(misspelling=0.1), Misspellings(rules))
    source = rng(4)
    typed = Counter(typist.type_word("receive", source).typed for _ in range(10_000))
    assert set(typed) == {"receive", "recieve", "wreceive"}
    assert typed["recieve"] == pytest.approx(3000, rel=0.1)
    assert typed["wreceive"] == pytest.approx(1000, rel=0.15)


def test_a_misspelling_keeps_the_capitals() -> None:
    misspellings = load_misspellings()
    assert "Recieve" in dict(misspellings.of("Receive"))
    assert "RECIEVE" in dict(misspellings.of("RECEIVE"))
    assert misspellings.of("İe") == ()


@pytest.mark.parametrize(
    ("meant", "written"),
    [("receive", "recieve"), ("definitely", "definately"), ("separate", "seperate"), ("really", "realy"),
     ("committee", "comittee"), ("knowledge", "knowlege"), ("you're", "your"), ("tomorrow", "tommorrow")],
)  # fmt: skip
def test_the_shipped_rules_know_common_misspellings(meant: str, written: str) -> None:
    assert written in dict(load_misspellings().of(meant))


@given(st.text())
def test_no_misspelling_of_a_word_is_the_word(word: str) -> None:
    options = dict(load_misspellings().of(word))
    assert word not in options
    assert "" not in options


def test_all_mistakes_in_rules_are_reported() -> None:
    rules = [{"pattern": "(", "replacement": ""}, {"pattern": "a"}, {"pattern": "a", "replacement": "b", "weight": 0}]
    with pytest.raises(ConfigError, match=r"rule 1: .*; rule 2: missing key replacement; rule 3: weight"):
        parse_rules({"rules": rules})


def test_levels_are_ordered_and_an_unknown_one_is_answered_with_the_known() -> None:
    levels = [load_noise(level) for level in LEVELS]
    for name in RATES:
        rates = [getattr(level, name) for level in levels]
        assert rates == sorted(rates)
        assert rates[0] == 0
    assert levels[0].taps == TapSpread()
    assert 0 < levels[1].taps.sd_x < levels[2].taps.sd_x
    with pytest.raises(ConfigError, match="no level of errors 'awful'; choose one of: perfect, typical, heavy"):
        load_noise("awful")


def test_invalid_noise_is_refused_with_all_mistakes() -> None:
    with pytest.raises(ConfigError, match=r"omission must be .*; misspelling must be"):
        NoiseModel(omission=1.5, misspelling=-0.1)
    with pytest.raises(ConfigError, match="must not exceed 1"):
        NoiseModel(omission=0.6, insertion=0.6)
    with pytest.raises(ConfigError, match="sd_x"):
        TapSpread(sd_x=-1.0)
    with pytest.raises(ConfigError, match=r"noise \[levels.x\]: .*ommission"):
        parse_noise({"taps": {}, "levels": {"x": {"spread": 1.0, "ommission": 0.1}}}, "x")
