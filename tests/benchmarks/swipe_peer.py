"""Recorded swipes, read by SHARK2 and by our decoder: the same words, keyboards and prior, each tuned on the same half.

    python tests/benchmarks/swipe_peer.py --data swipes.jsonl [--words 50000] [--limit N]

SHARK2 (`peers/shark2.py`) is tuned here, on the half of the swipes whose words have an even SHA-256; ours was, by
`fit_swipe.py`. What is printed is of the other half. Neither knows which phone a swipe is from: both sum over the same
keyboards (`PHONES`). "With context" is ours behind sentences of the texts that ship, on those swipes whose words they
have; the errors of the others on just these swipes stand beside it. Intervals are over words. Prints a table, the
ratios of errors, the times of a path on one known keyboard, taken in turn on one thread, and one JSON line last.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent / "peers"))

from shark2 import Distances, Shark2, Shark2Options

from keyboard_lm.backends import load_backend
from keyboard_lm.cli.table import format_table
from keyboard_lm.evaluation.estimate import Metric, estimate, ratio
from keyboard_lm.evaluation.swipe import NUM_BEST, best_100, ranking
from keyboard_lm.evaluation.swipe_data import (
    MarginalFinder,
    Swipe,
    behind_sentences,
    half_of,
    letters_of,
    passes,
    read_swipes,
)
from keyboard_lm.evaluation.texts import shipped_texts
from keyboard_lm.keyboard.bar import Request
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.keyboard.suggester import Suggester, SuggesterOptions, SuggesterParts
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.swipe.decoder import SwipeDecoder, SwipeOptions
from keyboard_lm.swipe.key_trie import KeyTrie
from keyboard_lm.touch.layout import load_layout

READERS = ("shark2", "prior", "context")  # the peer; ours by path and frequency; ours behind a sentence
# Tunnel, standard deviations of shape and place, weight of the frequency.
SCALES = list(itertools.product((0.5, 0.75, 1.0), (0.06, 0.09, 0.12, 0.18), (0.2, 0.4, 0.6), (0.2, 0.35)))


class SharkReader:
    """SHARK2 over unknown keyboards, frequency included."""

    def __init__(self, trie: KeyTrie) -> None:
        self.shark = Shark2(trie, load_layout())
        self._lexicon = trie.lexicon
        self._log_frequency = np.full(len(trie.key), -np.inf)  # of the most frequent word at each node
        ends = np.repeat(np.arange(len(trie.key)), np.diff(trie.first_word))
        np.maximum.at(self._log_frequency, ends, self.shark.log_frequency)

    def distances(self, swipe: Swipe, options: Shark2Options) -> list[tuple[float, Distances]]:
        """Return distances on every keyboard, each with the logarithm of its share."""
        found = []
        for grid in swipe.grids:
            points = np.array([point[:2] for point in grid.on_keys(swipe.points)])
            distances = self.shark.distances(points, options.radius, options.most)
            found.append((math.log(grid.share), distances))
        return found

    def words(self, found: Sequence[tuple[float, Distances]], options: Shark2Options, num: int = 8) -> list[str]:
        """Return the letters of the best words."""
        trie, weight = self.shark.trie, options.frequency_weight
        nodes, places = np.unique(np.concatenate([each.nodes for _, each in found]), return_inverse=True)
        logs = np.full(len(nodes), -np.inf)
        scores = [self.shark.scores(each, options) + log_share for log_share, each in found]
        np.logaddexp.at(logs, places, np.concatenate(scores))
        best = np.argsort(-logs - weight * self._log_frequency[nodes], kind="stable")[: 4 * num]
        ranked = [
            (-float(logs[place]) - weight * float(self.shark.log_frequency[word]), word)
            for place in best.tolist()
            for word in range(trie.first_word[nodes[place]], trie.first_word[nodes[place] + 1])
        ]
        ranked.sort()
        texts = (letters_of(self._lexicon.text(int(trie.entries[word]))) for _, word in ranked[: 4 * num])
        return list(dict.fromkeys(texts))[:num]

    def tuned(self, swipes: Sequence[Swipe]) -> tuple[Shark2Options, float]:
        """Return the options that read most swipes rightly, and how many that is."""
        best = Shark2Options(), -1.0
        known = [self.distances(swipe, best[0]) for swipe in swipes]
        for tunnel, sd_shape, sd_place, weight in SCALES:
            options = replace(best[0], tunnel=tunnel, sd_shape=sd_shape, sd_place=sd_place, frequency_weight=weight)
            hits = [
                self.words(found, options, 1) == [letters_of(swipe.word)]
                for swipe, found in zip(swipes, known, strict=True)
            ]
            if np.mean(hits) > best[1]:
                best = options, float(np.mean(hits))
        return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--words", type=int, default=50_000)
    parser.add_argument("--time-words", type=int, default=100_000, help="that the times are of")
    parser.add_argument("--limit", type=int, help="swipes of each half")
    asked = parser.parse_args()
    swipes = behind_sentences(read_swipes(asked.data), shipped_texts())
    tuning = [swipe for swipe in swipes if half_of(swipe.word) == "tuning"][: asked.limit]
    reporting = [swipe for swipe in swipes if half_of(swipe.word) == "reporting"][: asked.limit]
    language, layout = load_language(), load_layout()
    trie = KeyTrie(language.lexicon, layout, asked.words)
    peer = SharkReader(trie)
    options, share = peer.tuned(tuning)
    print(f"SHARK2 tuned on {len(tuning)} swipes, {100 * share:.1f} % right: {options}")

    decoder = SwipeDecoder(language.lexicon, layout, SwipeOptions(num_words=asked.words))
    finder = MarginalFinder(decoder)
    checkpoint = Checkpoint.load(bundled_folder())
    network = load_backend("onnx", checkpoint, num_threads=1)
    asked_slots = SuggesterOptions(num_slots=8)
    parts = replace(SuggesterParts.make(checkpoint.tokenizer, language, layout, asked_slots), swipes=finder)
    suggester = Suggester(network, checkpoint.tokenizer, language, layout, None, asked_slots, parts=parts)
    known = {letters_of(language.lexicon.text(int(entry))) for entry in trie.entries}

    by_word: dict[str, list[dict[str, float]]] = {}
    for swipe in reporting:
        word = letters_of(swipe.word)
        finder.grids = swipe.grids
        candidates = finder.find(swipe.points)
        found = ranking(candidates)
        answers = [suggester.answer(Request(context, path=swipe.points)).slots for context in swipe.contexts]
        behind = [list(dict.fromkeys(letters_of(slot.text) for slot in slots)) for slots in answers]
        of_peer = peer.distances(swipe, options)
        read = {
            "shark2": [peer.words(of_peer, options)], "prior": [found], "context": behind,
        }  # fmt: skip
        counts = {"all": 1.0, "placed": float(bool(behind)), "known": float(word in known)}
        counts["found"] = float(word in known and word in best_100(candidates))
        counts["shark2_found"] = float(word in known and word in peer.words(of_peer, options, NUM_BEST))
        counts["either_found"] = max(counts["found"], counts["shark2_found"])
        counts["passed"] = float(word in known and passes(swipe, layout))
        counts["found_passed"] = counts["found"] * counts["passed"]
        for reader, rank in itertools.product(READERS, (1, 3, 4)):
            wrong = [word not in words[:rank] for words in read[reader]]
            counts[f"{reader}{rank}"] = sum(wrong) / len(wrong) if wrong else 0.0
            counts[f"{reader}{rank}p"] = counts["placed"] * counts[f"{reader}{rank}"]
        by_word.setdefault(word, []).append(counts)
    documents = [{name: sum(each[name] for each in rows) for name in rows[0]} for rows in by_word.values()]
    report(documents, timed(reporting, options, asked.time_words), asked.words, asked.time_words)


def timed(swipes: Sequence[Swipe], options: Shark2Options, num_words: int) -> dict[str, list[float]]:
    """Return the milliseconds of both for each path on the likeliest keyboard, taken in turn."""
    language, layout = load_language(), load_layout()
    peer = SharkReader(KeyTrie(language.lexicon, layout, num_words))
    decoder = SwipeDecoder(language.lexicon, layout, SwipeOptions(num_words=num_words))
    times: dict[str, list[float]] = {"shark2": [], "ours": []}
    for number, swipe in enumerate([swipes[0], *swipes]):
        on_keys = max(swipe.grids, key=lambda each: each.share).on_keys(swipe.points)
        places = np.array([point[:2] for point in on_keys])
        spent = {"shark2": _ms(partial(_read_once, peer, places, options)), "ours": _ms(partial(decoder.find, on_keys))}
        for name, ms in spent.items() if number else ():  # the first path finds nothing arranged
            times[name].append(ms)
    return times


def report(documents: list[dict[str, float]], times: dict[str, list[float]], num_words: int, time_words: int) -> None:
    """Print what was counted."""
    metrics = [Metric("known", "", ratio("known", "all")), Metric("found", "", ratio("found", "known"))]
    metrics += [Metric(name, "", ratio(name, "known")) for name in ("shark2_found", "either_found", "passed")]
    metrics += [Metric("found_passed", "", ratio("found_passed", "passed"))]
    for reader, rank in itertools.product(READERS, (1, 3, 4)):
        if reader != "context":
            metrics.append(Metric(f"{reader}{rank}", "", ratio(f"{reader}{rank}", "all")))
        metrics.append(Metric(f"{reader}{rank}p", "", ratio(f"{reader}{rank}p", "placed")))
    metrics += [
        Metric("without", "ours / SHARK2, without context", ratio("prior1", "shark21", 1), 2),
        Metric("with", "ours with context / SHARK2", ratio("context1p", "shark21p", 1), 2),
        Metric("by_context", "ours with context / by frequency", ratio("context1p", "prior1p", 1), 2),
    ]
    found = estimate(documents, metrics, seed=0)
    total, placed = (int(sum(row[name] for row in documents)) for name in ("all", "placed"))
    table: list[tuple[str, ...]] = [("errors %", "top-1", "top-3", "top-4")]
    for reader, part in (("shark2", ""), ("prior", ""), ("shark2", "p"), ("prior", "p"), ("context", "p")):
        cells = [found[f"{reader}{rank}{part}"] for rank in (1, 3, 4)]
        name = f"{reader}, {placed if part else total} swipes"
        table.append((name, *(f"{cell.value:.1f} ±{cell.margin:.1f}" for cell in cells)))
    print(format_table(table))
    print(f"in the lexicon of {num_words:,}: {found['known'].value:.1f} %; of these in the best 100: "
          f"{found['found'].value:.1f} % [{found['found'].low:.1f}, {found['found'].high:.1f}]; "
          f"{found['passed'].value:.1f} % lead past the letters of their word, of these in the best 100: "
          f"{found['found_passed'].value:.1f} %")  # fmt: skip
    of_peer, either = found["shark2_found"], found["either_found"]
    print(f"in SHARK2's best 100: {of_peer.value:.1f} % [{of_peer.low:.1f}, {of_peer.high:.1f}]; "
          f"in either's, up to 200 words: {either.value:.1f} % [{either.low:.1f}, {either.high:.1f}]")  # fmt: skip
    for metric in metrics[-3:]:
        ratio_of = found[metric.name]
        print(f"errors, {metric.label}: {ratio_of.value:.2f} [{ratio_of.low:.2f}, {ratio_of.high:.2f}]")
    spent = {name: [round(float(q), 2) for q in np.percentile(each, (50, 95))] for name, each in times.items()}
    print(
        f"one path, {time_words:,} words, one thread, ms p50 and p95: "
        + "; ".join(f"{name} {q}" for name, q in spent.items())
    )
    values = {name: round(each.value, 3) for name, each in found.items()}
    print(json.dumps({"swipes": total, "placed": placed, "words": num_words, **values, "ms": spent}))


def _read_once(peer: SharkReader, places: NDArray[np.float64], options: Shark2Options) -> list[str]:
    found = peer.shark.distances(places, options.radius, options.most)
    return peer.words([(0.0, found)], options)


def _ms(call: Callable[[], object]) -> float:
    begun = time.thread_time()
    call()
    return (time.thread_time() - begun) * 1000


if __name__ == "__main__":
    main()
