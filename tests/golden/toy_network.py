"""The toy network of the golden files: integers only, so that any language gives the same logits bit for bit.

The state after some pieces is a 64-bit hash of them. The logit of a piece is an integer times 2^-18, below 2^24 in
size, which a 32-bit float holds exactly: the tokenizer's score of the piece on that grid, and above it 21 bits of a mix
of state and piece. All arithmetic is modulo 2^64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keyboard_lm.backends.protocol import Logits
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tokenizer import Tokenizer

GRID = 2.0**-18
_START = 0x243F6A8885A308D3
_STEP = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


class ToyNetwork:
    """See the module; a `keyboard_lm.backends.protocol.Backend` that writes down its calls.

    Args:
        tokenizer: whose pieces it predicts.
        config: for the vocabulary and the longest context.

    Attributes:
        calls: every call: its name, and the tokens, parents or length that it was given.
    """

    name = "toy"

    def __init__(self, tokenizer: Tokenizer, config: ModelConfig) -> None:
        self.config = config
        self.capacity = config.max_context_length
        self.calls: list[list[object]] = []
        scores = np.array(tokenizer.scores, np.float64)
        self._prior = np.clip(np.rint(scores / GRID), -(2**22), 0).astype(np.int64)  # (V,)
        self._pieces = np.arange(1, len(scores) + 1, dtype=np.uint64) * np.uint64(_STEP)  # (V,)
        self._states = [_START]

    @property
    def length(self) -> int:
        return len(self._states) - 1

    def prefill(self, token_ids: Sequence[int]) -> Logits:
        self.calls.append(["prefill", list(token_ids)])
        del self._states[1:]
        return self._fed(token_ids)

    def decode(self, token_ids: Sequence[int]) -> Logits:
        self.calls.append(["decode", list(token_ids)])
        return self._fed(token_ids)

    def score_tree(self, token_ids: Sequence[int], parents: Sequence[int]) -> Logits:
        self.calls.append(["score_tree", list(token_ids), list(parents)])
        states: list[int] = []
        for token_id, parent in zip(token_ids, parents, strict=True):
            states.append(_after(self._states[-1] if parent < 0 else states[parent], token_id))
        return np.stack([self._logits(state) for state in states])

    def rewind(self, length: int) -> None:
        self.calls.append(["rewind", length])
        del self._states[length + 1 :]

    def _fed(self, token_ids: Sequence[int]) -> Logits:
        for token_id in token_ids:
            self._states.append(_after(self._states[-1], token_id))
        return self._logits(self._states[-1])

    def _logits(self, state: int) -> Logits:
        mixed = _mix_all(self._pieces ^ np.uint64(state)) >> np.uint64(43)  # 21 bits: from 0 to below 8
        logits: Logits = ((self._prior + mixed.astype(np.int64)) * GRID).astype(np.float32)
        return logits


def _after(state: int, token_id: int) -> int:
    return _mix((state ^ ((token_id + 1) * _STEP)) & _MASK)


def _mix(value: int) -> int:
    # The finaliser of SplitMix64 (Steele, Lea and Flood 2014, "Fast Splittable Pseudorandom Number Generators").
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def _mix_all(values: np.ndarray) -> np.ndarray:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
