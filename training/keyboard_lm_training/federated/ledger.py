"""The privacy ledger: an append-only file of every noisy sum that was, or may have been, released.

A round is charged, flushed to the disk, and only then are writers asked: a run killed in between has spent the round.
Each line carries the digest of the line before it, so a line taken out or changed is found when the ledger is opened.
Writers appear as salted hashes; whoever has the ledger and a writer's number can still look that writer up.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from keyboard_lm.errors import PrivacyBudgetError, TrainingError
from keyboard_lm.files import take_lock
from keyboard_lm_training.federated.accounting import (
    EVERY_ROUND,
    PARTICIPATION,
    POISSON,
    accountant_name,
    epsilon_of_every_round,
    epsilon_of_participation,
    epsilon_of_poisson,
)

LEDGER_FILE = "ledger.jsonl"
FORMAT_VERSION = 1
STRICT_DELTA = 1e-10  # what Gboard's published statements use; stated beside the run's own
Epsilons = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class LedgerTerms:
    """What a ledger promises, fixed when it is begun.

    Attributes:
        model_digest: of the checkpoint that the run starts from.
        population: writers that may be asked.
        participation_cap: rounds that one of them may be asked in.
        budget: the epsilon not to be passed; None promises nothing.
        delta: chance that the promise does not hold.
        assumption: which statement the budget holds.
    """

    model_digest: str
    population: int
    participation_cap: int
    budget: float | None
    delta: float
    assumption: str


class PrivacyLedger:
    """A ledger, open for one process.

    Args:
        path: the file; begun where there is none.
        terms: what it promises.

    Raises:
        TrainingError: another process has it, it cannot be written, a line was changed, or it promises something else.
    """

    def __init__(self, path: Path, terms: LedgerTerms) -> None:
        self.path, self.terms = path, terms
        self._noise: list[float] = []
        self._shares: list[float] = []
        self._histories: dict[str, list[float]] = {}
        self._last_digest = ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream: IO[bytes] = path.open("ab+")
        except OSError as error:
            raise TrainingError(f"{path}: cannot be written ({error.strerror}); choose another --output") from None
        if not take_lock(self._stream):
            self._stream.close()
            raise TrainingError(f"{path}: another process is training there; wait for it or stop it")
        try:
            self._read()
        except BaseException:
            self._stream.close()
            raise

    @property
    def num_rounds(self) -> int:
        """Rounds charged so far, finished or not."""
        return len(self._noise)

    @property
    def least_noise_multiplier(self) -> float:
        """The least that a round was charged with; more rounds may have made it another."""
        return min(self._noise)

    def times_asked(self, node_id: int) -> int:
        """Return in how many rounds a writer has been asked."""
        return len(self._histories.get(self.hash_of(node_id), ()))

    def hash_of(self, node_id: int) -> str:
        """Return what stands for a writer in this ledger."""
        return hashlib.sha256(f"{self._salt} {node_id}".encode()).hexdigest()[:24]

    def epsilons(self) -> Epsilons:
        """Return epsilon by assumption and delta, of all rounds charged so far."""
        return self._epsilons(self._noise, self._shares, self._histories)

    def charge(self, node_ids: Sequence[int], noise_multiplier: float, clip_norm: float) -> Epsilons:
        """Enter a round before its writers are asked.

        Args:
            node_ids: whom it will ask.
            noise_multiplier: standard deviation of the noise on the sum, over `clip_norm`.
            clip_norm: bound on the norm of one update.

        Returns:
            Epsilon by assumption and delta, this round included.

        Raises:
            PrivacyBudgetError: a writer has been asked as often as it may be, or the budget would be passed; nothing
                was entered.
            TrainingError: the file cannot be written.
        """
        names = [self.hash_of(node_id) for node_id in node_ids]
        if len(set(names)) != len(names):
            raise PrivacyBudgetError("a writer was chosen twice for one round; choose each once")
        worn = sum(len(self._histories.get(name, ())) >= self.terms.participation_cap for name in names)
        if worn:
            raise PrivacyBudgetError(
                f"round {self.num_rounds + 1} would ask {worn} writers more often than {self.terms.participation_cap} "
                "times; end the run here, or find more writers"
            )
        noise = [*self._noise, noise_multiplier]
        shares = [*self._shares, min(1.0, len(names) / self.terms.population)]
        histories = {**self._histories}
        for name in names:
            histories[name] = [*histories.get(name, ()), noise_multiplier]
        epsilons = self._epsilons(noise, shares, histories)
        spent = epsilons[self.terms.assumption][_key(self.terms.delta)]
        if self.terms.budget is not None and spent > self.terms.budget:
            raise PrivacyBudgetError(
                f"round {len(noise)} would make epsilon {spent:.3f} at delta {self.terms.delta:g} "
                f"({self.terms.assumption}), over the budget of {self.terms.budget:g}; end the run here, or begin one "
                "with more noise"
            )
        self._append(
            {
                "kind": "round", "round": len(noise), "noise_multiplier": noise_multiplier, "clip_norm": clip_norm,
                "asked": names, "epsilon": finite(epsilons),
            }
        )  # fmt: skip
        self._noise, self._shares, self._histories = noise, shares, histories
        return epsilons

    def release(self, num_replies: int, digest: str) -> None:
        """Enter what came of the last round: how many answered, and the digest of the adapters it made."""
        self._append(
            {"kind": "release", "round": self.num_rounds, "num_replies": num_replies, "adapters_sha256": digest}
        )

    def close(self) -> None:
        """Let the next process in."""
        self._stream.close()

    def _epsilons(
        self, noise: Sequence[float], shares: Sequence[float], histories: Mapping[str, Sequence[float]]
    ) -> Epsilons:
        deltas = (self.terms.delta, STRICT_DELTA)
        rounds = list(zip(noise, shares, strict=True))
        return {
            PARTICIPATION: {_key(delta): epsilon_of_participation(histories.values(), delta) for delta in deltas},
            EVERY_ROUND: {_key(delta): epsilon_of_every_round(noise, delta) for delta in deltas},
            POISSON: {_key(delta): epsilon_of_poisson(rounds, delta) for delta in deltas},
        }

    def _append(self, entry: Mapping[str, Any]) -> None:
        line = json.dumps({**entry, "previous": self._last_digest}, separators=(",", ":")).encode()
        try:
            self._stream.write(line + b"\n")
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise TrainingError(f"{self.path}: cannot be written ({error.strerror}); free some space") from None
        self._last_digest = hashlib.sha256(line).hexdigest()

    def _read(self) -> None:
        self._stream.seek(0)
        content = self._stream.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            # Cut short by a kill: its round was not begun, since writers are asked only after the flush.
            self._stream.truncate(whole)
        lines = content[:whole].splitlines()
        if not lines:
            self._salt = secrets.token_hex(16)
            self._append(
                {
                    "kind": "ledger", "format_version": FORMAT_VERSION, **asdict(self.terms), "salt": self._salt,
                    "accountant": accountant_name(),
                }
            )  # fmt: skip
            return
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                if entry["previous"] != self._last_digest:
                    raise ValueError("a line before it was changed")
                self._take(entry, number)
            except (ValueError, KeyError, TypeError) as error:
                raise TrainingError(
                    f"{self.path}, line {number}: not as it was written ({error}); restore it, or begin another run"
                ) from None
            self._last_digest = hashlib.sha256(line).hexdigest()

    def _take(self, entry: dict[str, Any], number: int) -> None:
        if number == 1:
            if entry["kind"] != "ledger" or entry["format_version"] != FORMAT_VERSION:
                raise ValueError("not a ledger of this version")
            changed = [
                f"{name} was {entry[name]}, now {value}"
                for name, value in asdict(self.terms).items()
                if entry[name] != value
            ]
            if changed:
                raise TrainingError(
                    f"{self.path} promises something else ({'; '.join(changed)}); repeat that, or use another --output"
                )
            self._salt = str(entry["salt"])
        elif entry["kind"] == "round":
            noise = float(entry["noise_multiplier"])
            self._noise.append(noise)
            self._shares.append(min(1.0, len(entry["asked"]) / self.terms.population))
            for name in entry["asked"]:
                self._histories.setdefault(name, []).append(noise)


def _key(delta: float) -> str:
    return f"{delta:g}"


def finite(epsilons: Epsilons) -> dict[str, dict[str, float | None]]:
    """Return epsilons for JSON, which has no infinity: a run without noise states null."""
    return {
        assumption: {delta: value if math.isfinite(value) else None for delta, value in by_delta.items()}
        for assumption, by_delta in epsilons.items()
    }
