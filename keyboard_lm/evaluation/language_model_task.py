"""The language model alone: bits per byte and perplexity per word, which no tokenizer changes the meaning of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keyboard_lm.evaluation.estimate import Counts, Metric, count
from keyboard_lm.evaluation.task import Conditions, Subject


class LanguageModel:
    """Sums the bits of all of a document: words, punctuation and message ends, each message after those before it.

    A byte is one of the normalised text's UTF-8, a line break for each message included; a word is what white space
    parts, and what stands around it is part of its cost.
    """

    name = "language-model"
    needs_scorer = True
    default_errors = "perfect"

    def metrics(self, slots: tuple[int, ...]) -> tuple[Metric, ...]:
        """Return bits per byte and perplexity per word."""
        return (
            count("bytes", "bytes"),
            count("words", "words"),
            Metric("bits_per_byte", "bits/byte", lambda sums: sums["bits"] / sums["bytes"], 3, higher_is_better=False),
            Metric(
                "word_perplexity",
                "perplexity/word",
                lambda sums: np.exp2(sums["bits"] / sums["words"]),
                0,
                higher_is_better=False,
                is_skewed=True,
            ),
        )

    def measure(
        self, subject: Subject, document: Sequence[str], conditions: Conditions, rng: np.random.Generator
    ) -> Counts:
        """Return bits, bytes and words of one document."""
        if subject.scorer is None:
            raise ValueError("this subject has no language model to score")
        subject.engine.start_field()  # the scorer takes the network's cache
        costs = subject.scorer.document(document)
        return {
            "bits": sum(cost.bits for cost in costs),
            "bytes": sum(cost.num_bytes for cost in costs),
            "words": sum(cost.num_words for cost in costs),
        }
