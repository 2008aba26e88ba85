"""A foreign teacher's projected distribution mixed with that of a model of our own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from keyboard_lm.network.model import OpenELM
from keyboard_lm_training.teach.llama import Llama
from keyboard_lm_training.teach.native_text import NUM_KINDS, NativeText, NativeWindow
from keyboard_lm_training.teach.native_tuning import padded
from keyboard_lm_training.teach.projection import Projection

_PLACES = 512  # whose native distributions are held at once: 100 MB of 49,152 tokens
_LEAST = 1e-30
_EM_ROUNDS = 30


@dataclass(frozen=True)
class Places:
    """Some places of one window, all of one kind.

    Attributes:
        kind: see `native_text`.
        rows: (n,) their places in the window.
        projected: (V, n) the foreign teacher's distribution over our pieces.
        own: (V, n) our own model's.
    """

    kind: int
    rows: Tensor
    projected: Tensor
    own: Tensor


class MixturePlaces:
    """Both networks' distributions wherever a form token begins.

    Args:
        network: the foreign one.
        own: ours.
        text: translates windows.
        projection: lays the one on the other's pieces.
    """

    def __init__(self, network: Llama, own: OpenELM, text: NativeText, projection: Projection) -> None:
        self._device = own.transformer.token_embeddings.weight.device
        self.network, self.own, self._text, self._projection = network, own, text, projection.to(self._device)

    def own_log_probabilities(self, windows: NDArray[np.int64]) -> Tensor:
        """Return our own model's, (B, T, V)."""
        logits: Tensor = self.own(torch.from_numpy(windows[:, :-1]).to(self._device))  # (B, T, V)
        return logits.float().log_softmax(-1)

    def of(self, windows: NDArray[np.int64], own: Tensor, kinds: Iterable[int]) -> Iterator[tuple[int, Places]]:
        """Yield (window, places of one kind there).

        Args:
            windows: (B, T + 1).
            own: see `own_log_probabilities`.
            kinds: which are wanted.
        """
        native = self._text.translate(windows)
        wanted = tuple(kinds)
        for number, hidden in self._hidden(native):
            window = native[number]
            for kind in wanted:
                chosen = window.kinds == kind
                for rows, tokens in _chunks(window.places[chosen], window.tokens[chosen]):
                    table = self.network.table  # (N, C)
                    states = hidden[tokens - 1].to(table.dtype)  # (n, C)
                    foreign = (table @ states.T).float().softmax(dim=0)  # (N, n)
                    mine = own[number, rows].exp().T.contiguous()  # (V, n)
                    yield number, Places(kind, rows, self._projection.project(foreign, mine, kind), mine)

    def _hidden(self, native: list[NativeWindow]) -> Iterator[tuple[int, Tensor]]:
        # Windows of like length together; the places behind a shorter one's end are seen by none of its own.
        order = sorted(range(len(native)), key=lambda number: len(native[number].ids))
        for first in range(0, len(order), 16):
            numbers = order[first : first + 16]
            ids = padded([native[number] for number in numbers]).clamp(min=0).to(self._device)  # (B, T)
            with torch.autocast(self._device.type, torch.bfloat16):
                hidden = self.network.hidden(ids)  # (B, T, C)
            yield from zip(numbers, hidden, strict=True)


def _chunks(places: NDArray[np.int64], tokens: NDArray[np.int64]) -> Iterator[tuple[Tensor, Tensor]]:
    for first in range(0, len(places), _PLACES):
        part = slice(first, first + _PLACES)
        yield torch.from_numpy(places[part]), torch.from_numpy(tokens[part])


@dataclass(frozen=True)
class Mixture:
    """What share of each distribution is believed.

    Attributes:
        weights: of the projected distribution, one for each kind of place; our own has the rest.
    """

    weights: tuple[float, ...]

    def log_probabilities(self, places: MixturePlaces, windows: NDArray[np.int64]) -> Tensor:
        """Return log P(next piece) of windows (B, T + 1): (B, T, V).

        Where no form token begins (inside a word of several pieces), it is our own model's.
        """
        log_p = places.own_log_probabilities(windows)  # (B, T, V)
        kinds = [kind for kind, weight in enumerate(self.weights) if weight > 0]
        own = log_p.clone()
        for number, found in places.of(windows, own, kinds):
            weight = self.weights[found.kind]
            mixed = weight * found.projected + (1 - weight) * found.own  # (V, n)
            log_p[number, found.rows] = mixed.clamp(min=_LEAST).log().T
        return log_p


@dataclass(frozen=True)
class MixtureFit:
    """How the weights were found.

    Attributes:
        mixture: the best weights.
        num_places: of each kind, on which they were fitted.
        own_nats: our own model's loss a place, by kind.
        projected_nats: the projected distribution's.
        mixed_nats: the mixture's.
        own_bits_per_byte: our own model's over the whole text.
        mixed_bits_per_byte: the mixture's.
    """

    mixture: Mixture
    num_places: tuple[int, ...]
    own_nats: tuple[float, ...]
    projected_nats: tuple[float, ...]
    mixed_nats: tuple[float, ...]
    own_bits_per_byte: float
    mixed_bits_per_byte: float


@torch.no_grad()
def fit_mixture(places: MixturePlaces, texts: Iterable[tuple[str, NDArray[np.int64], float]]) -> MixtureFit:
    """Return the weights that make held-out text most probable, one for each kind of place (EM).

    Args:
        places: both networks.
        texts: see `native_tuning.heldout_windows`.
    """
    pairs: list[list[Tensor]] = [[torch.empty(2, 0)] for _ in range(NUM_KINDS)]
    total_nats = total_bytes = 0.0
    for _, windows, num_bytes in texts:
        own = places.own_log_probabilities(windows)  # (B, T, V)
        targets = torch.from_numpy(windows[:, 1:]).to(own.device)  # (B, T)
        total_nats += float(F.nll_loss(own.flatten(0, 1), targets.flatten(), reduction="sum"))
        total_bytes += num_bytes
        for number, found in places.of(windows, own, range(NUM_KINDS)):
            wanted = targets[number, found.rows].unsqueeze(0)  # (1, n)
            pair = torch.cat([found.projected.gather(0, wanted), found.own.gather(0, wanted)])  # (2, n)
            pairs[found.kind].append(pair.cpu())
    found_pairs = [torch.cat(parts, dim=1).clamp(min=_LEAST).double() for parts in pairs]  # (2, n) each
    weights = tuple(_best_weight(pair) for pair in found_pairs)
    own_nats, projected, mixed = (
        tuple(_nats(share * pair[0] + (1 - share) * pair[1]) for share, pair in zip(shares, found_pairs, strict=True))
        for shares in ((0.0,) * NUM_KINDS, (1.0,) * NUM_KINDS, weights)
    )
    counts = tuple(pair.shape[1] for pair in found_pairs)
    gained = sum((mine - ours) * count for mine, ours, count in zip(own_nats, mixed, counts, strict=True))
    to_rate = 1 / (np.log(2) * max(total_bytes, 1.0))
    return MixtureFit(
        Mixture(weights), counts, own_nats, projected, mixed, total_nats * to_rate, (total_nats - gained) * to_rate
    )


def _best_weight(pair: Tensor) -> float:
    # EM for the share of the first of two distributions, given what either said of what came, (2, n).
    if not pair.shape[1]:
        return 0.0
    weight = 0.5
    for _ in range(_EM_ROUNDS):
        first = weight * pair[0]
        weight = float((first / (first + (1 - weight) * pair[1])).mean())
    return weight if weight > 0.02 else 0.0


def _nats(probabilities: Tensor) -> float:
    return float(-probabilities.log().mean()) if len(probabilities) else 0.0
