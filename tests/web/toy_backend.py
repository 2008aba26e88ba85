"""A network of integers: the tokenizer's scores as a prior, and a hash of what came before.

`web/bench/toy_backend.mjs` is the same in JavaScript, to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keyboard_lm.backends.protocol import Logits
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tokenizer import Tokenizer


class ToyBackend:
    """See the module; a `keyboard_lm.backends.protocol.Backend`."""

    name = "toy"

    def __init__(self, tokenizer: Tokenizer, config: ModelConfig) -> None:
        self.config = config
        self.capacity = config.max_context_length
        self._scores = np.array(tokenizer.scores, np.float32)
        self._spread = np.arange(1, len(self._scores) + 1, dtype=np.uint32) * np.uint32(0x9E3779B1)
        self._hashes = [1]

    @property
    def length(self) -> int:
        return len(self._hashes) - 1

    def prefill(self, token_ids: Sequence[int]) -> Logits:
        self.rewind(0)
        return self.decode(token_ids)

    def decode(self, token_ids: Sequence[int]) -> Logits:
        for token_id in token_ids:
            self._hashes.append(_mix(self._hashes[-1], token_id))
        return self._logits(self._hashes[-1])

    def score_tree(self, token_ids: Sequence[int], parents: Sequence[int]) -> Logits:
        hashes: list[int] = []
        for token_id, parent in zip(token_ids, parents, strict=True):
            hashes.append(_mix(self._hashes[-1] if parent < 0 else hashes[parent], token_id))
        return np.stack([self._logits(each) for each in hashes])

    def rewind(self, length: int) -> None:
        del self._hashes[length + 1 :]

    def _logits(self, state: int) -> Logits:
        mixed = (np.uint32(state) ^ self._spread) * np.uint32(0x85EBCA6B)  # (V,)
        logits: Logits = (self._scores + (mixed >> 22).astype(np.float64) / 128).astype(np.float32)
        return logits


def _mix(state: int, token_id: int) -> int:
    return (state * 31 + token_id + 7) & 0xFFFFFFFF
