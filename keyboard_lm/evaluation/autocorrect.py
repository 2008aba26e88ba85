"""Autocorrection: what it mends, and what it breaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.evaluation.engine import Engine, FieldEngine, after_slot, finished, may_offer, word_under_cursor
from keyboard_lm.evaluation.estimate import Counts, Metric, Sums, count, ratio
from keyboard_lm.evaluation.replay import ReplayedUnit
from keyboard_lm.evaluation.task import Conditions, Subject
from keyboard_lm.evaluation.typist import TypedUnit

BETA = 0.9  # precision weighs a little more than recall, as in kebbie
NUM_SLOTS = 3
_COUNTS = ("right", "wrong", "mended", "broken", "rewritten", "shown")


class _Outcomes:
    """What a space makes of what was typed.

    By what was typed and what stands there afterwards: wrong and mended, wrong and not, right and kept, right and
    broken. Precision is mended / (mended + broken), recall mended / wrong, and F weighs them with beta 0.9 (kebbie's
    `Scorer`). Damage is broken / right; in slang much of it is a capital or an apostrophe that the writer does without
    (``i``, ``dont``), so that of other letters is counted by itself, and the precision with it. A stretch typed with a
    missed or a stray space counts as one word.
    """

    name = "autocorrect"
    needs_scorer = False
    default_errors = "typical"

    def metrics(self, slots: tuple[int, ...]) -> tuple[Metric, ...]:
        """Return precision, recall, F0.9, damage, also of letters alone, and how often the bar showed the word."""
        return (
            count("right", "typed right"),
            count("wrong", "typed wrong"),
            Metric("precision", "precision %", lambda sums: 100 * _precision(sums)),
            Metric("letters_precision", "letters precision %", lambda sums: 100 * _precision(sums, "rewritten")),
            Metric("recall", "recall %", ratio("mended", "wrong")),
            Metric("f", f"F{BETA} %", lambda sums: 100 * _f(sums)),
            Metric("damage", "damage %", ratio("broken", "right"), 2, higher_is_better=False),
            Metric("rewritten", "letters damaged %", ratio("rewritten", "right"), 2, higher_is_better=False),
            Metric("shown", "meant word shown %", ratio("shown", "wrong")),
        )


class Autocorrect(_Outcomes):
    """Has every word of a message typed, errors and all, after the true text before it, and then a space."""

    def measure(
        self, subject: Subject, document: Sequence[str], conditions: Conditions, rng: np.random.Generator
    ) -> Counts:
        """Return the counts of one document."""
        counts = dict.fromkeys(_COUNTS, 0)
        for message in document:
            subject.engine.start_field()
            for unit in conditions.typist.type_units(message, rng):
                _add_outcome(counts, subject.engine, message[: unit.start], unit, conditions)
        return counts


class ReplayedAutocorrect(_Outcomes):
    """The same for what people really typed: each recorded stretch after the text that it was meant to follow."""

    def measure(
        self, subject: Subject, document: Sequence[ReplayedUnit], conditions: Conditions, rng: np.random.Generator
    ) -> Counts:
        """Return the counts of one recording."""
        counts = dict.fromkeys(_COUNTS, 0)
        for unit in document:
            subject.engine.start_field()
            _add_outcome(counts, subject.engine, unit.context, unit, conditions)
        return counts


def _add_outcome(
    counts: dict[str, int], engine: Engine, before: str, unit: TypedUnit | ReplayedUnit, conditions: Conditions
) -> None:
    text, wanted = before + unit.typed, before + unit.intended
    was_right = conditions.same(unit.typed, unit.intended)
    # What a bar would have shown matters of wrong words; but a field goes on from the bar that its user saw.
    rest = wanted[len(text) - len(word_under_cursor(text)) :]
    is_asked = isinstance(engine, FieldEngine) or (not was_right and may_offer(engine, text, rest))
    bar = engine.bar(text, NUM_SLOTS if is_asked else 0, unit.taps)
    result = finished(engine, text, unit.taps, bar)
    is_right = conditions.same(result, wanted)
    if was_right:
        counts["right"] += 1
        counts["broken"] += not is_right
        counts["rewritten"] += _letters(result) != _letters(wanted)
    else:
        counts["wrong"] += 1
        counts["mended"] += is_right
        shown = (after_slot(text, slot) for slot in bar.slots)
        counts["shown"] += is_right or any(conditions.same(each, wanted) for each in shown)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _precision(sums: Sums, broken: str = "broken") -> NDArray[np.float64]:
    return sums["mended"] / (sums["mended"] + sums[broken])


def _f(sums: Sums) -> NDArray[np.float64]:
    # (1 + b^2) P R / (b^2 P + R) without the two divisions: 0 and not undefined where nothing was mended.
    mended = (1 + BETA**2) * sums["mended"]
    return mended / (mended + BETA**2 * (sums["wrong"] - sums["mended"]) + sums["broken"])
