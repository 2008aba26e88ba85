"""Tests for keyboard_lm.touch.channel and keyboard_lm.correction.candidates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyboard_lm.correction.candidates import CandidateOptions, CandidateSearch
from keyboard_lm.errors import ConfigError
from keyboard_lm.text.case import fold
from keyboard_lm.touch.channel import NEVER, Channel, ChannelParameters, ErrorRates, TapModel, parse_channel
from keyboard_lm.touch.layout import Tap, load_layout
from keyboard_lm.words.lexicon import Entry, build_lexicon

_ALPHABET = "'-abcdefghijklmnopqrstuvwxyzé"
_RATES = ErrorRates()
_EXHAUSTIVE = CandidateOptions(num_words=1000, margin=-NEVER / 2, most_margin=-NEVER / 2, beam=10**6)


@pytest.fixture(scope="module")
def channel() -> Channel:
    return Channel(load_layout(), _ALPHABET)


def _best_path(channel: Channel, typed: str, taps: tuple[Tap | None, ...], word: str) -> float:
    """The same by plain dynamic programming: all ways to have typed the first i letters meaning the first j."""
    emission, after, before = channel.evidence(typed, taps)
    folded, meant = fold(typed), fold(word)
    numbers = [channel.alphabet.index(letter) + 1 for letter in meant]
    ends = [0, *numbers]
    num_typed, num_meant = len(typed), len(numbers)
    hit = [[-math.inf] * (num_meant + 1) for _ in range(num_typed + 3)]
    hit[0][0] = 0.0
    for i in range(num_typed + 1):
        here = list(hit[i])
        for j in range(1, num_meant + 1):  # one letter may be left out in a place
            here[j] = max(here[j], hit[i][j - 1] + channel.omission[ends[j - 1], ends[j]])
        if i == num_typed:
            return here[num_meant]
        for j in range(num_meant + 1):
            steps = [(i + 1, j, after[i, ends[j]])]
            if j < num_meant:
                steps.append((i + 1, j + 1, emission[i, numbers[j]]))
            if j < num_meant and i + 1 < num_typed:
                steps.append((i + 2, j + 1, before[i, numbers[j]] + emission[i + 1, numbers[j]]))
            if j + 1 < num_meant and i + 1 < num_typed:
                swapped = emission[i + 1, numbers[j]] + emission[i, numbers[j + 1]]
                steps.append((i + 2, j + 2, channel.transposition + swapped))
            for to_i, to_j, log in steps:
                hit[to_i][to_j] = max(hit[to_i][to_j], here[j] + log)
        moved = {letters[1:] + letters[0], letters[2] + letters[:2]} if len(letters := folded[i : i + 3]) == 3 else ()
        if meant[:i] == folded[:i] and meant[i : i + 3] in moved:  # of letters that are right so far, one is moved
            hit[i + 3][i + 3] = max(hit[i + 3][i + 3], channel.moved)
    raise AssertionError


def _likelihood(channel: Channel, typed: str, word: str, taps: tuple[Tap | None, ...] = ()) -> float:
    search = CandidateSearch(build_lexicon([Entry(word, 100), Entry(_ALPHABET, 1)]), channel, _EXHAUSTIVE)
    found = {candidate.text: candidate.log_likelihood for candidate in search.find(typed, taps)}
    return found.get(word, -math.inf)


_taps = st.none() | st.builds(Tap, st.floats(0, 10, width=32), st.floats(0, 3, width=32))


@given(
    st.sets(st.text("abcqe'", min_size=1, max_size=5), min_size=1, max_size=12),
    st.lists(st.tuples(st.sampled_from("abcqweAB'1é"), _taps), min_size=1, max_size=6),
)
def test_the_search_finds_the_best_path_to_every_word(words: set[str], strokes: list[tuple[str, Tap | None]]) -> None:
    lexicon = build_lexicon([Entry(word, 50) for word in words] + [Entry(_ALPHABET, 1)])
    channel = Channel(load_layout(), lexicon.alphabet)
    typed, taps = "".join(char for char, _ in strokes), tuple(tap for _, tap in strokes)
    search = CandidateSearch(lexicon, channel, _EXHAUSTIVE)
    found = {candidate.text: candidate.log_likelihood for candidate in search.find(typed, taps)}
    for word in words:
        expected = _best_path(channel, typed, taps, word)
        if expected > -_EXHAUSTIVE.margin / 2:
            assert found[word] == pytest.approx(expected, rel=1e-4, abs=1e-3)


@given(st.text("abcdefgh", min_size=2, max_size=8))
def test_what_was_typed_taken_at_its_word_has_likelihood_one(typed: str) -> None:
    assert _likelihood(Channel(load_layout(), _ALPHABET), typed, typed) == 0.0


@pytest.mark.parametrize(
    ("typed", "meant", "log"),
    [
        ("teh", "the", math.log(_RATES.transposition)),
        ("hte", "the", math.log(_RATES.transposition)),
        ("helo", "hello", math.log(_RATES.single_for_double)),
        ("gol", "goal", math.log(_RATES.omission)),
        ("ood", "good", math.log(_RATES.first_omission)),
        ("dont", "don't", math.log(_RATES.apostrophe)),
        ("email", "e-mail", math.log(_RATES.hyphen)),
        ("cafe", "café", math.log(_RATES.accent)),
        ("TEH", "the", math.log(_RATES.transposition)),
        ("tounge", "tongue", math.log(_RATES.moved)),
        ("perphas", "perhaps", math.log(_RATES.moved)),
        ("qtuie", "quite", math.log(_RATES.moved)),
    ],
)
def test_one_error_costs_the_logarithm_of_its_rate(channel: Channel, typed: str, meant: str, log: float) -> None:
    assert _likelihood(channel, typed, meant) == pytest.approx(log, abs=0.05)


@pytest.mark.parametrize(("first", "later"), [("vat", "tav"), ("vat", "tvt"), ("pen", "nep")])
def test_the_first_letter_is_another_less_often_than_one_further_on(channel: Channel, first: str, later: str) -> None:
    mistyped = {"v": "b", "p": "o"}[first[0]]
    at_first = _likelihood(channel, first.replace(first[0], mistyped), first)
    further_on = _likelihood(channel, later.replace(first[0], mistyped), later)
    assert at_first == pytest.approx(further_on + math.log(_RATES.first_letter), abs=1e-3)


def test_a_third_error_is_looked_for_where_the_letters_begin_no_word(channel: Channel) -> None:
    lexicon = build_lexicon([Entry("unfortunately", 100), Entry("unfold", 100), Entry(_ALPHABET, 1)])
    found = CandidateSearch(lexicon, channel).find("unfortunently")
    assert [each.text for each in found] == ["unfortunately"]
    assert found[0].log_likelihood < -CandidateOptions().margin


def test_a_letter_written_twice_costs_its_rate_or_that_of_a_brushed_key(channel: Channel) -> None:
    log = _likelihood(channel, "helllo", "hello")
    assert math.log(_RATES.doubling) < log < math.log(_RATES.doubling + _RATES.insertion)


@pytest.mark.parametrize("typed", ["hellop", "helklo", "ghello"])
def test_a_brushed_key_is_probable_near_a_letter_only(channel: Channel, typed: str) -> None:
    far = typed.translate(str.maketrans("pkg", "zzp"))
    assert _likelihood(channel, typed, "hello") > _likelihood(channel, far, "hello") + 1


def test_a_neighbouring_key_is_more_probable_than_a_far_one(channel: Channel) -> None:
    assert _likelihood(channel, "hrllo", "hello") > _likelihood(channel, "hpllo", "hello") + 2


def test_one_vowel_for_another_is_more_probable_than_other_far_letters(channel: Channel) -> None:
    assert _likelihood(channel, "seperate", "separate") == pytest.approx(math.log(_RATES.vowel), abs=0.1)
    assert _likelihood(channel, "sedarate", "separate") == pytest.approx(math.log(_RATES.spelling), abs=0.5)


def test_a_tap_at_a_keys_edge_speaks_for_the_neighbour_one_in_its_middle_against_it(channel: Channel) -> None:
    centre = load_layout().centre("r")
    assert centre is not None

    def tapped(x: float) -> float:
        return _likelihood(channel, "hr", "he", (None, Tap(x, centre.y)))

    edge, middle = tapped(centre.x - 0.49), tapped(centre.x)
    assert edge > math.log(0.5)
    assert middle < math.log(0.01)
    assert edge > _likelihood(channel, "hr", "he") > middle


def test_a_letter_without_a_key_can_only_be_itself(channel: Channel) -> None:
    emission = channel.evidence("1").emission
    assert (emission < math.log(1e-6)).all()


def test_taps_of_another_number_than_the_letters_are_not_looked_at(channel: Channel) -> None:
    with_taps, without = channel.evidence("he", (Tap(0.1, 0.1),)), channel.evidence("he")
    assert all((a == b).all() for a, b in zip(with_taps, without, strict=True))


def test_no_offensive_hidden_or_miswritten_word_is_a_candidate() -> None:
    entries = [
        Entry("duck", 100),
        Entry("dick", 120, is_offensive=True),
        Entry("deck", 0),
        Entry("dock", 9, is_miswritten=True),
    ]
    lexicon = build_lexicon([*entries, Entry(_ALPHABET, 1)])
    search = CandidateSearch(lexicon, Channel(load_layout(), lexicon.alphabet), _EXHAUSTIVE)
    assert not {"dick", "deck", "dock"} & {candidate.text for candidate in search.find("dick")}
    assert search.find("dick")[0].text == "duck"


def test_a_narrow_beam_keeps_the_frequent_words() -> None:
    lexicon = build_lexicon([Entry("then", 200), *(Entry(f"th{a}{b}", 5) for a in "abcdfgh" for b in "abcdefgh")])
    channel = Channel(load_layout(), lexicon.alphabet)
    search = CandidateSearch(lexicon, channel, CandidateOptions(num_words=3, beam=10))
    assert search.find("thrn")[0].text == "then"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("thjinl", "think"),
        ("anbfd", "and"),
        ("thknmk", "think"),
        ("lpla", "plan"),
        ("wi", "will"),
        ("fjirewoo", "firewood"),
        ("helpzs", "helps"),
        ("porgrazm", "program"),
        ("it's", "its"),
    ],
)
def test_a_word_with_two_errors_is_still_a_candidate(typed: str, meant: str) -> None:
    lexicon = build_lexicon([Entry(meant, 100), Entry(_ALPHABET, 1)])
    search = CandidateSearch(lexicon, Channel(load_layout(), lexicon.alphabet))
    assert meant in {candidate.text for candidate in search.find(typed)}


def test_nothing_typed_has_no_candidates(channel: Channel) -> None:
    lexicon = build_lexicon([Entry(_ALPHABET, 1)])
    assert CandidateSearch(lexicon, channel).find("") == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rates": {"omission": 0}}, "omission"),
        ({"rates": {"omission": 2, "vowel": -1}}, "omission.*vowel"),
        ({"rates": {"omission": "2", "vowel": "x"}}, "omission.*vowel"),
        ({"rates": {"typo": 0.1}}, "typo"),
        ({"taps": {"sd_x": 0}}, "sd_x"),
        ({"taps": {"dx": math.nan}}, "dx"),
        ({"keys": {}}, "keys"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_channel(values)


def test_parameters_are_read_as_written() -> None:
    parsed = parse_channel({"taps": {"sd_x": 0.3}, "rates": {"omission": 0.01}})
    assert parsed == ChannelParameters(TapModel(sd_x=0.3), ErrorRates(omission=0.01))
    assert np.isfinite(Channel(load_layout(), _ALPHABET, parsed).evidence("hello").emission).all()


# Fingers that land to one side of the key they are meant for: a key typed without a tap, and a tap's place.


def _with_offset(dx: float = 0.0, dy: float = 0.0) -> Channel:
    return Channel(load_layout(), _ALPHABET, ChannelParameters(TapModel(dx=dx, dy=dy)))


@pytest.mark.parametrize(
    ("left", "typed", "right", "axis"), [("e", "r", "t", "dx"), ("s", "d", "f", "dx"), ("e", "d", "c", "dy")]
)
def test_a_key_on_the_side_that_fingers_drift_to_was_meant_for_the_one_they_come_from(
    left: str, typed: str, right: str, axis: str
) -> None:
    # `dx` (`dy`) above 0: fingers land to the right of (below) what they are meant for.
    drifts = _with_offset(**{axis: 0.2})
    assert _likelihood(drifts, f"h{typed}", f"h{left}") > _likelihood(drifts, f"h{typed}", f"h{right}") + 0.5
    even = _with_offset()
    assert _likelihood(drifts, f"h{typed}", f"h{left}") > _likelihood(even, f"h{typed}", f"h{left}") + 0.1


@pytest.mark.parametrize(("dx", "dy"), [(0.3, 0.0), (-0.3, 0.0), (0.0, 0.3), (0.0, -0.3), (0.2, 0.2)])
def test_a_tap_speaks_most_for_the_letter_whose_fingers_land_there(dx: float, dy: float) -> None:
    channel, layout = _with_offset(dx, dy), load_layout()
    for letter in "sdfghjk":
        centre = layout.centre(letter)
        assert centre is not None
        place = channel.place("z", Tap(centre.x + dx, centre.y + dy))
        hits = {other: float(place.hit[channel.alphabet.index(other) + 1]) for other in "qwertyuiopasdfghjklxcvbnm"}
        assert max(hits, key=hits.__getitem__) == letter
