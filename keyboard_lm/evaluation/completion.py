"""Completion: how often the word being typed is among the first three offered, by how much of it was typed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.evaluation.engine import may_offer
from keyboard_lm.evaluation.estimate import Counts, Metric, Sums, count, ratio
from keyboard_lm.evaluation.task import Conditions, Subject
from keyboard_lm.evaluation.words import words_of

NUM_SLOTS = 3
QUARTERS = ("first", "second", "third", "last")  # of the word, by the share of it that was typed
_GROUPS = (*QUARTERS, *(f"typo_{quarter}" for quarter in QUARTERS))


class Completion:
    """Asks for the bar after every proper prefix of every word of two letters or more; case is ignored.

    The four quarters are prefixes of up to 25, 50, 75 and under 100 % of the word, typed right. ``typo`` are the
    prefixes of the word as the typist would type it that are not prefixes of the word, by the same quarters.
    """

    name = "completion"
    needs_scorer = False
    default_errors = "typical"

    def metrics(self, slots: tuple[int, ...]) -> tuple[Metric, ...]:
        """Return top-3 accuracy over all rightly typed prefixes, by quarter, and over those with a typo."""
        return (
            count("prefixes", "prefixes"),
            Metric(
                "top3",
                "top-3 %",
                lambda sums: 100 * sum(sums[f"{q}_hits"] for q in QUARTERS) / sums["prefixes"],
            ),
            *(Metric(f"{q}_top3", f"{q} quarter %", ratio(f"{q}_hits", f"{q}_prefixes")) for q in QUARTERS),
            Metric("typo_top3", "with typo %", _all_typos),
            *(
                Metric(f"typo_{q}_top3", f"typo, {q} quarter %", ratio(f"typo_{q}_hits", f"typo_{q}_prefixes"))
                for q in QUARTERS
            ),
        )

    def measure(
        self, subject: Subject, document: Sequence[str], conditions: Conditions, rng: np.random.Generator
    ) -> Counts:
        """Return prefixes and hits of one document."""
        counts = {"prefixes": 0, **{f"{group}_{what}": 0 for group in _GROUPS for what in ("prefixes", "hits")}}
        for message in document:
            subject.engine.start_field()
            for word in words_of(message):
                before, wanted = message[: word.start], word.text.casefold()
                for length in range(1, len(word.text)):
                    slots = subject.engine.bar(before + word.text[:length], NUM_SLOTS).slots
                    quarter = _quarter(length, word.text)
                    counts["prefixes"] += 1
                    counts[f"{quarter}_prefixes"] += 1
                    counts[f"{quarter}_hits"] += _offered(wanted, slots)
                typed = conditions.typist.type_word(word.text, rng)
                for length in range(1, len(word.text)):
                    prefix = typed.typed[:length]
                    if len(prefix) == length and not word.text.startswith(prefix):
                        quarter = _quarter(length, word.text)
                        counts[f"typo_{quarter}_prefixes"] += 1
                        if may_offer(subject.engine, before + prefix, wanted):
                            slots = subject.engine.bar(before + prefix, NUM_SLOTS, typed.taps[:length]).slots
                            counts[f"typo_{quarter}_hits"] += _offered(wanted, slots)
        return counts


def _offered(wanted: str, slots: tuple[str, ...]) -> bool:
    return wanted in (slot.casefold() for slot in slots)


def _quarter(length: int, word: str) -> str:
    return QUARTERS[math.ceil(4 * length / len(word)) - 1]


def _all_typos(sums: Sums) -> NDArray[np.float64]:
    hits, prefixes = (
        np.sum([sums[f"typo_{quarter}_{what}"] for quarter in QUARTERS], axis=0) for what in ("hits", "prefixes")
    )
    found: NDArray[np.float64] = 100 * hits / prefixes
    return found
