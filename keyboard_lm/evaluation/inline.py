"""Inline prediction: how often text is offered ahead of the cursor, and how often it is what was written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keyboard_lm.evaluation.estimate import Counts, Metric, count, ratio
from keyboard_lm.evaluation.task import Conditions, Subject


class Inline:
    """Types each message key by key and looks at the ghost text before every key.

    Coverage is the share of keys before which there was any. It is right if it is, to its last character, what the
    message goes on with. A typist takes it, with one key, where it is right and longer than one character, and goes on
    behind it; what the key would have cost otherwise is saved, and so is each word that begins in it.
    """

    name = "inline"
    needs_scorer = False
    default_errors = "perfect"

    def metrics(self, slots: tuple[int, ...]) -> tuple[Metric, ...]:
        """Return coverage, precision, and the characters and words saved for every hundred."""
        return (
            count("keys", "keys"),
            Metric("coverage", "coverage %", ratio("shown", "keys")),
            Metric("precision", "precision %", ratio("right", "shown")),
            Metric("chars_saved", "characters saved %", ratio("chars_saved", "chars")),
            Metric("words_saved", "words saved %", ratio("words_saved", "words")),
        )

    def measure(
        self, subject: Subject, document: Sequence[str], conditions: Conditions, rng: np.random.Generator
    ) -> Counts:
        """Return keys pressed, offers, right offers, and what they saved in one document."""
        counts = dict.fromkeys(("keys", "shown", "right", "chars_saved", "words_saved"), 0)
        for message in document:
            subject.engine.start_field()
            position = 0
            while position < len(message):
                ghost = subject.engine.bar(message[:position], num_slots=0).ghost
                rest = message[position : position + len(ghost)]
                is_right = bool(ghost) and conditions.same(ghost, rest)
                counts["keys"] += 1
                counts["shown"] += bool(ghost)
                counts["right"] += is_right
                if is_right and len(ghost) > 1:
                    counts["chars_saved"] += len(ghost) - 1
                    is_begun = position > 0 and not message[position - 1].isspace() and not ghost[0].isspace()
                    counts["words_saved"] += len(ghost.split()) - is_begun
                    position += len(ghost)
                else:
                    position += 1
        return {
            **counts,
            "chars": sum(map(len, document)),
            "words": sum(len(message.split()) for message in document),
        }
