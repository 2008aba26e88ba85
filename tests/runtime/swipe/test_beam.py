"""The beam against a search through all words, and golden paths that any other implementation has to read alike."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyboard_lm.evaluation.swiper import PERFECT, Swiper
from keyboard_lm.swipe.beam import Beam, BeamOptions
from keyboard_lm.swipe.decoder import SwipeDecoder, SwipeOptions
from keyboard_lm.swipe.evidence import Emissions, PathEvidence
from keyboard_lm.swipe.key_trie import KeyTrie
from keyboard_lm.touch.layout import layout_names, load_layout
from keyboard_lm.touch.path import Floats, PathError, PathPoint, Track, is_tap, track
from keyboard_lm.words.lexicon import Entry, build_lexicon, load_lexicon

LAYOUT = load_layout()
GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "swipe.json").read_text(encoding="utf-8"))
WORDS = ["to", "too", "top", "tip", "don't", "dont", "well", "we'll", "café", "a", "x2", "their", "there", "it", "I"]
WIDE = BeamOptions(num_nodes=10_000, num_words=10_000, margin=1e6)
LETTERS = st.text("abcdehilot'é", min_size=1, max_size=7)
POINTS = st.builds(PathPoint, st.floats(-1, 11), st.floats(-1, 4), st.floats(0, 2000))


def cost_of(evidence: PathEvidence, keys: list[int]) -> float:
    """The least cost of keys, point by point and with loops."""
    num_points, num_keys = evidence.letter.shape
    costs = [float(evidence.first[t, keys[0]]) for t in range(num_points)]
    for before, key in pairwise(keys):
        way = evidence.way[:, before * num_keys + key].astype(float)
        costs = [
            min(costs[s] + way[t] - way[s] for s in range(t + 1)) + float(evidence.letter[t, key])
            for t in range(num_points)
        ]
    return min(cost + float(evidence.last[t, keys[-1]]) for t, cost in enumerate(costs))


def ancestors(trie: KeyTrie, node: int) -> list[int]:
    """The nodes above a node that stand for a key."""
    found = []
    while (node := int(trie.parents[node])) != 0:
        found.append(node)
    return found


@settings(max_examples=40, deadline=None)
@given(st.lists(LETTERS, min_size=1, max_size=8, unique=True), st.lists(POINTS, min_size=1, max_size=12))
def test_a_wide_beam_finds_every_word_at_its_least_cost(words: list[str], points: list[PathPoint]) -> None:
    lexicon = build_lexicon([Entry(word, 100 + i) for i, word in enumerate(words)])
    trie = KeyTrie(lexicon, LAYOUT)
    evidence = Emissions(LAYOUT, trie.keys).of(track(points, LAYOUT))
    found = Beam(trie, WIDE).find(evidence)
    swipable = {word for word in words if word.strip("'")}
    assert {lexicon.text(int(trie.entries[word])) for word in found.words} == swipable
    for word, cost in zip(found.words.tolist(), found.costs.tolist(), strict=True):
        node = int(np.searchsorted(trie.first_word, word, side="right")) - 1
        whole = cost_of(evidence, trie.word_keys(node))
        early = [  # the finger was lifted where nothing further on is more frequent
            cost_of(evidence, trie.word_keys(above)) + WIDE.unfinished + WIDE.unfinished_key * trie.keys_to_best[above]
            for above in ancestors(trie, node)
            if trie.best_word[above] == word
        ]
        assert abs(min([whole, *early]) - cost) < 1e-2


def test_words_end_at_the_node_of_their_keys() -> None:
    trie = KeyTrie(build_lexicon([Entry(word, 100) for word in WORDS]), LAYOUT)
    ends: dict[str, set[str]] = {}
    for node in range(len(trie.key)):
        words = trie.entries[trie.first_word[node] : trie.first_word[node + 1]]
        if len(words):
            keys = "".join(trie.keys[key] for key in trie.word_keys(node))
            ends[keys] = {trie.lexicon.text(int(word)) for word in words}
    assert ends == {
        "to": {"to", "too"}, "top": {"top"}, "tip": {"tip"}, "dont": {"don't", "dont"}, "wel": {"well", "we'll"},
        "cafe": {"café"}, "a": {"a"}, "their": {"their"}, "there": {"there"}, "it": {"it"}, "i": {"I"},
    }  # fmt: skip


def test_the_best_frequency_is_of_any_word_below() -> None:
    lexicon = load_lexicon()
    trie = KeyTrie(lexicon, LAYOUT, 3000)
    assert len(trie) <= 3000
    best = np.zeros(len(trie.key), int)
    first = np.full(len(trie.key), len(trie))  # of the words that have it
    for place, entry in enumerate(trie.entries):
        node = int(np.searchsorted(trie.first_word, place, side="right")) - 1
        while True:
            frequency = int(lexicon.frequencies[entry])
            if frequency > best[node]:
                best[node], first[node] = frequency, place
            if node == 0:
                break
            node = int(trie.parents[node])
    assert (best == trie.best_frequency).all()
    assert (first == trie.best_word).all()


@pytest.mark.parametrize("name", layout_names())
def test_a_path_through_the_middle_of_the_keys_finds_its_word(name: str) -> None:
    layout, rng = load_layout(name), np.random.default_rng(0)
    decoder, swiper = SwipeDecoder(load_lexicon(), layout), Swiper(layout, PERFECT)
    for word in ("hello", "keyboard", "don't", "beautiful", "gorgeous", "the", "tomorrow", "summer"):
        found = decoder.find(swiper.swipe(word, rng))
        assert word in {candidate.text for candidate in found[:3]}, (name, word)


def test_a_finger_that_is_lifted_too_early_finds_the_word() -> None:
    decoder, swiper = SwipeDecoder(load_lexicon(), LAYOUT), Swiper(LAYOUT, PERFECT)
    for word, drawn in (("surprise", "surpr"), ("tomorrow", "tomor"), ("beautiful", "beautif")):
        found = decoder.find(swiper.swipe(drawn, np.random.default_rng(0)))
        assert word in {candidate.text for candidate in found[:30]}, word
    (whole,) = [each for each in decoder.find(swiper.swipe("surprise", np.random.default_rng(0)))
                if each.text == "surprise"]  # fmt: skip
    (early,) = [each for each in decoder.find(swiper.swipe("surpr", np.random.default_rng(0)))
                if each.text == "surprise"]  # fmt: skip
    assert early.log_likelihood < whole.log_likelihood - 4


class Oracle:
    """Knows at which points which keys were meant."""

    def __init__(self, keys: list[int]) -> None:
        self.keys = keys

    def log_probabilities(self, track: Track, places: Floats) -> Floats:
        logs = np.full((len(track.places), len(places)), -20, np.float32)
        for key in self.keys:
            logs[np.hypot(*(track.places - places[key]).T).argmin(), key] = 0
        return logs


def test_a_judge_of_letters_stands_in_for_their_distance() -> None:
    lexicon = build_lexicon([Entry(word, 100) for word in ("rot", "rit", "riot", "roy")])
    path = Swiper(LAYOUT, PERFECT).swipe("rot", np.random.default_rng(0))
    for word in ("rit", "rot"):
        keys = KeyTrie(lexicon, LAYOUT).keys
        decoder = SwipeDecoder(lexicon, LAYOUT, letters=Oracle([keys.index(letter) for letter in word]))
        assert decoder.find(path)[0].text == word


def test_no_offensive_word_is_found_and_scribbles_find_nothing() -> None:
    decoder = SwipeDecoder(build_lexicon([Entry("dam", 100), Entry("damn", 200, is_offensive=True)]), LAYOUT)
    path = Swiper(LAYOUT, PERFECT).swipe("damn", np.random.default_rng(0))
    assert [candidate.text for candidate in decoder.find(path)] == ["dam"]
    scribble = [PathPoint(9.5 * (i % 2), 2.5 * (i % 3), 10.0 * i) for i in range(60)]
    assert decoder.find(scribble) == []


def test_the_golden_paths_are_read_alike_with_the_lexicon_that_ships() -> None:
    decoder = SwipeDecoder(load_lexicon(), LAYOUT)
    for case in GOLDEN["shipped"]:
        path = [PathPoint(*point) for point in case["path"]]
        if "error" in case:
            with pytest.raises(PathError, match=case["error"]):
                decoder.find(path)
            continue
        assert is_tap(path) == case["is_tap"], case["name"]
        found = decoder.find(path)[: len(case["found"]) or None]
        assert [candidate.text for candidate in found] == [word for word, _ in case["found"]], case["name"]
        logs = [candidate.log_likelihood for candidate in found]
        assert logs == pytest.approx([log for _, log in case["found"]], abs=0.01), case["name"]


def test_the_golden_paths_are_read_alike() -> None:
    for case in GOLDEN["decoder"]:
        lexicon = build_lexicon([Entry(text, frequency) for text, frequency in GOLDEN["words"]])
        options = SwipeOptions(beam=BeamOptions(num_words=5))
        found = SwipeDecoder(lexicon, load_layout(case["layout"]), options).find([PathPoint(*p) for p in case["path"]])
        assert [candidate.text for candidate in found] == [word for word, _ in case["found"]], case["name"]
        logs = [candidate.log_likelihood for candidate in found]
        assert logs == pytest.approx([log for _, log in case["found"]], abs=0.01), case["name"]
