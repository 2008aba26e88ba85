"""DP-FedAvg: who is asked, what is added to the sum, and what becomes of the adapters (McMahan et al. 2018, "Learning
differentially private recurrent language models").
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from keyboard_lm.errors import TrainingError
from keyboard_lm.files import replaced_folder
from keyboard_lm_training.federated.accounting import noise_for
from keyboard_lm_training.federated.exchange import Exchange
from keyboard_lm_training.federated.ledger import Epsilons, PrivacyLedger
from keyboard_lm_training.federated.options import FederatedConfig
from keyboard_lm_training.federated.secure_noise import secure_normal

STATE_FOLDER = "state"
_TENSORS_FILE, _STATE_FILE = "adapters.safetensors", "state.json"
_MAY_CHANGE = frozenset({"rounds", "reply_seconds"})  # options that say how long, not what


@dataclass(frozen=True)
class RoundReport:
    """What a round has to say.

    Attributes:
        round_number: from 1.
        num_asked: writers asked.
        num_replies: writers whose change is in the sum.
        failures: why others' are not.
        signal_norm: Euclidean norm of the mean change, the noise included.
        epsilons: spent so far, by assumption and delta.
    """

    round_number: int
    num_asked: int
    num_replies: int
    failures: tuple[str, ...]
    signal_norm: float
    epsilons: Epsilons


def noise_multiplier_of(config: FederatedConfig) -> float:
    """Return a run's noise multiplier: as given, or the smallest that keeps every writer's rounds within the budget."""
    if config.noise_multiplier is not None:
        return config.noise_multiplier
    if config.epsilon is None:
        return 0.0
    return noise_for(config.epsilon, config.delta, config.participation_cap)


def _choose(node_ids: list[int], count: int) -> list[int]:
    return secrets.SystemRandom().sample(node_ids, count)


class FederatedServer:
    """The adapters, and what happens to them between rounds; a run that was killed goes on after its last whole round.

    Args:
        config: see `FederatedConfig`.
        run_folder: where the state is kept.
        vector: the adapters to begin with, (P,).
        ledger: charged before every round.
        normal: draws noise, `(size, standard deviation)`.
        choose: draws writers, `(from these, so many)`.
        clock: seconds that only go forward.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        config: FederatedConfig,
        run_folder: Path,
        vector: NDArray[np.float32],
        ledger: PrivacyLedger,
        normal: Callable[[int, float], NDArray[np.float64]] = secure_normal,
        choose: Callable[[list[int], int], list[int]] = _choose,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.config, self._folder, self.ledger = config, run_folder / STATE_FOLDER, ledger
        self._normal, self._choose = normal, choose
        self._clock, self._sleep = clock, sleep
        self.noise_multiplier = noise_multiplier_of(config)
        self.vector = vector
        self._momentum = np.zeros(len(vector))
        if self._folder.is_dir():
            self._restore()

    def run(self, exchange: Exchange, report: Callable[[RoundReport], None] = lambda round_report: None) -> None:
        """Run the rounds that are left; those a kill cut short are spent, and count.

        Raises:
            PrivacyBudgetError: a round would pass the budget, or too few writers are left to ask.
            TrainingError: nobody answered, or the state cannot be saved.
        """
        while self.ledger.num_rounds < self.config.rounds:
            report(self._round(exchange))

    def _round(self, exchange: Exchange) -> RoundReport:
        config = self.config
        present, fresh = self._present(exchange)
        if len(fresh) < config.clients_per_round:
            raise TrainingError(
                f"round {self.ledger.num_rounds + 1}: {len(fresh)} of {len(present)} writers may still be asked, and a "
                f"round takes {config.clients_per_round}; give more --writers, or a smaller --clients-per-round"
            )
        asked = self._choose(fresh, config.clients_per_round)
        epsilons = self.ledger.charge(asked, self.noise_multiplier, config.clip_norm)
        number = self.ledger.num_rounds
        found = exchange.sum_changes(number, asked, self.vector, config.clip_norm)
        if not found.num_replies:
            reason = found.failures[0] if found.failures else "no answer"
            raise TrainingError(f"round {number}: none of {len(asked)} writers answered ({reason})")
        noise = (
            self._normal(len(self.vector), self.noise_multiplier * config.clip_norm) if self.noise_multiplier else 0.0
        )
        # Over the number asked, not the number of answers, which is a fact about people that no noise hides.
        mean = (found.total + noise) / len(asked)
        self._momentum = config.server_momentum * self._momentum + mean
        self.vector = (self.vector + config.server_rate * self._momentum).astype(np.float32)
        self._save(number)
        self.ledger.release(found.num_replies, hashlib.sha256(self.vector.tobytes()).hexdigest())
        return RoundReport(number, len(asked), found.num_replies, found.failures, float(np.linalg.norm(mean)), epsilons)

    def _present(self, exchange: Exchange) -> tuple[list[int], list[int]]:
        # Devices that are there, and those of them that may be asked; devices that have yet to connect are waited for.
        until = self._clock() + self.config.reply_seconds
        while True:
            present = exchange.writers()
            fresh = [node for node in present if self.ledger.times_asked(node) < self.config.participation_cap]
            are_all_there = len(present) >= self.ledger.terms.population
            if len(fresh) >= self.config.clients_per_round or are_all_there or self._clock() >= until:
                return present, fresh
            self._sleep(0.5)

    def _save(self, number: int) -> None:
        try:
            with replaced_folder(self._folder) as draft:
                save_file({"adapters": self.vector, "momentum": self._momentum}, draft / _TENSORS_FILE)
                state = {"round": number, "options": self._lasting_options()}
                (draft / _STATE_FILE).write_text(json.dumps(state), encoding="utf-8")
        except SafetensorError as error:
            raise TrainingError(f"round {number} cannot be saved ({error}); free some space") from None

    def _lasting_options(self) -> dict[str, Any]:
        # What every round has to share: the vector means what seed, rank and factors make of it, and the checkpoint's
        # record states one set of options for all of them.
        return {name: value for name, value in self.config.to_dict().items() if name not in _MAY_CHANGE}

    def _restore(self) -> None:
        try:
            tensors = load_file(self._folder / _TENSORS_FILE)
            vector, self._momentum = tensors["adapters"], tensors["momentum"]
            state = json.loads((self._folder / _STATE_FILE).read_bytes())
            number, options = int(state["round"]), dict(state["options"])
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise TrainingError(f"{self._folder}: cannot be read ({error}); use another --output") from None
        if number > self.ledger.num_rounds:
            # What was learned is there and what it cost is not: going on would promise too much.
            raise TrainingError(
                f"{self.ledger.path} tells of {self.ledger.num_rounds} rounds, the adapters beside it of {number}; "
                "restore the ledger, or use another --output"
            )
        changed = [
            f"{name} was {options.get(name)}, now {value}"
            for name, value in self._lasting_options().items()
            if options.get(name) != value
        ]
        if changed:
            raise TrainingError(
                f"{self._folder}: other options ({'; '.join(changed)}); repeat the run's, or use another --output"
            )
        if vector.shape != self.vector.shape:
            raise TrainingError(f"{self._folder}: adapters of another shape ({vector.shape}); use another --output")
        self.vector = vector
