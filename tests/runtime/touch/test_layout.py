"""Where keys are."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyboard_lm.errors import ConfigError
from keyboard_lm.touch.channel import Channel, load_channel_parameters
from keyboard_lm.touch.layout import Layout, Row, Tap, layout_names, load_layout, parse_layout
from keyboard_lm.words.lexicon import load_lexicon

QWERTY = load_layout()


def test_every_character_is_at_the_centre_of_its_key() -> None:
    for char in QWERTY.characters:
        centre = QWERTY.centre(char)
        assert centre is not None
        assert QWERTY.key_at(centre) == char
    assert set(QWERTY.characters) == {*"abcdefghijklmnopqrstuvwxyz "}


def test_the_rows_are_shifted_as_on_a_phone() -> None:
    assert QWERTY.centre("q") == Tap(0.5, 0.5)
    assert QWERTY.centre("s") == Tap(2.0, 1.5)
    assert QWERTY.centre("c") == Tap(4.0, 2.5)
    assert QWERTY.centre(" ") == Tap(5.0, 3.5)


def test_case_is_ignored_and_other_pages_have_no_place() -> None:
    assert QWERTY.centre("A") == QWERTY.centre("a")
    assert all(QWERTY.centre(char) is None for char in "'1.é😀İ\n")


def test_key_at_is_none_outside_the_keys() -> None:
    assert QWERTY.key_at(Tap(0.2, 1.5)) is None
    assert QWERTY.key_at(Tap(5, -0.01)) is None
    assert QWERTY.key_at(Tap(2.4, 3.5)) is None
    assert QWERTY.key_at(Tap(5, 4)) is None


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_nearest_key_is_the_letter_under_the_tap_or_the_nearest_in_its_row(x: float, y: float) -> None:
    tap = Tap(x, y)
    nearest = QWERTY.nearest_key(tap)
    under = QWERTY.key_at(tap)
    assert nearest in QWERTY.characters
    if under is not None and under != " ":
        assert nearest == under
    row = QWERTY.rows[min(max(math.floor(y), 0), 2)].keys
    centres = {key: centre for key in row if (centre := QWERTY.centre(key))}
    assert abs(centres[nearest].x - x) == pytest.approx(min(abs(centre.x - x) for centre in centres.values()))


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_on_space_bar_types_a_space(x: float, y: float) -> None:
    assert QWERTY.key_at(QWERTY.on_space_bar(Tap(x, y))) == " "


def test_all_mistakes_of_a_layout_are_reported() -> None:
    with pytest.raises(ConfigError, match=r"lower-case.*\['A'\].*more than one key for \['b'\].*left edges.*width"):
        Layout("bad", (Row("Abb", -1.0),), 0.0, 0.0)
    with pytest.raises(ConfigError, match="every row has keys"):
        Layout("bad", (), 0.0, 1.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "needs rows"),
        ({"rows": [{"keys": "ab"}], "space": {"left": 0, "width": 1}}, "row 1: missing key left"),
        ({"rows": [{"keys": ["a"], "left": 0}], "space": {"left": 0, "width": 1}}, "row 1: keys must be a string"),
        ({"rows": [{"keys": "ab", "left": 0}], "space": {"left": 0, "width": 1}, "colour": 1}, "unknown key colour"),
    ],
)
def test_a_layout_file_with_other_keys_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_layout("bad", values)


def test_an_unknown_layout_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no layout 'maltron'; choose one of: .*qwerty"):
        load_layout("maltron")


@pytest.mark.parametrize("name", layout_names())
def test_a_shipped_layout_has_every_letter_once_and_hits_it(name: str) -> None:
    layout = load_layout(name)
    assert set("abcdefghijklmnopqrstuvwxyz ") <= set(layout.characters)
    for char in layout.characters:
        centre = layout.centre(char)
        assert centre is not None
        assert layout.key_at(centre) == char
        assert char == " " or layout.nearest_key(centre) == char


@pytest.mark.parametrize("name", layout_names())
def test_a_neighbour_is_hit_for_a_letter_more_easily_than_a_distant_key(name: str) -> None:
    layout, lexicon = load_layout(name), load_lexicon()
    channel = Channel(layout, lexicon.alphabet, load_channel_parameters())
    row = layout.rows[1].keys
    meant = lexicon.alphabet.index(row[0]) + 1
    near, far = (channel.evidence(char).emission[0][meant] for char in (row[1], row[-1]))
    assert near > far


def test_layouts_are_listed() -> None:
    assert layout_names() == ("azerty", "dvorak", "qwerty", "qwertz")
