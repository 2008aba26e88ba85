"""Getting a teacher used to our text, in its own tokens."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from keyboard_lm.errors import ConfigError, TrainingError
from keyboard_lm.files import write_text_whole
from keyboard_lm_training.run.heldout import HeldoutShard
from keyboard_lm_training.run.loss import linear_cross_entropy
from keyboard_lm_training.run.run_log import RunLog
from keyboard_lm_training.run.run_state import RunLock, RunState, load_latest_state, save_state
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.run.windows import window_at
from keyboard_lm_training.teach.adapters import adapt
from keyboard_lm_training.teach.llama import Llama
from keyboard_lm_training.teach.native_text import NativeText, NativeWindow

RUN_FILE = "run.json"
_IGNORED = -1


@dataclass(frozen=True)
class NativeTuning:
    """Options of a teacher's tuning.

    Attributes:
        steps: optimizer steps.
        windows_per_step: windows of the corpus in one step.
        micro_batch: windows at once.
        rank: of the adapters.
        learning_rate: peak rate of AdamW, after the warm-up falling to zero along a line.
        warmup_steps: linear, from zero.
        seed: of the adapters and of the order of windows, which should not be the student's.
        eval_interval_steps: steps between two measurements.
        eval_windows: held-out windows of each source in one.
        save_interval_minutes: time between two saved states.

    Raises:
        ConfigError: on construction, listing every mistake.
    """

    steps: int = 100
    windows_per_step: int = 32
    micro_batch: int = 16
    rank: int = 32
    learning_rate: float = 1e-3
    warmup_steps: int = 10
    seed: int = 101
    eval_interval_steps: int = 25
    eval_windows: int = 2
    save_interval_minutes: float = 3.0

    def __post_init__(self) -> None:
        least = {"warmup_steps": 0, "seed": 0, "eval_interval_steps": 0, "eval_windows": 0}
        mistakes = [
            f"{field.name} must be at least {least.get(field.name, 1)}, not {getattr(self, field.name)}"
            for field in dataclasses.fields(self)
            if field.type == "int" and getattr(self, field.name) < least.get(field.name, 1)
        ]
        if not self.learning_rate > 0:
            mistakes.append(f"learning_rate must be above 0, not {self.learning_rate}")
        if mistakes:
            raise ConfigError("teacher's tuning: " + "; ".join(mistakes))

    def rate(self, step: int) -> float:
        """Return the learning rate of step `step` (from 0)."""
        warm_up = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        return self.learning_rate * min(warm_up, (self.steps - step) / max(1, self.steps - self.warmup_steps))


class NativeTuner:
    """One tuning in one process; the network carries adapters from then on.

    Args:
        network: the teacher.
        text: translates windows.
        data: the corpus.
        options: see `NativeTuning`.
        run_folder: states and log; a folder with a state is continued.
        origin: what the teacher says about itself, for the run's record.
        clock: seconds that only go forward.

    Raises:
        TrainingError: the folder cannot be used.
    """

    def __init__(
        self,
        network: Llama,
        text: NativeText,
        data: TrainingData,
        options: NativeTuning,
        run_folder: Path,
        origin: dict[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.network, self._text, self._data = network, text, data
        self.options, self._folder, self._clock = options, run_folder, clock
        adapt(network, options.rank, options.seed)
        network.to(torch.bfloat16)
        self._adapters = {name: p for name, p in network.named_parameters() if p.requires_grad}
        for parameter in self._adapters.values():
            parameter.data = parameter.data.float()
        self._optimizer = torch.optim.AdamW(
            self._adapters.values(), lr=options.learning_rate, betas=(0.9, 0.95), weight_decay=0.0
        )
        self.step = 0
        self.bits_per_byte = math.nan
        state = load_latest_state(run_folder)
        if state is not None:
            self._restore(state)
        run_folder.mkdir(parents=True, exist_ok=True)
        self._lock = RunLock(run_folder)
        described = {"native_tuning": dataclasses.asdict(options), "teacher": origin, "corpus_digest": data.digest}
        write_text_whole(run_folder / RUN_FILE, _json(described))

    def run(
        self,
        report: Callable[[int, float, float], None] = lambda step, loss, rate: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Tune to the last step; return False where `should_stop` ended it before.

        Args:
            report: called after each step with its number, its loss (nats a token) and tokens per second.
            should_stop: asked between steps; a stopped run saves.
        """
        options = self.options
        log = RunLog(self._folder, self.step)
        saved_at = self._clock()
        try:
            while self.step < options.steps:
                if should_stop():
                    self._save()
                    return False
                started = self._clock()
                loss, num_tokens = self._learn()
                self.step += 1
                seconds = self._clock() - started
                entry: dict[str, Any] = {
                    "step": self.step,
                    "tokens": self.step * options.windows_per_step * self._data.sampler.seq_len,
                    "loss": round(loss, 5),
                    "learning_rate": options.rate(self.step - 1),
                    "tokens_per_second": round(num_tokens / max(seconds, 1e-9), 1),
                }
                is_last = self.step == options.steps
                if is_last or (options.eval_interval_steps and self.step % options.eval_interval_steps == 0):
                    rates = self.measure()
                    self.bits_per_byte = rates.get("all", math.nan)
                    entry["bits_per_byte"] = {name: round(rate, 5) for name, rate in rates.items()}
                log.write(entry)
                report(self.step, loss, num_tokens / max(seconds, 1e-9))
                if is_last or self._clock() - saved_at >= 60 * options.save_interval_minutes:
                    self._save()
                    saved_at = self._clock()
            return True
        finally:
            log.close()
            self._lock.release()

    def _learn(self) -> tuple[float, int]:
        options = self.options
        windows = self._data.sampler.batch(self.step * options.windows_per_step, options.windows_per_step)
        native = sorted(self._text.translate(windows), key=lambda window: len(window.ids))
        total = sum(len(window.ids) - 1 for window in native)
        self.network.train()
        nll_sum = 0.0
        for first in range(0, len(native), options.micro_batch):
            ids = padded(native[first : first + options.micro_batch])
            loss, count = self._loss(ids)
            share = count / total
            torch.autograd.backward(loss * share)
            nll_sum += float(loss.detach()) * share
        if not math.isfinite(nll_sum):
            raise TrainingError(f"the loss is not a number at step {self.step + 1}; lower the learning rate")
        nn.utils.clip_grad_norm_(list(self._adapters.values()), 1.0)
        for group in self._optimizer.param_groups:
            group["lr"] = options.rate(self.step)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return nll_sum, total

    def _loss(self, ids: Tensor) -> tuple[Tensor, int]:
        with torch.autocast("cpu", torch.bfloat16):
            hidden = self.network.hidden(ids[:, :-1].clamp(min=0))  # (B, T, C)
        targets = ids[:, 1:]
        known = targets != _IGNORED  # (B, T)
        loss, _ = linear_cross_entropy(hidden[known], self.network.table.detach(), targets[known], dtype=torch.bfloat16)
        return loss, int(known.sum())

    def measure(self) -> dict[str, float]:
        """Return held-out bits per byte by source and over all, of windows each on its own."""
        bits: dict[str, float] = {}
        sizes: dict[str, float] = {}
        self.network.eval()
        with torch.no_grad():
            for source, windows, num_bytes in heldout_windows(self._data, self.options.eval_windows):
                ids = padded(self._text.translate(windows))
                loss, count = self._loss(ids)
                bits[source] = float(loss) * count / math.log(2)
                sizes[source] = num_bytes
        rates = {source: bits[source] / sizes[source] for source in bits}
        return rates | ({"all": sum(bits.values()) / sum(sizes.values())} if bits else {})

    def _save(self) -> None:
        moments = {
            f"{kind}/{name}": self._optimizer.state[p][kind]
            for name, p in self._adapters.items()
            for kind in ("exp_avg", "exp_avg_sq", "step")
            if p in self._optimizer.state
        }
        save_state(self._folder, RunState(self.step, {"bits_per_byte": self.bits_per_byte}, self._adapters | moments))

    def _restore(self, state: RunState) -> None:
        tensors = state.tensors
        try:
            with torch.no_grad():
                for name, parameter in self._adapters.items():
                    parameter.copy_(tensors[name])
                    if f"step/{name}" in tensors:
                        self._optimizer.state[parameter] = {
                            kind: tensors[f"{kind}/{name}"] for kind in ("exp_avg", "exp_avg_sq", "step")
                        }
        except (KeyError, RuntimeError) as error:
            raise TrainingError(
                f"{self._folder}: its state is another teacher's ({error}); use another folder"
            ) from None
        self.step = state.step
        self.bits_per_byte = float(state.values.get("bits_per_byte") or math.nan)


def padded(windows: list[NativeWindow]) -> Tensor:
    """Return the tokens of windows as one tensor (B, T), -1 behind the end of each."""
    rows = [torch.from_numpy(window.ids) for window in windows]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=_IGNORED)


def heldout_windows(data: TrainingData, num_windows: int) -> Iterator[tuple[str, NDArray[np.int64], float]]:
    """Yield (source, windows (B, T + 1), bytes of text that their targets spell) from the front of held-out shards."""
    seq_len = data.sampler.seq_len
    for shard in data.heldout:
        windows = heldout_of(shard, num_windows, seq_len, data.tokenizer.bos_id, data.tokenizer.eos_id)
        if len(windows):
            yield shard.source, windows, len(windows) * seq_len * shard.bytes_per_token


def heldout_of(shard: HeldoutShard, num_windows: int, seq_len: int, bos_id: int, eos_id: int) -> NDArray[np.int64]:
    """Return up to so many windows from the front of a shard, each beginning with a message."""
    count = min(num_windows, (len(shard.tokens) - 1) // seq_len)
    rows = [window_at(shard.tokens, i * seq_len, seq_len, bos_id, eos_id) for i in range(count)]
    return np.stack(rows) if rows else np.empty((0, seq_len + 1), np.int64)


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"
