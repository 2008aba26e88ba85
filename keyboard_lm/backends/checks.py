"""The checks that every backend makes before it touches its cache."""

from __future__ import annotations

from collections.abc import Sequence

from keyboard_lm.backends.protocol import Backend, check_fits


def check_rewind(backend: Backend, length: int) -> None:
    """Raise if the cache cannot be cut to `length` tokens.

    Raises:
        ValueError: `length` is negative or larger than the current one.
    """
    if not 0 <= length <= backend.length:
        raise ValueError(f"cannot rewind to {length}: the cache holds {backend.length} tokens")


def check_tree(backend: Backend, token_ids: Sequence[int], parents: Sequence[int]) -> None:
    """Raise if a tree cannot be scored behind the cached tokens.

    Raises:
        ValueError: no node, or not one parent for each.
        ContextLengthError: more nodes than free slots.
    """
    if len(token_ids) != len(parents):
        raise ValueError(f"{len(token_ids)} tokens but {len(parents)} parents; a tree has one parent for each token")
    check_fits(backend, backend.length, len(token_ids))
