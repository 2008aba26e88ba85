"""Count how often the word that was meant is among the candidates for what was typed, whatever its rank.

The typist of `keyboard-lm eval` types texts with errors. Each word typed wrong is given to the candidate search; where
a space was missed or put inside a word, which the search does not look for, to the corrector with the bundled model.

    python tests/benchmarks/candidate_recall.py [--data NAME|FILE|FOLDER ...] [--limit N] [--rounds N] [--misses N]

Prints a table for each level of errors, with and without the places of the taps, and one JSON line last. `@n`: recall
among the first n; `kept`: among all that beam and margin keep; `wide`: with a beam and a margin that leave out next to
nothing, so that the rest of the way to 100 % is what the channel or the lexicon lacks. `±` is half the 95 % interval
over documents. All rows but the last are of words in the lexicon. Case is ignored, except where it is the error.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from keyboard_lm.backends import load_backend
from keyboard_lm.cli.table import format_table
from keyboard_lm.correction.candidates import Candidate, CandidateOptions, CandidateSearch
from keyboard_lm.correction.corrector import Corrector
from keyboard_lm.correction.options import CorrectorOptions
from keyboard_lm.decoding.boundaries import Boundaries
from keyboard_lm.evaluation.estimate import Counts, Metric, estimate, ratio
from keyboard_lm.evaluation.noise import ErrorKind
from keyboard_lm.evaluation.texts import EvaluationText, load_texts, sample, shipped_texts
from keyboard_lm.evaluation.typist import TypedUnit, load_typist
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import capitalise
from keyboard_lm.touch.channel import Channel, load_channel_parameters
from keyboard_lm.touch.layout import SPACE, load_layout
from keyboard_lm.words.lexicon import Lexicon, load_lexicon

LEVELS = ("typical", "heavy")
RANKS = (1, 5, 24)
DEPTHS = (*(f"@{rank}" for rank in RANKS), "kept", "wide")
EVERYTHING = CandidateOptions(num_words=10**6)
WIDE = CandidateOptions(num_words=10**6, margin=40.0, beam=20_000)
LENIENT = CorrectorOptions(unknown_ratio=1e-9)  # a word that a space cut in two counts wherever it is the likelier
MAX_NODES = 16
NOWHERE = 10**9
KINDS = {
    ErrorKind.NEIGHBOUR: "substitution", ErrorKind.OMISSION: "omission", ErrorKind.INSERTION: "insertion",
    ErrorKind.DOUBLING: "doubling", ErrorKind.TRANSPOSITION: "transposition", ErrorKind.MISSPELLING: "misspelling",
    ErrorKind.DROPPED_APOSTROPHE: "apostrophe", ErrorKind.MISSED_SHIFT: "case",
    ErrorKind.MISSED_SPACE: "missing space", ErrorKind.STRAY_SPACE: "extra space",
}  # fmt: skip
SPACES = (ErrorKind.MISSED_SPACE, ErrorKind.STRAY_SPACE)
SEVERAL, SEVERAL_SPACE = "several errors", "several, a space too"
FIRST, KNOWN, ALL = "first letter wrong", "in the lexicon", "all"
ROWS = (*KINDS.values(), SEVERAL, SEVERAL_SPACE, FIRST, KNOWN, ALL)


@dataclass(frozen=True)
class Mistyped:
    """One word, or two with the space between them, typed wrong.

    Attributes:
        before: the true text before it.
        unit: what was meant and typed.
        kind: of error; one of `ROWS`.
        is_known: whether a lexicon has what was meant among the words it may offer.
    """

    before: str
    unit: TypedUnit
    kind: str
    is_known: bool

    @property
    def rows(self) -> Iterator[str]:
        """The rows of the table that it counts in."""
        yield ALL
        if self.is_known:
            yield KNOWN
            yield self.kind
            if fold(self.unit.typed[:1]) != fold(self.unit.intended[:1]):
                yield FIRST


@dataclass(frozen=True)
class Found:
    """Where the word that was meant stands among the candidates.

    Attributes:
        rank: from 1 among those that beam and margin keep; `NOWHERE` if it is not.
        wide_log: its logarithm in the wide search; None where it was not needed or did not find it.
    """

    rank: int
    wide_log: float | None = None

    def is_at(self, depth: str) -> bool:
        """Return whether it counts as found at one of `DEPTHS`."""
        if depth == "wide":
            return self.rank < NOWHERE or self.wide_log is not None
        return self.rank < NOWHERE if depth == "kept" else self.rank <= int(depth[1:])


class Finder:
    """Finds what was meant, once with the taps and once without."""

    def __init__(self, lexicon: Lexicon) -> None:
        channel = Channel(load_layout(), lexicon.alphabet, load_channel_parameters())
        checkpoint = Checkpoint.load(bundled_folder())
        self.search = CandidateSearch(lexicon, channel)
        self._everything = CandidateSearch(lexicon, channel, EVERYTHING)
        self._wide = CandidateSearch(lexicon, channel, WIDE)
        boundaries = Boundaries(load_backend("onnx", checkpoint, num_threads=1), checkpoint.tokenizer, MAX_NODES)
        self._boundaries = boundaries
        self.corrector = Corrector(self.search, checkpoint.tokenizer, LENIENT, max_nodes=MAX_NODES)

    def find(self, word: Mistyped, with_taps: bool) -> Found:
        """Return where the word that was meant stands."""
        unit = word.unit
        if not set(SPACES).isdisjoint(unit.errors):
            return Found(self._rank_of_spaced(word))
        taps = unit.taps if with_taps else ()
        for rank, candidate in enumerate(self._everything.find(unit.typed, taps), 1):
            if _is_meant(candidate, unit):
                return Found(rank)
        wide = (each.log_likelihood for each in self._wide.find(unit.typed, taps) if _is_meant(each, unit))
        return Found(NOWHERE, next(wide, None))

    def _rank_of_spaced(self, word: Mistyped) -> int:
        # Among the corrector's hypotheses with another number of spaces than what was typed; taps play no part in them.
        text = word.before + word.unit.typed
        meant = fold(word.before + word.unit.intended)
        readings = (
            text[: len(text) - len(each.replaced)] + each.text
            for each in self.corrector.judge(text, self._boundaries.at).hypotheses
            if each.text.count(SPACE) != each.replaced.count(SPACE)
        )
        return next((rank for rank, reading in enumerate(readings, 1) if fold(reading) == meant), NOWHERE)


def _is_meant(candidate: Candidate, unit: TypedUnit) -> bool:
    if ErrorKind.MISSED_SHIFT in unit.errors:
        return unit.intended in (candidate.text, capitalise(candidate.text))
    return fold(candidate.text) == fold(unit.intended)


def _kind_of(errors: Sequence[ErrorKind]) -> str:
    if len(errors) == 1:
        return KINDS[errors[0]]
    return SEVERAL if set(SPACES).isdisjoint(errors) else SEVERAL_SPACE


def mistype(texts: Iterable[EvaluationText], level: str, num_rounds: int, lexicon: Lexicon) -> list[list[Mistyped]]:
    """Return the words typed wrong of each document; stretches with a doubled space, which keep their words, left out.

    Args:
        texts: to type.
        level: of errors.
        num_rounds: how often each text is typed.
        lexicon: that says which words are known.
    """
    typist, rng = load_typist(level), np.random.default_rng(0)

    def is_known(intended: str) -> bool:
        return all(any(not lexicon.flags[e] for e in lexicon.entries_of(word)) for word in intended.split(SPACE))

    return [
        [
            Mistyped(message[: unit.start], unit, _kind_of(unit.errors), is_known(unit.intended))
            for _ in range(num_rounds)
            for message in document
            for unit in typist.type_units(message, rng)
            if unit.typed != unit.intended and ErrorKind.DOUBLED_SPACE not in unit.errors
        ]
        for text in texts
        for document in text.documents
    ]


def count(words: Sequence[Mistyped], found: Sequence[Found]) -> Counts:
    """Return how many words of one document were found in each row at each depth."""
    counts = dict.fromkeys((f"{row}{depth}" for row in ROWS for depth in ("", *DEPTHS)), 0.0)
    for word, place in zip(words, found, strict=True):
        for row in word.rows:
            counts[row] += 1
            for depth in DEPTHS:
                counts[f"{row}{depth}"] += place.is_at(depth)
    return counts


def tabulate(documents: Sequence[Counts]) -> dict[str, Any]:
    """Print recall by row and depth, and return it."""
    metrics = [Metric(f"{row}{depth}", depth, ratio(f"{row}{depth}", row)) for row in ROWS for depth in DEPTHS]
    figures = estimate(documents, metrics, seed=0)
    table = [("", "words", *(f"{depth} %" for depth in DEPTHS))]
    found: dict[str, Any] = {}
    for row in ROWS:
        if not (num := sum(counts[row] for counts in documents)):
            continue
        cells = [figures[f"{row}{depth}"] for depth in DEPTHS]
        marked = (f"±{cell.margin:.1f}" if depth == "@24" else "" for depth, cell in zip(DEPTHS, cells, strict=True))
        table.append((row, f"{num:,.0f}", *(f"{c.value:.1f}{m}" for c, m in zip(cells, marked, strict=True))))
        values = {depth: round(cell.value, 2) for depth, cell in zip(DEPTHS, cells, strict=True)}
        found[row] = {"words": int(num), **values}
    print(format_table(table))
    return found


def print_misses(words: Sequence[Mistyped], found: Sequence[Found], num: int) -> None:
    """Print the most frequent words that are not among the first 24 candidates, and why."""
    misses = Counter(
        (word.kind, word.unit.intended, word.unit.typed, _reason(word, place))
        for word, place in zip(words, found, strict=True)
        if not place.is_at("@24")
    )
    rows = [("kind", "meant", "typed", "times", "why")]
    rows += [(kind, meant, typed, str(n), why) for (kind, meant, typed, why), n in misses.most_common(num)]
    print(format_table(rows) if misses else "no misses")
    reasons: Counter[str] = Counter()
    for (kind, _, _, why), n in misses.items():
        reasons[f"{kind}, {why.split(',')[0]}"] += n
    print("misses by kind: " + "; ".join(f"{reason} {n}" for reason, n in reasons.most_common()))


def _reason(word: Mistyped, place: Found) -> str:
    if not word.is_known:
        return "not in the lexicon"
    if place.rank < NOWHERE:
        return f"ranked low, {place.rank}"
    if place.wide_log is not None:
        return f"outside the margin, {place.wide_log:.1f}"
    return "no way to type it" if set(SPACES).isdisjoint(word.unit.errors) else "no such pair or join"


def time_search(lexicon: Lexicon, words: Sequence[Mistyped], with_taps: bool) -> dict[str, float]:
    """Return the milliseconds that one letter more takes, words being typed letter by letter."""
    channel = Channel(load_layout(), lexicon.alphabet, load_channel_parameters())
    search = CandidateSearch(lexicon, channel)
    times_ms = []
    for word in words:
        for end in range(1, len(word.unit.typed) + 1):
            taps = word.unit.taps[:end] if with_taps else ()
            start_s = time.perf_counter()
            search.find(word.unit.typed[:end], taps)
            times_ms.append((time.perf_counter() - start_s) * 1000)
    return {"p50_ms": round(statistics.median(times_ms), 3), "p95_ms": round(float(np.percentile(times_ms, 95)), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", action="append", default=[], help="as in keyboard-lm eval; by default what ships")
    parser.add_argument("--errors", nargs="+", choices=LEVELS, default=LEVELS)
    parser.add_argument("--limit", type=int, help="messages of each text")
    parser.add_argument("--rounds", type=int, default=1, help="how often each text is typed")
    parser.add_argument("--misses", type=int, default=0, help="how many of the most frequent misses to print")
    options = parser.parse_args()
    texts = [text for source in options.data for text in load_texts(source)] or shipped_texts()
    if options.limit:
        texts = [sample(text, options.limit) for text in texts]
    lexicon = load_lexicon()
    finder = Finder(lexicon)
    results: dict[str, Any] = {"options": asdict(finder.search.options), "texts": [text.name for text in texts]}
    for level in options.errors:
        documents = mistype(texts, level, options.rounds, lexicon)
        words = [word for document in documents for word in document]
        protected = sum(finder.corrector.protects(word.before + word.unit.typed, word.unit.typed) for word in words)
        results[level] = {"protected": protected}
        for taps in (True, False):
            found = [[finder.find(word, taps) for word in document] for document in documents]
            times = time_search(lexicon, words[:500], taps)
            print(f"\n{level} errors, {'places of the taps known' if taps else 'letters alone'}")
            figures = tabulate([count(*pair) for pair in zip(documents, found, strict=True)])
            print("one letter more: " + ", ".join(f"{name} {value:.3f}" for name, value in times.items()))
            if options.misses:
                print_misses(words, [place for document in found for place in document], options.misses)
            results[level]["taps" if taps else "letters"] = {**figures, "time": times}
        print(f"\nof these {len(words):,} words the corrector leaves {protected} alone for their form (`protects`)")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
