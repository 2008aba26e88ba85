"""What search code may ask of a network, whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.errors import ContextLengthError
from keyboard_lm.network.config import ModelConfig

Logits = NDArray[np.float32]
ROOT = -1  # parent of a tree node that follows the cached context directly


class Backend(Protocol):
    """One network with one flat, rewindable KV cache (batch size 1).

    The cache holds `length` tokens; keys are cached after the rotation, so rewinding is only a smaller length. Every
    call that would need more than `capacity` slots raises `ContextLengthError` and leaves the cache as it was.
    """

    config: ModelConfig
    name: str

    @property
    def length(self) -> int:
        """Tokens in the cache."""
        ...

    @property
    def capacity(self) -> int:
        """Slots of the cache (S), those that `score_tree` uses as scratch included."""
        ...

    def prefill(self, token_ids: Sequence[int]) -> Logits:
        """Empty the cache, feed `token_ids` (at least one), and return the last token's logits (V,)."""
        ...

    def decode(self, token_ids: Sequence[int]) -> Logits:
        """Append `token_ids` (at least one) to the cache and return the last token's logits (V,)."""
        ...

    def score_tree(self, token_ids: Sequence[int], parents: Sequence[int]) -> Logits:
        """Score a tree of continuations in one call, without changing the cache.

        Args:
            token_ids: the token of each node (N of them, at least one).
            parents: the index of each node's parent, smaller than its own, or `ROOT`. Siblings do not see each other.

        Returns:
            Logits after each node, (N, V).
        """
        ...

    def rewind(self, length: int) -> None:
        """Forget every cached token after the first `length`.

        Raises:
            ValueError: `length` is negative or larger than the current one.
        """
        ...


@runtime_checkable
class SharedBackend(Backend, Protocol):
    """A backend whose weights several caches can share."""

    def another(self) -> Backend:
        """Return a backend over the same weights with a cache of its own; both are to be used from one thread."""
        ...


@runtime_checkable
class KeepingBackend(Backend, Protocol):
    """A backend that can take a chain of tokens it has scored into its cache later, without computing it again."""

    def kept(self, num: int) -> object:
        """Return a copy of what the tree scored last, a chain of `num` tokens, would have put into the cache."""
        ...

    def append(self, kept: object, num: int) -> None:
        """Put that behind the cached tokens, which must be those it was scored behind."""
        ...


def check_fits(backend: Backend, start: int, num_new: int) -> None:
    """Raise if `num_new` tokens do not fit behind `start` cached ones.

    Raises:
        ValueError: no token given.
        ContextLengthError: too many.
    """
    if num_new < 1:
        raise ValueError("at least one token is needed")
    if start + num_new > backend.capacity:
        raise ContextLengthError(
            f"{start + num_new} tokens do not fit the {backend.capacity} slots of the KV cache; shorten the context"
        )


def tree_depths(parents: Sequence[int]) -> list[int]:
    """Return each node's distance from the cached context (0 for children of `ROOT`).

    Raises:
        ValueError: a parent does not come before its child.
    """
    depths: list[int] = []
    for node, parent in enumerate(parents):
        if not ROOT <= parent < node:
            raise ValueError(f"node {node} has parent {parent}; a parent comes before its child")
        depths.append(0 if parent == ROOT else depths[parent] + 1)
    return depths


def tree_visibility(parents: Sequence[int]) -> NDArray[np.bool_]:
    """Return which node may attend to which, (N, N): its ancestors, itself."""
    visible = np.zeros((len(parents), len(parents)), dtype=np.bool_)
    for node, parent in enumerate(parents):
        if parent != ROOT:
            visible[node] = visible[parent]
        visible[node, node] = True
    return visible
