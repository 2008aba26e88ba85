"""What calls of the network cost on a device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from keyboard_lm.device.cost_model import Chip, Work, chips, cost_model, device_data
from keyboard_lm.errors import ConfigError
from keyboard_lm.network.config import PALETTE_BITS, ModelConfig

DEFAULT_DEVICE = "iphone-15"
BUDGET_MS = 20.0  # Gboard asks for a visible answer within 20 ms (Hellsten et al. 2017 and later papers)
TABLE_BITS = 6  # of the embedding table in a package of PALETTE_BITS: two thirds of the damage are done there
_SIZES = (1, 8, 16, 64)  # tokens of one call: shapes are fixed on the Neural Engine, and a call is padded to the next


@dataclass(frozen=True)
class DeviceProfile:
    """A device whose time is estimated.

    Attributes:
        name: of the device.
        chip: in it.
    """

    name: str
    chip: Chip

    def cost(self, config: ModelConfig, bits: int = PALETTE_BITS, table_bits: int = TABLE_BITS) -> CallCost:
        """Return what calls of a network cost here, its weights of `bits`, its embedding table of `table_bits`."""
        model, work = cost_model(), call_work(config, 1, bits, table_bits)
        return CallCost(
            model.overhead_ms(self.chip, work.num_dispatches, work.num_layers),
            model.read_ms(self.chip, work.read_bytes),
            model.compute_ms(self.chip, work.macs),
        )


@cache
def device_names() -> tuple[str, ...]:
    """Return the devices whose profiles ship with the package."""
    return tuple(sorted(device_data()["devices"]))


@cache
def load_device(name: str = DEFAULT_DEVICE) -> DeviceProfile:
    """Return the profile of a device.

    Raises:
        ConfigError: no such device; the message lists those there are.
    """
    if name not in device_names():
        raise ConfigError(f"no device {name!r}; choose one of: {', '.join(device_names())}")
    return DeviceProfile(name, chips()[device_data()["devices"][name]])


def call_work(
    config: ModelConfig,
    num_tokens: int,
    bits: int = PALETTE_BITS,
    table_bits: int = TABLE_BITS,
    num_slots: int | None = None,
) -> Work:
    """Return what a call of a network does, all of whose tokens get logits.

    Args:
        config: the network.
        num_tokens: T.
        bits: of each weight.
        table_bits: of each weight of the embedding table.
        num_slots: S, slots of the KV cache; None for the context and room for the longest call.
    """
    slots = config.max_context_length + _SIZES[-1] if num_slots is None else num_slots
    table = config.num_embedding_parameters
    weight_bits = bits * (config.num_parameters - table) + table_bits * table
    attention = 2 * slots * config.head_dim * sum(config.num_query_heads)  # scores and mixing, for each token
    return Work(
        num_layers=config.num_transformer_layers,
        read_bytes=weight_bits / 8 + slots * config.kv_bytes_per_token,
        macs=num_tokens * (config.num_parameters + attention),
    )


@dataclass(frozen=True)
class CallCost:
    """What calls of one network cost on one device; see `cost_model.py`.

    Attributes:
        overhead_ms: of any call.
        read_ms: of reading the weights, which overlaps in part with computing.
        token_ms: of computing one token.
    """

    overhead_ms: float
    read_ms: float = 0.0
    token_ms: float = 0.0

    def ms(self, num_tokens: int) -> float:
        """Return the estimated time of feeding or scoring tokens, in as many calls as that takes."""
        largest = _SIZES[-1]
        whole, rest = divmod(num_tokens, largest)
        padded = next(size for size in (0, *_SIZES) if size >= rest)
        return whole * self._call_ms(largest) + (self._call_ms(padded) if padded else 0.0)

    def _call_ms(self, num_tokens: int) -> float:
        return self.overhead_ms + math.hypot(self.read_ms, self.token_ms * num_tokens)
