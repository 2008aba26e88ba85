"""Another tokenizer's next-token distribution laid on our pieces, with our own model saying what it leaves open.

Where a form token begins, our next piece p and the native next token t have a joint distribution: our own model gives
q(p), the corpus P(t | p): which token begins where piece p begins. The teacher knows better how probable each t is. So
the joint keeps its conditionals and takes the teacher's marginal (Jeffrey's rule of conditioning, "The Logic of
Decision", 1965):

    P(p) = q(p) sum_t P(t | p) N(t) / Q(t),   Q(t) = sum_p q(p) P(t | p)

A token that is one of our words passes its probability on; one that begins several of ours (" I" of "I'll" and "I'm",
"Bir" of "Birthday") is shared out as our own model would. A piece that was never counted in such a place keeps what our
own model gives it; nothing is lost.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from keyboard_lm.errors import CheckpointError
from keyboard_lm_training.teach.native_text import NUM_KINDS, NativeWindow

_LEAST = 1e-30


@dataclass(frozen=True)
class _Table:
    # P(t | p) of one kind of place: by_piece (V, N) and by_token (N, V), sparse; N native tokens. Of each piece,
    # (V, 1), whether it was counted.
    by_piece: Tensor
    by_token: Tensor
    is_counted: Tensor

    def to(self, device: torch.device) -> _Table:
        return _Table(self.by_piece.to(device), self.by_token.to(device), self.is_counted.to(device))


class Projection:
    """The tables P(t | p), one for each kind of place.

    Args:
        counts: of each kind, rows (piece, token, count), (R, 3).
        num_pieces: our vocabulary (V).
        num_tokens: the native one (N).
    """

    def __init__(self, counts: list[NDArray[np.int64]], num_pieces: int, num_tokens: int) -> None:
        self.counts, self.num_pieces, self.num_tokens = counts, num_pieces, num_tokens
        self._tables = [self._table(rows) for rows in counts]

    @classmethod
    def count(
        cls, pairs: Iterable[tuple[NDArray[np.int64], NativeWindow]], num_pieces: int, num_tokens: int
    ) -> Projection:
        """Return the tables of what windows (T + 1 pieces, and the same in native tokens) show."""
        found: list[list[NDArray[np.int64]]] = [[] for _ in range(NUM_KINDS)]
        for window, native in pairs:
            is_known = native.tokens < len(native.ids)
            places, tokens, kinds = native.places[is_known], native.tokens[is_known], native.kinds[is_known]
            codes = window[places + 1] * num_tokens + native.ids[tokens]
            for kind in range(NUM_KINDS):
                found[kind].append(codes[kinds == kind])
        counts = []
        for parts in found:
            codes, number = np.unique(np.concatenate([np.empty(0, np.int64), *parts]), return_counts=True)
            counts.append(np.stack([codes // num_tokens, codes % num_tokens, number], axis=1))
        return cls(counts, num_pieces, num_tokens)

    def tensors(self) -> dict[str, Tensor]:
        """Return the counts as they are stored."""
        return {f"counts.{kind}": torch.from_numpy(rows.astype(np.int32)) for kind, rows in enumerate(self.counts)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], num_pieces: int, num_tokens: int) -> Projection:
        """Return what `tensors` gave.

        Raises:
            CheckpointError: it is something else.
        """
        try:
            counts = [tensors[f"counts.{kind}"].numpy().astype(np.int64) for kind in range(NUM_KINDS)]
        except KeyError as error:
            raise CheckpointError(f"a teacher's projection lacks {error}; make the teacher again") from None
        return cls(counts, num_pieces, num_tokens)

    def _table(self, rows: NDArray[np.int64]) -> _Table:
        pieces, tokens, number = rows.T
        totals = np.zeros(self.num_pieces)
        np.add.at(totals, pieces, number)
        values = torch.from_numpy((number / totals[pieces]).astype(np.float32))
        by_piece = torch.sparse_coo_tensor(
            torch.from_numpy(np.stack([pieces, tokens])), values, (self.num_pieces, self.num_tokens),
            check_invariants=True,
        ).coalesce()  # fmt: skip
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            counted = torch.from_numpy(totals > 0).unsqueeze(1)  # (V, 1)
            return _Table(by_piece.to_sparse_csr(), by_piece.t().coalesce().to_sparse_csr(), counted)

    def to(self, device: torch.device) -> Projection:
        """Move the tables to a device, and return self."""
        self._tables = [table.to(device) for table in self._tables]
        return self

    def project(self, native: Tensor, own: Tensor, kind: int) -> Tensor:
        """Return P(piece), (V, n), each column a distribution.

        Args:
            native: (N, n) probabilities of the next native token at n places.
            own: (V, n) our own model's of the next piece there.
            kind: of these places.
        """
        table = self._tables[kind]
        rest = torch.where(table.is_counted, 0.0, own)  # (V, n): what no native token speaks for
        expected = torch.sparse.mm(table.by_token, own)  # (N, n): Q
        ratio = torch.where(expected > _LEAST, native / expected.clamp(min=_LEAST), 0.0)  # (N, n)
        projected = own * torch.sparse.mm(table.by_piece, ratio)  # (V, n)
        total = projected.sum(dim=0, keepdim=True)  # (1, n): 1, but for tokens that no piece of ours begins with
        left = 1 - rest.sum(dim=0, keepdim=True)  # (1, n)
        return torch.where(total > _LEAST, rest + projected * (left / total.clamp(min=_LEAST)), own)
