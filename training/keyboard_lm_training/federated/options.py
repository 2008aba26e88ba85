"""What a federated run is asked to do, and the flat form in which Flower carries it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyboard_lm.errors import ConfigError
from keyboard_lm_training.federated.accounting import ASSUMPTIONS, PARTICIPATION

UP, BOTH = "up", "both"
MAX_SECURE_CLIENTS = 1000  # 2^22 steps a value and 2^32 in all: more clients would overflow Flower's sum


@dataclass(frozen=True)
class FederatedConfig:
    """Options of a federated run; every one is recorded with the checkpoint.

    Attributes:
        rounds: rounds in all.
        clients_per_round: writers asked in a round; the sum of their changes is divided by this number, whoever
            answers.
        participation_cap: rounds that one writer may be asked in, over the whole run.
        clip_norm: an update is scaled down to this Euclidean norm (C).
        noise_multiplier: standard deviation of the noise on the sum, over `clip_norm` (z). None takes the smallest that
            keeps `participation_cap` rounds within `epsilon`.
        epsilon: the budget; a round that would pass it is refused. None trains without noise and promises nothing.
        delta: chance that the promise does not hold.
        assumption: which of the ledger's statements the budget holds (see `accounting.ASSUMPTIONS`).
        rank: of the adapters.
        factors: `up` learns one factor of each adapter beside a fixed random one: half the values to hide, and the mean
            of products is the product of means (Sun et al. 2024, "Improving LoRA in privacy-preserving federated
            learning"); `both` learns both.
        seed: of the adapters' random factor; noise and the choice of writers come from the system's generator.
        local_rate: learning rate of a writer's plain SGD.
        local_epochs: passes over a writer's text.
        seq_len: tokens of one local step.
        max_tokens: of one writer's text that are used in a pass.
        precision: of a device's matrix products, `bf16` or `fp32`.
        server_rate: factor on the mean update.
        server_momentum: share of the last round's step that the next one keeps.
        is_secure: sum the updates by SecAgg+, so that the server sees no single one.
        reply_seconds: how long a round waits for its writers.

    Raises:
        ConfigError: on construction, listing every mistake.
    """

    rounds: int = 60
    clients_per_round: int = 200
    participation_cap: int = 1
    clip_norm: float = 0.1
    noise_multiplier: float | None = None
    epsilon: float | None = 8.0
    delta: float = 1e-5
    assumption: str = PARTICIPATION
    rank: int = 4
    factors: str = UP
    seed: int = 1
    local_rate: float = 0.5
    local_epochs: int = 1
    seq_len: int = 64
    max_tokens: int = 256
    precision: str = "fp32"
    server_rate: float = 1.0
    server_momentum: float = 0.9
    is_secure: bool = False
    reply_seconds: float = 600.0

    def __post_init__(self) -> None:
        mistakes = [
            f"{name} must be a whole number, 1 or more, not {getattr(self, name)!r}"
            for name in (
                "rounds", "clients_per_round", "participation_cap", "rank", "local_epochs", "seq_len", "max_tokens",
            )
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1
        ]  # fmt: skip
        if self.max_tokens == 1:
            mistakes.append(
                "max_tokens must be 2 or more: the first token of a text has nothing before it to learn from"
            )
        mistakes += [
            f"{name} must be a number above 0, not {getattr(self, name)!r}"
            for name in ("clip_norm", "local_rate", "server_rate", "reply_seconds")
            if not 0 < getattr(self, name) < math.inf
        ]
        if not 0 <= self.server_momentum < 1:
            mistakes.append(f"server_momentum must lie from 0 up to, but not including, 1, not {self.server_momentum}")
        if self.factors not in (UP, BOTH):
            mistakes.append(f"factors must be {UP} or {BOTH}, not {self.factors!r}")
        if self.precision not in ("bf16", "fp32"):
            mistakes.append(f"precision must be bf16 or fp32, not {self.precision!r}")
        if self.assumption not in ASSUMPTIONS:
            mistakes.append(f"assumption must be one of {', '.join(ASSUMPTIONS)}, not {self.assumption!r}")
        if not 0 < self.delta < 1:
            mistakes.append(f"delta must lie between 0 and 1, not {self.delta}")
        if self.epsilon is not None and not 0 < self.epsilon < math.inf:
            mistakes.append(f"epsilon must be a number above 0, not {self.epsilon}")
        if self.noise_multiplier is not None and not 0 <= self.noise_multiplier < math.inf:
            mistakes.append(f"noise_multiplier must be a number, 0 or more, not {self.noise_multiplier}")
        if self.epsilon is not None and self.noise_multiplier == 0:
            mistakes.append("without noise no epsilon can be kept; give --no-privacy to measure what noise costs")
        if self.is_secure and not 3 <= self.clients_per_round <= MAX_SECURE_CLIENTS:
            mistakes.append(
                f"a secure sum takes 3 to {MAX_SECURE_CLIENTS} clients a round, not {self.clients_per_round}"
            )
        if mistakes:
            raise ConfigError("federated options: " + "; ".join(mistakes))

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def to_run_config(self) -> dict[str, bool | int | float | str]:
        """Return the options as Flower carries them: names with dashes; what is None is left out."""
        flat = {name.replace("_", "-"): value for name, value in self.to_dict().items() if value is not None}
        return flat | {"no-privacy": self.epsilon is None}

    @classmethod
    def from_run_config(cls, values: Mapping[str, Any]) -> FederatedConfig:
        """Return the options out of a Flower run's; other entries of it are not ours and stay unread."""
        given = {
            field.name: values[field.name.replace("_", "-")]
            for field in dataclasses.fields(cls)
            if field.name.replace("_", "-") in values
        }
        if values.get("no-privacy"):
            given["epsilon"] = None
        for name in ("clip_norm", "noise_multiplier", "epsilon", "local_rate", "server_rate", "reply_seconds"):
            if isinstance(given.get(name), int):
                given[name] = float(given[name])  # `--run-config epsilon=8` is a whole number to Flower
        return cls(**given)


@dataclass(frozen=True)
class Site:
    """Where a federated run finds and leaves things.

    Attributes:
        model: the checkpoint folder that every device has.
        writers: text files; each dialogue in them stands for one device's text.
        population: dialogues in them; the server knows how many devices there are, and none of their text.
        output: the run folder.
    """

    model: str
    writers: tuple[str, ...]
    population: int
    output: str

    def to_run_config(self) -> dict[str, int | str]:
        """Return the places as Flower carries them."""
        return {
            "model": self.model, "writers": "|".join(self.writers), "population": self.population,
            "output": self.output,
        }  # fmt: skip

    @classmethod
    def from_run_config(cls, values: Mapping[str, Any]) -> Site:
        """Return the places out of a Flower run's options.

        Raises:
            ConfigError: one is missing.
        """
        missing = [name for name in ("model", "writers", "population", "output") if not values.get(name)]
        if missing:
            raise ConfigError(
                f"the Flower run has no {', '.join(missing)}; write its app with keyboard-lm federate --runtime app"
            )
        writers = tuple(str(values["writers"]).split("|"))
        return cls(str(values["model"]), writers, int(values["population"]), str(values["output"]))
