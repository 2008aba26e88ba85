"""How often swiped words are read rightly: by the path and frequency alone, and behind a text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from keyboard_lm.evaluation.estimate import Counts, Estimate, Metric, estimate, ratio
from keyboard_lm.evaluation.swipe_data import MarginalFinder, Swipe, letters_of, passes
from keyboard_lm.keyboard.bar import Request
from keyboard_lm.keyboard.suggester import Suggester
from keyboard_lm.swipe.beam import BeamOptions
from keyboard_lm.swipe.decoder import SwipeCandidate
from keyboard_lm.words.lexicon import Lexicon

RANKS = (1, 3, 4)
PRIOR_WEIGHT = 0.5  # of the frequency where nothing else is known: what makes the tuning half's words most probable
NUM_BEST = 100  # words that count as found by the beam
_WITHOUT, _PRIOR, _WITH = "without context", "those with one, by frequency", "with context"


@dataclass(frozen=True)
class SwipeFigures:
    """What was measured.

    Attributes:
        num_swipes: swipes.
        num_placed: of them behind a text.
        rows: for each way to read them, figures by name: ``top1``, ``top3``, ``top4``; without context also ``known``
            (the word is in the lexicon), ``found`` (of those, among the beam's best 100), ``passed`` (of those, swipes
            that lead past the letters of their word) and ``found_passed`` (of those again, found). Percent.
        find_ms: time of one path on one known keyboard, p50 and p95.
        answer_ms: of path to bar with the model, the context having been read before.
    """

    num_swipes: int
    num_placed: int
    rows: dict[str, dict[str, Estimate]]
    find_ms: tuple[float, float]
    answer_ms: tuple[float, float]


def ranking(found: Iterable[SwipeCandidate], frequency_weight: float = PRIOR_WEIGHT) -> list[str]:
    """Return the letters of candidates by likelihood and frequency, each once."""
    order = sorted(found, key=lambda each: (-each.log_likelihood - frequency_weight * each.log_frequency, each.entry))
    return list(dict.fromkeys(letters_of(each.text) for each in order))


def best_100(found: Iterable[SwipeCandidate], options: BeamOptions | None = None) -> list[str]:
    """Return the letters of the 100 words that a beam's own order puts first; several keyboards may have given more."""
    return ranking(found, (options or BeamOptions()).frequency_weight)[:NUM_BEST]


def measure_swipes(
    swipes: Sequence[Swipe], suggester: Suggester, finder: MarginalFinder, lexicon: Lexicon, seed: int = 0
) -> SwipeFigures:
    """Measure a keyboard on swipes; words are right if their letters are.

    Swipes of one word stay together in the intervals' resamples.

    Args:
        swipes: to read.
        suggester: the keyboard; its bar has room for the fourth word, and it reads paths by `finder`.
        finder: finds words for paths.
        lexicon: that they are found in.
        seed: of the intervals.
    """
    known = {letters_of(lexicon.text(entry)) for entry in np.flatnonzero(lexicon.flags == 0).tolist()}
    by_word: dict[str, list[dict[str, float]]] = {}
    find_ms, answer_ms = [], []
    for swipe in swipes:
        word = letters_of(swipe.word)
        finder.grids = swipe.grids
        found = finder.find(swipe.points)
        alone = ranking(found)
        counts = {"swipes": 1.0, "known": float(word in known), "placed": float(bool(swipe.contexts))}
        counts["found"] = float(word in known and word in best_100(found))
        counts["passed"] = float(word in known and passes(swipe, suggester.layout))
        counts["found_passed"] = counts["found"] * counts["passed"]
        for rank in RANKS:
            counts[f"alone{rank}"] = float(word in alone[:rank])
            counts[f"prior{rank}"] = counts["placed"] * counts[f"alone{rank}"]
        behind = [_answer(suggester, context, swipe) for context in swipe.contexts]
        for rank in RANKS:
            hits = [word in answer[:rank] for answer in behind]
            counts[f"behind{rank}"] = sum(hits) / len(hits) if hits else 0.0
        by_word.setdefault(word, []).append(counts)
        finder.grids = (max(swipe.grids, key=lambda grid: grid.share),)
        finder.forget()
        find_ms.append(_timed_ms(partial(finder.find, swipe.points)))
        finder.forget()
        if swipe.contexts:
            answer_ms.append(_timed_ms(partial(_answer, suggester, swipe.contexts[-1], swipe)))
    documents = [_sum(each) for each in by_word.values()]
    return SwipeFigures(
        len(swipes),
        sum(bool(swipe.contexts) for swipe in swipes),
        _rows(documents, seed),
        _percentiles(find_ms),
        _percentiles(answer_ms),
    )


def _answer(suggester: Suggester, context: str, swipe: Swipe) -> list[str]:
    answer = suggester.answer(Request(context, path=swipe.points))
    return list(dict.fromkeys(letters_of(slot.text) for slot in answer.slots))


def _rows(documents: Sequence[Counts], seed: int) -> dict[str, dict[str, Estimate]]:
    metrics = {
        _WITHOUT: [Metric(f"top{rank}", "", ratio(f"alone{rank}", "swipes")) for rank in RANKS]
        + [Metric("known", "", ratio("known", "swipes")), Metric("found", "", ratio("found", "known"))]
        + [Metric("passed", "", ratio("passed", "known")), Metric("found_passed", "", ratio("found_passed", "passed"))],
        _PRIOR: [Metric(f"top{rank}", "", ratio(f"prior{rank}", "placed")) for rank in RANKS],
        _WITH: [Metric(f"top{rank}", "", ratio(f"behind{rank}", "placed")) for rank in RANKS],
    }
    return {name: estimate(documents, row, seed) for name, row in metrics.items()}


def _sum(counts: Sequence[dict[str, float]]) -> Counts:
    return {name: sum(each[name] for each in counts) for name in counts[0]}


def _timed_ms(call: Callable[[], object]) -> float:
    begun = time.thread_time()
    call()
    return (time.thread_time() - begun) * 1000


def _percentiles(times_ms: Sequence[float]) -> tuple[float, float]:
    if not times_ms:
        return 0.0, 0.0
    p50, p95 = np.percentile(times_ms, (50, 95))
    return float(p50), float(p95)
