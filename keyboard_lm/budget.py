"""How many calls of the network one keystroke can afford on a device."""

from __future__ import annotations

import math
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from typing import Any

from keyboard_lm.config import ModelConfig
from keyboard_lm.errors import ConfigError

DEFAULT_DEVICE = "iphone-15"
BUDGET_MS = 20.0  # Gboard asks for a visible answer within 20 ms (Hellsten et al. 2017 and later papers)
_SIZES = (1, 8, 16, 64)  # tokens of one call: shapes are fixed on the Neural Engine, and a call is padded to the next


@dataclass(frozen=True)
class DeviceProfile:
    """What a call of the network costs on a device.

    The numbers of the profiles that ship are estimates fitted by hand to published latencies of other models, and
    uncertain by a factor of 2.

    Attributes:
        name: of the device.
        chip: in it.
        call_ms: of any call.
        layer_ms: of each layer.
        bandwidth_gb_s: with which weights are read.
        token_share: how much longer a call takes for each further token, as a share of its time for one.

    Raises:
        ConfigError: on construction, listing every number that is out of range.
    """

    name: str
    chip: str
    call_ms: float
    layer_ms: float
    bandwidth_gb_s: float
    token_share: float = 0.005

    def __post_init__(self) -> None:
        wrong = [
            f"{each.name} must be a number above 0, not {value!r}"
            for each in fields(self)
            if each.name not in ("name", "chip") and not _is_positive(value := getattr(self, each.name))
        ]
        if wrong:
            raise ConfigError(f"device {self.name}: " + "; ".join(wrong))

    def cost(self, config: ModelConfig, bits: int = 4) -> CallCost:
        """Return what calls of a network with weights of `bits` cost here."""
        read_ms = config.weight_bytes(bits) / (self.bandwidth_gb_s * 1e6)
        return CallCost(self.call_ms + config.num_transformer_layers * self.layer_ms + read_ms, self.token_share)


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


@cache
def device_names() -> tuple[str, ...]:
    """Return the devices whose profiles ship with the package."""
    folder = resources.files("keyboard_lm").joinpath("devices")
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


@cache
def load_device(name: str = DEFAULT_DEVICE) -> DeviceProfile:
    """Return the profile of a device.

    Raises:
        ConfigError: no such device; the message lists those there are.
    """
    if name not in device_names():
        raise ConfigError(f"no device {name!r}; choose one of: {', '.join(device_names())}")
    path = resources.files("keyboard_lm").joinpath("devices", f"{name}.toml")
    return parse_device(name, tomllib.loads(path.read_text(encoding="utf-8")))


def parse_device(name: str, values: Mapping[str, Any]) -> DeviceProfile:
    """Build a profile from parsed TOML.

    Raises:
        ConfigError: unknown or missing keys, or numbers out of range.
    """
    try:
        return DeviceProfile(name, **values)
    except TypeError as error:
        raise ConfigError(f"device {name}: needs chip, call_ms, layer_ms, bandwidth_gb_s ({error})") from None


@dataclass(frozen=True)
class CallCost:
    """What calls of one network cost on one device.

    Attributes:
        one_ms: of a call with one token.
        token_share: as in `DeviceProfile`.
    """

    one_ms: float
    token_share: float = 0.0

    def ms(self, num_tokens: int) -> float:
        """Return the estimated time of feeding or scoring tokens, in as many calls as that takes."""
        largest = _SIZES[-1]
        whole, rest = divmod(num_tokens, largest)
        padded = next(size for size in (0, *_SIZES) if size >= rest)
        return whole * self._call_ms(largest) + (self._call_ms(padded) if padded else 0.0)

    def _call_ms(self, num_tokens: int) -> float:
        return self.one_ms * (1 + self.token_share * (num_tokens - 1))


class Budget:
    """The calls that one answer may make; spent as they are made.

    Args:
        cost: of a call.
        budget_ms: estimated time on the device, all calls together.
        deadline: an instant on `clock` after which no call is begun.
        clock: seconds that only go forward.
        is_stale: asked before each call whether the answer is still wanted.

    Attributes:
        spent_ms: of `budget_ms`.
        was_refused: whether a call was wanted that there was no room for.
    """

    def __init__(
        self,
        cost: CallCost,
        budget_ms: float = math.inf,
        deadline: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
        is_stale: Callable[[], bool] | None = None,
    ) -> None:
        self.spent_ms = 0.0
        self.was_refused = False
        self._cost = cost
        self._budget_ms = budget_ms
        self._deadline = deadline
        self._clock = clock
        self._is_stale = is_stale

    def may_call(self, num_tokens: int) -> bool:
        """Return whether a call with as many tokens may be made now, and count it if so."""
        cost_ms = self._cost.ms(num_tokens)
        is_late = self._deadline is not None and self._clock() >= self._deadline
        if is_late or self.spent_ms + cost_ms > self._budget_ms or (self._is_stale is not None and self._is_stale()):
            self.was_refused = True
            return False
        self.spent_ms += cost_ms
        return True
