"""What every evaluation task has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from keyboard_lm.evaluation.engine import Engine
from keyboard_lm.evaluation.estimate import Counts, Metric
from keyboard_lm.evaluation.language_model import LanguageModelScorer
from keyboard_lm.evaluation.typist import Typist

Document = TypeVar("Document", contravariant=True)  # normalised messages, or recorded stretches of typing


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        engine: the keyboard.
        scorer: of its language model; None for a keyboard that has none to ask.
    """

    engine: Engine
    scorer: LanguageModelScorer | None = None


@dataclass(frozen=True)
class Conditions:
    """Under which it is measured.

    Attributes:
        typist: who types; some tasks have the text typed with this typist's errors.
        slots: the bar lengths that keystroke savings are measured for.
        fold_case: whether words that differ only in case are the same; for text without any capital.
    """

    typist: Typist
    slots: tuple[int, ...] = (1, 3, 5)
    fold_case: bool = False

    def same(self, offered: str, wanted: str) -> bool:
        """Return whether a typist who wants one word takes another for it."""
        return offered == wanted or (self.fold_case and offered.casefold() == wanted.casefold())


class Task(Protocol[Document]):
    """One way of measuring; the counts of a document depend on nothing but the arguments.

    Attributes:
        name: on the command line.
        needs_scorer: whether it measures the language model and not the keyboard.
        default_errors: how the typist types unless told otherwise.
    """

    name: str
    needs_scorer: bool
    default_errors: str

    def metrics(self, slots: tuple[int, ...]) -> tuple[Metric, ...]:
        """Return the figures that its counts give."""
        ...

    def measure(self, subject: Subject, document: Document, conditions: Conditions, rng: np.random.Generator) -> Counts:
        """Return the counts of one document.

        Args:
            subject: what is measured.
            document: messages, each a text field of its own (or recorded stretches of typing).
            conditions: under which.
            rng: what the typist draws from.
        """
        ...
