"""Next-word accuracy: how often the word that was written is among the first few offered before it was begun."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keyboard_lm.evaluation.estimate import Counts, Metric, count, ratio
from keyboard_lm.evaluation.task import Conditions, Subject
from keyboard_lm.evaluation.words import words_of

RANKS = (1, 3, 5)


class NextWord:
    """Asks for the bar before every word of a message, with the true text before it (teacher-forced).

    Every word counts, those that no vocabulary holds included. ``folded`` ignores case, ``cased`` does not.
    """

    name = "next-word"
    needs_scorer = False
    default_errors = "perfect"

    def metrics(self, slots: tuple[int, ...]) -> tuple[Metric, ...]:
        """Return top-1, top-3 and top-5 accuracy, case ignored and not."""
        return (
            count("words", "words"),
            *(Metric(f"folded{rank}", f"top-{rank} %", ratio(f"folded{rank}", "words")) for rank in RANKS),
            *(Metric(f"cased{rank}", f"cased top-{rank} %", ratio(f"cased{rank}", "words")) for rank in RANKS),
        )

    def measure(
        self, subject: Subject, document: Sequence[str], conditions: Conditions, rng: np.random.Generator
    ) -> Counts:
        """Return words and hits of one document."""
        counts = {"words": 0, **{f"{kind}{rank}": 0 for kind in ("folded", "cased") for rank in RANKS}}
        for message in document:
            subject.engine.start_field()
            for word in words_of(message):
                slots = subject.engine.bar(message[: word.start], max(RANKS)).slots
                counts["words"] += 1
                _add_hits(counts, "cased", word.text, slots)
                _add_hits(counts, "folded", word.text.casefold(), tuple(slot.casefold() for slot in slots))
        return counts


def _add_hits(counts: dict[str, int], kind: str, word: str, offered: tuple[str, ...]) -> None:
    for rank in RANKS:
        counts[f"{kind}{rank}"] += word in offered[:rank]
