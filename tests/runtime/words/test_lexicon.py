"""Tests for keyboard_lm.words.lexicon."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyboard_lm.errors import ConfigError
from keyboard_lm.text.case import fold
from keyboard_lm.words.lexicon import Entry, Lexicon, build_lexicon, load_lexicon, read_lexicon

_WORD = st.text("abcABé'", min_size=1, max_size=6)
_ENTRIES = st.dictionaries(_WORD, st.integers(0, 255), min_size=1, max_size=30).map(
    lambda words: [Entry(text, frequency, is_offensive=frequency % 7 == 1) for text, frequency in words.items()]
)


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return build_lexicon(
        [
            Entry("the", 222),
            Entry("I'm", 180),
            Entry("May", 120),
            Entry("may", 150),
            Entry("iPhone", 90),
            Entry("damn", 80, is_offensive=True),
            Entry("hmm", 0),
            Entry("im", 0, is_miswritten=True),
        ]
    )


@given(_ENTRIES)
def test_the_file_gives_back_every_word_with_its_frequency(entries: list[Entry]) -> None:
    lexicon = read_lexicon(build_lexicon(entries).to_bytes())
    assert sorted(map(lexicon.text, range(len(lexicon)))) == sorted(entry.text for entry in entries)
    for entry in entries:
        assert lexicon.known(entry.text)
        same = [other for other in entries if fold(other.text) == fold(entry.text)]
        assert lexicon.frequency(entry.text) == max(other.frequency for other in same)
        assert lexicon.is_offensive(entry.text) == entry.is_offensive


@given(_ENTRIES, _WORD)
def test_what_is_not_in_the_list_is_not_known(entries: list[Entry], word: str) -> None:
    texts = {entry.text for entry in entries}
    cased = texts | {text[:1].upper() + text[1:] for text in texts} | {text.upper() for text in texts}
    assert build_lexicon(entries).known(word) == (word in cased)


@given(_ENTRIES)
def test_the_best_frequency_below_a_node_is_that_of_the_words_offered_there(entries: list[Entry]) -> None:
    lexicon = build_lexicon(entries)
    expected = np.zeros(len(lexicon.letters), int)
    for entry in range(len(lexicon)):
        if lexicon.flags[entry] == 0:
            node = int(lexicon.nodes[entry])
            expected[0] = max(expected[0], lexicon.frequencies[entry])
            while node:
                expected[node] = max(expected[node], lexicon.frequencies[entry])
                node = int(lexicon.parents[node])
    assert lexicon.best_frequency.tolist() == expected.tolist()


@pytest.mark.parametrize("word", ["the", "The", "THE", "I'm", "may", "May", "iPhone", "IPHONE", "hmm", "damn"])
def test_a_word_is_known_as_it_is_cased_with_a_capital_or_in_capitals(lexicon: Lexicon, word: str) -> None:
    assert lexicon.known(word)


@pytest.mark.parametrize("word", ["tHe", "i'm", "iphone", "im", "Im", "th", "thee", "", "x", "日本"])
def test_other_cases_beginnings_and_strangers_are_not_known(lexicon: Lexicon, word: str) -> None:
    assert not lexicon.known(word)


def test_offensive_and_miswritten_words_are_told_in_any_case(lexicon: Lexicon) -> None:
    assert lexicon.is_offensive("DAMN")
    assert not lexicon.is_offensive("the")
    assert lexicon.is_miswritten("Im")
    assert not lexicon.is_miswritten("I'm")


@pytest.mark.parametrize(
    ("word", "expected"),
    [("john", True), ("John", False), ("JOHN", False), ("jOHN", True), ("a", True), ("A", False), ("ok", False)],
)
def test_a_word_that_is_offensive_in_one_case_only_may_be_offered_in_the_other(word: str, expected: bool) -> None:
    entries = [Entry("john", 0, is_offensive=True), Entry("John", 90), Entry("a", 1, is_offensive=True), Entry("A", 0)]
    entries += [Entry("ok", 9), Entry("OK", 8, is_offensive=True)]
    lexicon = build_lexicon(entries)
    assert lexicon.is_offensive(word) == expected
    assert lexicon.is_offensive("OK")


def test_a_word_that_folding_does_not_give_back_is_refused() -> None:
    with pytest.raises(ConfigError, match="leave it out"):
        build_lexicon([Entry("", 1)])


@pytest.mark.parametrize("content", [b"", b"words", b"PK\x03\x04"])
def test_what_is_no_lexicon_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigError, match="not a lexicon"):
        read_lexicon(content)


def test_columns_that_do_not_fit_together_are_refused(lexicon: Lexicon) -> None:
    column = np.zeros(2, np.uint8)
    with pytest.raises(ConfigError, match="tree"):
        Lexicon("a", column, np.zeros(2, np.uint8), column, column.astype(np.uint64), column, column)


def test_english_knows_its_words() -> None:
    english = load_lexicon("en")
    assert all(map(english.known, ["the", "I", "London", "don't", "lol", "colour", "color"]))
    assert not any(map(english.known, ["teh", "i", "london", "dont", "im", "alot"]))
    assert english.is_offensive("fuck")
    assert english.frequency("the") > english.frequency("then") > english.frequency("thence")


def test_an_unknown_language_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="en"):
        load_lexicon("xx")
