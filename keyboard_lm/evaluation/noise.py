"""How often which typing error is made."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

from keyboard_lm.errors import ConfigError
from keyboard_lm.tables import parse_toml, strict

PERFECT = "perfect"
LEVELS = (PERFECT, "typical", "heavy")


class ErrorKind(StrEnum):
    """What goes wrong in typing a word."""

    NEIGHBOUR = "neighbour"  # the tap fell on another key
    OMISSION = "omission"
    INSERTION = "insertion"  # a key near the intended one is hit as well, before it or after
    DOUBLING = "doubling"  # one key is hit twice
    TRANSPOSITION = "transposition"
    MISSED_SPACE = "missed_space"
    DOUBLED_SPACE = "doubled_space"
    STRAY_SPACE = "stray_space"  # inside a word
    MISSPELLING = "misspelling"  # what is typed rightly is not how the word is spelt
    DROPPED_APOSTROPHE = "dropped_apostrophe"
    MISSED_SHIFT = "missed_shift"


@dataclass(frozen=True)
class TapSpread:
    """Where taps that mean one key fall, in key widths and heights.

    Attributes:
        dx: mean distance to the right of the key's centre.
        dy: mean distance below it.
        sd_x: standard deviation of x.
        sd_y: standard deviation of y, which is independent of x.
    """

    dx: float = 0.0
    dy: float = 0.0
    sd_x: float = 0.0
    sd_y: float = 0.0

    def __post_init__(self) -> None:
        values = dataclasses.astuple(self)
        if not all(_is_number(value) for value in values) or self.sd_x < 0 or self.sd_y < 0:
            raise ConfigError(f"taps: dx, dy, sd_x and sd_y must be numbers, sd_x and sd_y not negative; got {values}")

    def scaled(self, factor: float) -> TapSpread:
        """Return the same with offset and spread `factor` times as large."""
        return TapSpread(self.dx * factor, self.dy * factor, self.sd_x * factor, self.sd_y * factor)


@dataclass(frozen=True)
class NoiseModel:
    """One level of errors. All rates are probabilities.

    Attributes:
        omission: for each letter of a word but the first.
        insertion: for each letter.
        doubling: for each letter.
        transposition: for each two letters side by side that differ.
        missed_space: for each single space between two words.
        doubled_space: for the same.
        stray_space: for each two characters side by side in a word.
        misspelling: for each place in a word where a rule of ``misspellings.toml`` of weight 1 applies.
        dropped_apostrophe: for each apostrophe.
        missed_shift: for each word with a capital that is not the one that keyboards give to a sentence's first word.
        taps: where taps fall.
        keys: the same for the keys that have been measured by themselves.

    Raises:
        ConfigError: on construction, listing every rate that is none.
    """

    omission: float = 0.0
    insertion: float = 0.0
    doubling: float = 0.0
    transposition: float = 0.0
    missed_space: float = 0.0
    doubled_space: float = 0.0
    stray_space: float = 0.0
    misspelling: float = 0.0
    dropped_apostrophe: float = 0.0
    missed_shift: float = 0.0
    taps: TapSpread = field(default_factory=TapSpread)
    keys: Mapping[str, TapSpread] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rates = {name: getattr(self, name) for name in RATES}
        mistakes = [
            f"{name} must be between 0 and 1, not {rate!r}"
            for name, rate in rates.items()
            if not _is_number(rate) or not 0 <= rate <= 1
        ]
        # Each draw of a letter or a gap chooses one of these or none.
        for names in (("omission", "insertion", "doubling", "transposition"), ("missed_space", "doubled_space")):
            if not mistakes and sum(rates[name] for name in names) > 1:
                mistakes.append(f"{' + '.join(names)} must not exceed 1")
        if mistakes:
            raise ConfigError("noise: " + "; ".join(mistakes))

    def spread_of(self, key: str) -> TapSpread:
        """Return where taps fall that mean one key."""
        return self.keys.get(key, self.taps)


RATES = tuple(f.name for f in dataclasses.fields(NoiseModel) if f.name not in ("taps", "keys"))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


@cache
def load_noise(level: str) -> NoiseModel:
    """Return a level of errors that ships with the package.

    Raises:
        ConfigError: no such level; the message lists those there are.
    """
    if level not in LEVELS:
        raise ConfigError(f"no level of errors {level!r}; choose one of: {', '.join(LEVELS)}")
    text = resources.files(__package__).joinpath("noise.toml").read_text(encoding="utf-8")
    return parse_noise(parse_toml(text, "noise.toml"), level)


@cache
def noise_digest() -> str:
    """Return a digest of the files that a typist's errors come from."""
    files = (resources.files(__package__).joinpath(name) for name in ("noise.toml", "misspellings.toml"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def parse_noise(values: Mapping[str, Any], level: str) -> NoiseModel:
    """Build one level from parsed TOML, as ``noise.toml`` has it.

    Raises:
        ConfigError: the level is missing, or has unknown keys or values that are no rates.
    """
    where = f"noise [levels.{level}]"
    try:
        rates, taps = dict(values["levels"][level]), values["taps"]
        factor = float(rates.pop("spread"))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{where}: needs taps and a spread ({error})") from None
    spreads = {
        key: strict(TapSpread, numbers, f"noise [keys.{key}]" if key else "noise [taps]").scaled(factor)
        for key, numbers in {"": taps, **values.get("keys", {})}.items()
    }
    return strict(NoiseModel, rates, where, taps=spreads.pop(""), keys=spreads)
