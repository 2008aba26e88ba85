"""How long a call of a network takes on a Neural Engine, by estimate.

    t = dispatches * d + layers * l + sqrt(read^2 + compute^2)

`read` is the time to read the weights (and keys and values), `compute` that of the multiply-accumulates; the two
overlap in part. `d` and `l` shrink with the year of the chip; bandwidth and speed follow from what is known of it. The
seven coefficients are fitted to what others have published (`docs/cost_model.md`); the file of the fit says how far it
was off for chips that it had not seen, and every figure carries that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from keyboard_lm.errors import ConfigError
from keyboard_lm.tables import parse_toml, strict

FIRST_YEAR = 2020  # of A14 and M1, the oldest chips that are modelled


@dataclass(frozen=True)
class Chip:
    """What is known of a chip; see `devices.toml` for the fields.

    Raises:
        ConfigError: on construction, a number that cannot be.
    """

    name: str
    year: int
    memory_gb_s: float
    ports: int
    fp16_tops: float
    max_axis: int
    clamps_slices: bool
    source: str

    def __post_init__(self) -> None:
        numbers = {"memory_gb_s": self.memory_gb_s, "fp16_tops": self.fp16_tops, "max_axis": self.max_axis}
        wrong = [f"{name} must be a number above 0, not {value!r}" for name, value in numbers.items() if not value > 0]
        if self.year < FIRST_YEAR:
            wrong.append(f"year must be {FIRST_YEAR} or later, not {self.year!r}")
        if self.ports < 0:
            wrong.append(f"ports must not be negative, but is {self.ports!r}")
        if wrong:
            raise ConfigError("; ".join(wrong))


@dataclass(frozen=True)
class Work:
    """What one call does.

    Attributes:
        num_layers: attention layers.
        read_bytes: weights, keys and values that come from memory.
        macs: multiply-accumulates.
        num_dispatches: how often work is handed to the Neural Engine.
        is_direct: by a private interface below Core ML; only the measurements of others know such calls.
    """

    num_layers: int
    read_bytes: float
    macs: float
    num_dispatches: int = 1
    is_direct: bool = False


@dataclass(frozen=True)
class Estimate:
    """An estimated time and how uncertain it is: nine in ten lie between `low_ms` and `high_ms`."""

    ms: float
    factor: float

    @property
    def low_ms(self) -> float:
        return self.ms / self.factor

    @property
    def high_ms(self) -> float:
        return self.ms * self.factor

    def __str__(self) -> str:
        return f"{self.ms:.2g} ms ({self.low_ms:.2g}-{self.high_ms:.2g}, estimate)"


@dataclass(frozen=True)
class CostModel:
    """The fitted coefficients.

    Attributes:
        dispatch_ms: of handing work over, on a chip of `FIRST_YEAR`.
        layer_ms: of an attention layer beside reading and computing, on such a chip: small operations, copies.
        direct_share: of both, left without Core ML.
        yearly: what both are multiplied with for each later year.
        phone_share: of a phone's memory bandwidth that its Neural Engine reads with.
        port_gb_s: bandwidth of one of a Mac's ports.
        compute_share: of the nominal speed.
        factor: within which nine of ten published times of networks lay, their chip left out of the fit.
    """

    dispatch_ms: float
    layer_ms: float
    direct_share: float
    yearly: float
    phone_share: float
    port_gb_s: float
    compute_share: float
    factor: float

    def overhead_ms(self, chip: Chip, num_dispatches: float, num_layers: float, is_direct: bool = False) -> float:
        """Return the time that neither reading nor computing takes."""
        age = self.yearly ** (chip.year - FIRST_YEAR) * (self.direct_share if is_direct else 1.0)
        return age * (num_dispatches * self.dispatch_ms + num_layers * self.layer_ms)

    def read_ms(self, chip: Chip, num_bytes: float) -> float:
        """Return the time of reading from memory."""
        gb_s = chip.ports * self.port_gb_s if chip.ports else chip.memory_gb_s * self.phone_share
        return num_bytes / (gb_s * 1e6)

    def compute_ms(self, chip: Chip, macs: float) -> float:
        """Return the time of multiply-accumulates."""
        return 2 * macs / (chip.fp16_tops * self.compute_share * 1e9)

    def ms(self, chip: Chip, work: Work) -> float:
        """Return the estimated time of one call."""
        overhead = self.overhead_ms(chip, work.num_dispatches, work.num_layers, work.is_direct)
        return overhead + math.hypot(self.read_ms(chip, work.read_bytes), self.compute_ms(chip, work.macs))

    def estimate(self, ms: float) -> Estimate:
        """Return a time with its uncertainty."""
        return Estimate(ms, self.factor)


@cache
def cost_model() -> CostModel:
    """Return the coefficients that ship with the package."""
    text = resources.files(__package__).joinpath("cost_model.toml").read_text(encoding="utf-8")
    return strict(CostModel, parse_toml(text, "cost_model.toml"), "cost_model.toml")


@cache
def chips() -> Mapping[str, Chip]:
    """Return the chips that are known, by name."""
    return {name: parse_chip(name, values) for name, values in device_data()["chips"].items()}


def parse_chip(name: str, values: Mapping[str, Any]) -> Chip:
    """Build a chip from parsed TOML.

    Raises:
        ConfigError: unknown or missing keys, or numbers out of range.
    """
    return strict(Chip, values, f"chip {name}", name=name)


@cache
def device_data() -> Mapping[str, Any]:
    """Return `devices.toml`, parsed."""
    text = resources.files(__package__).joinpath("devices.toml").read_text(encoding="utf-8")
    return parse_toml(text, "devices.toml")
