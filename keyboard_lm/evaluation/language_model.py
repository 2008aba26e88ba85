"""What a text costs to write down with a model's predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.backends.protocol import ROOT, Backend, Logits
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.form import normalise

MAX_CHAIN = 64  # tokens of one call: the logits (tokens x vocabulary) of more would be the largest thing in memory


@dataclass(frozen=True)
class MessageCost:
    """What one message costs to write down with the model's predictions.

    Attributes:
        bits: over its pieces and its end.
        num_bytes: UTF-8 bytes of the normalised message and one for its line break.
        num_words: its white-space separated words.
    """

    bits: float
    num_bytes: int
    num_words: int


class LanguageModelScorer:
    """Scores documents framed as in training: `<s>`, then each message's pieces ended by `</s>`.

    What does not fit the KV cache is scored in windows: a full cache is refilled with its later half, so after the
    first window every token has at least about that much context.

    Args:
        backend: the network; nobody else may use its cache.
        tokenizer: the one it was trained with.
    """

    def __init__(self, backend: Backend, tokenizer: Tokenizer) -> None:
        self._backend = backend
        self._tokenizer = tokenizer
        self._capacity = min(backend.capacity, backend.config.max_context_length)
        self._chain = min(MAX_CHAIN, self._capacity // 2)

    def document(self, messages: Sequence[str]) -> list[MessageCost]:
        """Return the cost of each of some messages that follow one another; empty ones are left out."""
        lines = [line for message in messages if (line := normalise(message).replace("\n", " "))]
        encoded = [self._tokenizer.encode_message(line) for line in lines]
        bits = self._bits([piece_id for ids in encoded for piece_id in ids])
        ends = np.cumsum([len(ids) for ids in encoded], dtype=np.intp)
        return [
            MessageCost(float(bits[end - len(ids) : end].sum()), len(line.encode()) + 1, len(line.split()))
            for line, ids, end in zip(lines, encoded, ends, strict=True)
        ]

    def _bits(self, ids: list[int]) -> NDArray[np.float64]:
        """Return the bits of each token of one document, (T,)."""
        bits = np.zeros(len(ids))  # (T,)
        cached = [self._tokenizer.bos_id]
        next_logits = self._backend.prefill(cached)  # (V,)
        for start in range(0, len(ids), self._chain):
            chain = ids[start : start + self._chain]
            if len(cached) + len(chain) > self._capacity:
                cached = [self._tokenizer.bos_id, *cached[len(cached) - self._capacity // 2 + 1 :]]
                self._backend.prefill(cached)
            after = self._backend.score_tree(chain, [ROOT, *range(len(chain) - 1)])  # (T, V)
            before = np.vstack([next_logits, after[:-1]])  # (T, V)
            bits[start : start + len(chain)] = _bits_of(before, chain)
            next_logits = after[-1]
            if start + self._chain < len(ids):
                self._backend.decode(chain)
                cached += chain
        return bits


def _bits_of(logits: Logits, ids: Sequence[int]) -> NDArray[np.float64]:
    """Return minus the binary logarithm of each id's probability, (T,), from logits (T, V)."""
    shifted = (logits - logits.max(axis=1, keepdims=True)).astype(np.float64)  # (T, V)
    nats = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(ids)), list(ids)]  # (T,)
    bits: NDArray[np.float64] = nats / np.log(2)
    return bits
