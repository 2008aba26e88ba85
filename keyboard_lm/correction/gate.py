"""When letters that are no word are replaced: a calibrated weighing of what is lost and gained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from keyboard_lm.errors import ConfigError
from keyboard_lm.tables import parse_toml

GATE_FILE = "gate.toml"
_MOST_LEAD = 8.0  # logarithm by which the best hypothesis is ahead of the next; more says nothing more


class Evidence(NamedTuple):
    """What is known of letters that are no word and of the best that they may stand for.

    Attributes:
        log_prior: of the best hypothesis, given the context.
        log_channel: of what was typed, given that.
        log_letters: of the letters, as a word that nobody listed.
        log_next: joint of the next best hypothesis; minus infinity where there is none.
        num_letters: typed.
        is_capitalised: whether they begin with a capital.
        is_name: whether that is in mid-sentence.
        is_split: whether the best hypothesis is two words.
        has_context: whether there is text before them.
    """

    log_prior: float
    log_channel: float
    log_letters: float
    log_next: float
    num_letters: int
    is_capitalised: bool
    is_name: bool
    is_split: bool
    has_context: bool

    def features(self) -> tuple[float, ...]:
        """Return what the gate weighs, in the order of `FEATURES`."""
        log_joint = self.log_prior + self.log_channel
        return (
            1.0,
            log_joint - self.log_letters,
            self.log_channel,
            self.log_prior,
            min(log_joint - self.log_next, _MOST_LEAD),
            float(self.num_letters),
            float(self.num_letters <= 3),
            self.log_channel / self.num_letters,
            self.log_letters / (self.num_letters + 1),
            float(self.is_capitalised),
            float(self.is_name),
            float(self.is_split),
        )


FEATURES = (
    "constant", "ratio", "channel", "prior", "lead", "letters", "is_short", "channel_per_letter", "letters_like_words",
    "is_capitalised", "is_name", "is_split",
)  # fmt: skip


@dataclass(frozen=True)
class Gate:
    """Weights of a logistic model: the odds that the best hypothesis is what was meant.

    Attributes:
        in_context: weights of the features behind other text.
        alone: the same for the first word of a field, of which the context says nothing.
    """

    in_context: tuple[float, ...]
    alone: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("in_context", "alone"):
            if len(getattr(self, name)) != len(FEATURES):
                raise ConfigError(f"gate: {name} needs {len(FEATURES)} weights: {', '.join(FEATURES)}")

    def odds(self, evidence: Evidence) -> float:
        """Return the odds that the best hypothesis is what was meant."""
        weights = self.in_context if evidence.has_context else self.alone
        score = sum(weight * value for weight, value in zip(weights, evidence.features(), strict=True))
        return math.exp(min(max(score, -50.0), 50.0))


def parse_gate(values: Mapping[str, Any]) -> Gate:
    """Build a gate from parsed TOML, as ``languages/en/gate.toml`` has it.

    Raises:
        ConfigError: a feature is missing, unknown, or no number.
    """
    columns = {}
    for name in ("in_context", "alone"):
        row = values.get(name, {})
        if set(row) != set(FEATURES) or not all(isinstance(value, (int, float)) for value in row.values()):
            raise ConfigError(f"gate: {name} needs a number for each of: {', '.join(FEATURES)}")
        columns[name] = tuple(float(row[feature]) for feature in FEATURES)
    if unknown := values.keys() - columns.keys():
        raise ConfigError(f"gate: unknown section {', '.join(sorted(unknown))}")
    return Gate(**columns)


@cache
def load_gate(language: str = "en") -> Gate | None:
    """Return the gate that comes with a language; None where it has none, and the ratios alone decide."""
    path = resources.files("keyboard_lm").joinpath("languages", language, GATE_FILE)
    if not path.is_file():
        return None
    return parse_gate(parse_toml(path.read_text(encoding="utf-8"), f"{language}/{GATE_FILE}"))


def to_toml(columns: Mapping[str, Sequence[float]], comment: str) -> str:
    """Return what `parse_gate` reads."""
    parts = [comment.rstrip("\n")]
    for name, weights in columns.items():
        rows = (f"{feature} = {weight:.4f}" for feature, weight in zip(FEATURES, weights, strict=True))
        parts.append("\n".join([f"[{name}]", *rows]))
    return "\n\n".join(parts) + "\n"
