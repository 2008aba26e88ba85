"""What backends share whose KV cache is flat: its capacity, and that going back is a smaller length."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from keyboard_lm.backends.checks import check_rewind
from keyboard_lm.backends.protocol import Logits, check_fits
from keyboard_lm.errors import ConfigError
from keyboard_lm.network.config import ModelConfig


class FlatCacheBackend(ABC):
    """A backend whose cache holds the first `length` of `capacity` slots; what lies behind them is overwritten.

    Args:
        config: the network's shape.
        capacity: slots of the KV cache; at most, and by default, the longest context the network is trained for, or
            what `num_slots` has room for.
        num_slots: slots that what runs the network has; None where it has as many as it is asked for.

    Attributes:
        config: as given.

    Raises:
        ConfigError: a capacity below one slot.
    """

    name: str

    def __init__(self, config: ModelConfig, capacity: int | None = None, num_slots: int | None = None) -> None:
        if capacity is not None and capacity < 1:
            raise ConfigError(f"a KV cache of {capacity} slots holds nothing; give it at least one")
        longest = min(config.max_context_length, num_slots or config.max_context_length)
        self.config = config
        self._capacity = longest if capacity is None else min(capacity, longest)
        self._length = 0

    @property
    def length(self) -> int:
        """Tokens in the cache."""
        return self._length

    @property
    def capacity(self) -> int:
        """Slots of the cache."""
        return self._capacity

    def prefill(self, token_ids: Sequence[int]) -> Logits:
        """Empty the cache, feed `token_ids`, and return the last token's logits (V,)."""
        check_fits(self, 0, len(token_ids))
        self.rewind(0)
        return self.decode(token_ids)

    @abstractmethod
    def decode(self, token_ids: Sequence[int]) -> Logits:
        """Append `token_ids` to the cache and return the last token's logits (V,)."""

    @abstractmethod
    def score_tree(self, token_ids: Sequence[int], parents: Sequence[int]) -> Logits:
        """Score a tree of continuations without changing the cache; see `Backend.score_tree`."""

    def rewind(self, length: int) -> None:
        """Forget every cached token after the first `length`."""
        check_rewind(self, length)
        self._length = length
