"""Compare the search for words with one that goes ten times as far.

At each keystroke of some messages, after the true text, `find_words` as `Predictor` calls it for a bar of 3 and one of
5 is held against a wide search: 100 rounds of 64 nodes (ten times the nodes and ten times the rounds, as the KV cache
has room for them), `stop_ratio` and `negligible` a tenth.

    python tests/benchmarks/search_recall.py [--model FOLDER] [--data NAME|FILE|FOLDER ...] [--messages 300]
        [--misses N]

Prints a table by the letters typed, and one JSON line last. `top-1`: both put the same word first; `recall`: the share
of the wide search's first k that are among the first k; `mass`: the same, each word weighed by its probability; `ms`
and `calls`: of one search, the median and the mean, the context's own call left out.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from keyboard_lm.backends import load_backend
from keyboard_lm.cli.table import format_table
from keyboard_lm.decoding.boundaries import Boundaries
from keyboard_lm.decoding.search import SearchOptions, SearchResult, find_words
from keyboard_lm.device.turn import Turn
from keyboard_lm.evaluation.texts import EvaluationText, load_texts, shipped_texts
from keyboard_lm.evaluation.words import words_of
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import TypedText

BARS = {"bar of 3": 3, "bar of 5": 5}
WIDEST = "wide"
DEFAULT = SearchOptions()
WIDE = SearchOptions(
    max_rounds=100,
    max_nodes=64,
    stop_ratio=DEFAULT.stop_ratio / 10,
    negligible=DEFAULT.negligible / 10,
)
NUM_WIDE = max(BARS.values()) + 1  # words
LONGEST = 3  # letters typed; more are counted with these
BUCKETS = (*(str(n) for n in range(LONGEST)), f"{LONGEST}+", "all")
GRAVE = 0.01  # of a bar's probability
RAN_OUT, STOPPED = "rounds ran out", "stopped before"


@dataclass(frozen=True)
class Question:
    """One keystroke.

    Attributes:
        text: before the cursor, the letters of the word under it included.
        prefix: those letters, without the capital that a keyboard puts at the beginning of a sentence.
    """

    text: str
    prefix: str


@dataclass(frozen=True)
class Answer:
    """What one search found, and at what cost."""

    result: SearchResult
    ms: float
    num_calls: int


@dataclass(frozen=True)
class Score:
    """One default search held against the wide one.

    Attributes:
        is_same: whether both put the same word first.
        recall: share of the wide search's words that it found.
        mass: the same, by probability.
        lost: the most probable word that it did not find, and its share of the wide search's words; None for none.
    """

    is_same: bool
    recall: float
    mass: float
    lost: tuple[str, float] | None


class Miss(NamedTuple):
    """A word that a default search did not find."""

    share: float
    search: str
    before: str
    word: str
    why: str


class Searcher:
    """One way to search, with a cache of its own, so that no search profits from what another has asked.

    Contexts are cut as the widest search needs it, so that all are asked about the same.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._form = checkpoint.tokenizer.form
        self._boundaries = Boundaries(
            load_backend("onnx", checkpoint, num_threads=1), checkpoint.tokenizer, WIDE.max_nodes
        )

    def split(self, text: str) -> TypedText:
        """Return what the network and the search are asked about a text."""
        return self._form.split_typed(text)

    def ask(self, question: Question, num_words: int, options: SearchOptions) -> Answer:
        """Search."""
        turn = Turn()
        boundary = self._boundaries.at(self.split(question.text), turn)
        num_fed, start_s = turn.num_calls, time.perf_counter()
        result = find_words(self._boundaries.table, boundary, question.prefix, num_words, options)
        ms = (time.perf_counter() - start_s) * 1000
        return Answer(result, ms, turn.num_calls - num_fed)


def keystrokes(texts: Sequence[EvaluationText], num_messages: int) -> Iterator[str]:
    """Yield the text before the cursor at each keystroke of the words of some messages.

    Args:
        texts: to draw messages from, from each as many.
        num_messages: from all texts together.
    """
    rng = random.Random(0)
    for text in texts:
        messages = [message for document in text.documents for message in document]
        for message in rng.sample(messages, min(len(messages), num_messages // len(texts))):
            for word in words_of(message):
                yield from (message[:end] for end in range(word.start, word.end))


def score(found: SearchResult, wide: SearchResult, bar: int) -> Score:
    """Hold the first words of one search against those of the wide one."""
    best = wide.words[:bar]
    keys = [fold(word.text) for word in found.words[:bar]]
    missed = [word for word in best if fold(word.text) not in keys]
    total = sum(word.probability for word in best)
    lost = (missed[0].text, missed[0].probability / total) if missed else None
    missed_mass = sum(word.probability for word in missed)
    is_same = keys[:1] == [fold(word.text) for word in best[:1]]
    return Score(is_same, 1 - len(missed) / len(best), 1 - missed_mass / total, lost)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=None, help="checkpoint; the bundled model by default")
    parser.add_argument("--data", action="append", default=[], help="as in keyboard-lm eval; by default what ships")
    parser.add_argument("--messages", type=int, default=300, help="of all texts together")
    parser.add_argument("--misses", type=int, default=0, help="how many of the gravest to print")
    options = parser.parse_args()
    texts = [text for source in options.data for text in load_texts(source)] or shipped_texts()
    checkpoint = Checkpoint.load(options.model or bundled_folder())
    searchers = {name: Searcher(checkpoint) for name in (*BARS, WIDEST)}
    scores: dict[tuple[str, str], list[Score]] = defaultdict(list)  # by search and row
    answers: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    misses: list[Miss] = []
    for text in keystrokes(texts, options.messages):
        typed = searchers[WIDEST].split(text)
        prefix = typed.partial
        if prefix and typed.starts_sentence:
            prefix = fold(prefix[0]) + prefix[1:]
        question = Question(text, prefix)
        wide = searchers[WIDEST].ask(question, NUM_WIDE, WIDE)
        if not wide.result.words:
            continue
        rows = BUCKETS[min(len(prefix), LONGEST)], BUCKETS[-1]
        for row in rows:
            answers[WIDEST, row].append(wide)
        for name, length in BARS.items():
            found = searchers[name].ask(question, length + 1 if prefix else length, DEFAULT)
            compared = score(found.result, wide.result, length)
            for row in rows:
                answers[name, row].append(found)
                scores[name, row].append(compared)
            if compared.lost is not None:
                why = RAN_OUT if found.result.num_rounds == DEFAULT.max_rounds else STOPPED
                word, share = compared.lost
                misses.append(Miss(share, name, text[-40:], word, why))
    figures = report(scores, answers)
    report_misses(misses, options.misses)
    print(json.dumps({"checkpoint": checkpoint.digest[:16], "misses": len(misses), **figures}))


def report(
    scores: dict[tuple[str, str], list[Score]], answers: dict[tuple[str, str], list[Answer]]
) -> dict[str, dict[str, Any]]:
    """Print how the searches compare, and return it."""
    table: list[tuple[str, ...]] = []
    table.append(("search", "letters", "keystrokes", "top-1 %", "recall %", "mass %", "ms", "p95 ms", "calls", "most"))
    figures: dict[str, dict[str, Any]] = {}
    for name in (*BARS, WIDEST):
        for row in BUCKETS:
            asked, compared = answers[name, row], scores[name, row]
            if not asked:
                continue
            times = sorted(answer.ms for answer in asked)
            calls = [answer.num_calls for answer in asked]
            found = {"p50_ms": statistics.median(times), "p95_ms": times[int(0.95 * (len(times) - 1))]}
            found |= {"calls": statistics.fmean(calls), "most_calls": max(calls)}
            if compared:
                found["top1"] = 100 * statistics.fmean(each.is_same for each in compared)
                found["recall"] = 100 * statistics.fmean(each.recall for each in compared)
                found["mass"] = 100 * statistics.fmean(each.mass for each in compared)
            figures.setdefault(name, {})[row] = {"keystrokes": len(asked)} | {k: round(v, 3) for k, v in found.items()}
            shares = tuple(f"{found[key]:.2f}" if key in found else "" for key in ("top1", "recall", "mass"))
            costs = (f"{found['p50_ms']:.2f}", f"{found['p95_ms']:.2f}", f"{found['calls']:.2f}", str(max(calls)))
            table.append((name, row, f"{len(asked):,}", *shares, *costs))
    print(format_table(table))
    return figures


def report_misses(misses: Sequence[Miss], num: int) -> None:
    """Print how many words were missed and why, and the gravest."""
    for name in BARS:
        shares = [miss.share for miss in misses if miss.search == name]
        ran_out = sum(miss.why == RAN_OUT for miss in misses if miss.search == name)
        grave = sum(share > GRAVE for share in shares)
        print(
            f"{name}: {len(shares):,} searches missed a word, {grave:,} of them one that holds over {GRAVE:.0%} of the "
            f"bar's probability; {RAN_OUT} in {ran_out:,}, the others had {STOPPED}"
        )
    for miss in sorted(misses, key=lambda miss: -miss.share)[:num]:
        print(f"{miss.share:6.1%} of the bar  {miss.search}  {miss.why:<14}  {miss.word:<16} after {miss.before!r}")


if __name__ == "__main__":
    main()
