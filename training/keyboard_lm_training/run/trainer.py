"""The training loop: from a corpus folder to a checkpoint folder, resumable at any moment."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from keyboard_lm import __version__
from keyboard_lm.errors import TrainingError
from keyboard_lm.files import write_text_whole
from keyboard_lm.network.checkpoint import Checkpoint, save_checkpoint
from keyboard_lm.network.config import ModelConfig, model_size
from keyboard_lm.network.model import DecoderLayer, OpenELM
from keyboard_lm_training.run.board import RunBoard
from keyboard_lm_training.run.devices import Placement, shared
from keyboard_lm_training.run.heldout import heldout_bits_per_byte
from keyboard_lm_training.run.objective import Objective
from keyboard_lm_training.run.optimizer import build_optimizers, learning_rate_share, muon_dtype_for
from keyboard_lm_training.run.run_log import RunLog, plot_loss
from keyboard_lm_training.run.run_state import RunLock, RunState, load_latest_state, save_state
from keyboard_lm_training.run.sharded_saves import ShardedSaves, load_average, restore_sharded
from keyboard_lm_training.run.sharded_state import put_weights, restore_state, whole_state, whole_weights
from keyboard_lm_training.run.train_config import TrainConfig
from keyboard_lm_training.run.training_data import TrainingData

RUN_FILE = "run.json"
CHECKPOINT_FOLDER = "checkpoint"
_AVERAGE = "average/"
# Options that may change when a run goes on: they do not alter the steps already done.
_FREE_OPTIONS = {
    "steps", "decay_share", "schedule", "average_snapshots", "average_interval_steps", "strategy", "micro_batch",
    "recompute_activations", "compile", "eval_interval_steps", "eval_tokens", "save_interval_minutes",
    "log_interval_steps", "timeout_seconds", "tensorboard",
}  # fmt: skip


@dataclass(frozen=True)
class Progress:
    """What a run has to say after a micro-batch.

    Attributes:
        step: optimizer steps done.
        fraction_of_step: share of the running step that is done.
        tokens_per_second: over the last few seconds, all devices.
        loss: last training loss, nats per token; NaN before the first step.
        bits_per_byte: last held-out figure; NaN before the first.
    """

    step: int
    fraction_of_step: float
    tokens_per_second: float
    loss: float
    bits_per_byte: float


@dataclass(frozen=True)
class TrainResult:
    """How a run ended.

    Attributes:
        step: optimizer steps done.
        checkpoint: the finished checkpoint, None where the run was stopped before its end.
        bits_per_byte: last held-out figure per source, and over all of them under ``all``.
    """

    step: int
    checkpoint: Checkpoint | None
    bits_per_byte: Mapping[str, float]


def model_config_for(config: TrainConfig, vocab_size: int) -> ModelConfig:
    """Return the network that a run trains: the named size with the corpus's vocabulary and the run's context.

    A longer context than the trained one would meet rotary angles that the network has never seen.
    """
    return dataclasses.replace(model_size(config.size), vocab_size=vocab_size, max_context_length=config.seq_len)


class Trainer:
    """One run in one process.

    Args:
        config: what to train.
        data: what to train on.
        run_folder: where states, log and the checkpoint go; a folder with a state is continued.
        place: this process's device and rank.
        initial: a checkpoint whose weights the run starts from, instead of random ones.
        objective: what the run minimises; next-token cross-entropy by default.
        clock: seconds that only go forward.

    Raises:
        TrainingError: the folder belongs to another run or cannot be written, the batch does not divide, the initial
            checkpoint is another network's, or the objective does not fit.
        CheckpointError: the initial checkpoint has no weights, or damaged ones.
    """

    def __init__(
        self,
        config: TrainConfig,
        data: TrainingData,
        run_folder: Path,
        place: Placement,
        initial: Checkpoint | None = None,
        objective: Objective | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if config.sequences_per_step % place.world_size:
            raise TrainingError(
                f"{config.sequences_per_step} sequences a step do not divide over {place.world_size} processes; "
                "change --batch-tokens"
            )
        self.config, self.data, self.run_folder, self.place = config, data, run_folder, place
        self._initial = initial
        self._objective = objective or Objective()
        self._clock = clock
        self._dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
        self.model_config = model_config_for(config, data.tokenizer.vocab_size)
        self._objective.check(config, self.model_config, data)
        model = OpenELM(self.model_config)
        if initial is None:
            model.init_weights(torch.Generator().manual_seed(config.seed))
        else:
            _check_same_network(initial, self.model_config, data)
            model.load_state_dict({name: torch.from_numpy(value).float() for name, value in initial.weights().items()})
        model.checkpoint_layers = config.recompute_activations
        for module in model.modules():
            if isinstance(module, DecoderLayer):
                module.dropout = config.dropout
        model.to(place.device)
        self._loss_model = self._objective.loss_model(model, config, self._dtype, place)
        self._module = shared(self._loss_model, config.strategy, place)
        self._optimizers = build_optimizers(self._loss_model, config, muon_dtype_for(config, place))
        self._average: dict[str, Tensor] = {}
        self._num_averaged = 0
        self.step = 0
        self._bits_per_byte: dict[str, float] = {}
        self._train_seconds = 0.0
        self._open_run()
        is_sharded = config.strategy == "fsdp" and place.world_size > 1
        self._sharded_saves = ShardedSaves(run_folder, place) if is_sharded else None

    def _open_run(self) -> None:
        path = self.run_folder / RUN_FILE
        if path.is_file():
            _check_same_run(path, self._described())
        state = load_latest_state(self.run_folder)
        if state is not None:
            is_complete = (self.run_folder / CHECKPOINT_FOLDER).is_dir()  # else it was killed before the checkpoint
            if state.step > self.config.steps or (state.step == self.config.steps and is_complete):
                raise TrainingError(
                    f"{self.run_folder}: already at step {state.step} of {self.config.steps}; give more --steps to go "
                    "on, or another --output"
                )
            if state.shards is None:
                restore_state(self._module, self._optimizers, state.tensors)
            else:
                restore_sharded(self._module, self._optimizers, state.shards)
            if state.values["averaging"] == self._averaging():  # snapshots of an earlier end say nothing of this one
                self._restore_average(state)
                self._num_averaged = int(state.values["num_averaged"])
            self._bits_per_byte = dict(state.values["bits_per_byte"])
            self._train_seconds = float(state.values["train_seconds"])
            self.step = state.step
        if self.place.is_main:
            try:
                self.run_folder.mkdir(parents=True, exist_ok=True)
                self._lock = RunLock(self.run_folder)
                self._write_run_file()
            except OSError as error:
                raise TrainingError(f"{self.run_folder}: cannot be written ({error.strerror})") from None

    def _restore_average(self, state: RunState) -> None:
        if state.shards is None:
            prefix = len(_AVERAGE)
            self._average = {n[prefix:]: t for n, t in state.tensors.items() if n.startswith(_AVERAGE)}
        elif self.place.is_main:
            self._average = load_average(state.shards)

    def _described(self) -> dict[str, Any]:
        return {
            "training": self.config.to_dict(),
            "corpus_digest": self.data.digest,
            "initial_digest": self._initial.digest if self._initial else None,
        } | self._describe_objective()

    def _write_run_file(self) -> None:
        write_text_whole(self.run_folder / RUN_FILE, json.dumps(self._described(), indent=2) + "\n")

    def run(
        self,
        report: Callable[[Progress], None] = lambda progress: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> TrainResult:
        """Train until the last step, or until `should_stop` says so between two micro-batches.

        Args:
            report: called after every micro-batch on the first process.
            should_stop: asked between micro-batches; a stopped run saves its last whole step.

        Raises:
            TrainingError: a loss that is not a number, or a state that cannot be saved.
        """
        config = self.config
        log = RunLog(self.run_folder, self.step) if self.place.is_main else None
        board = RunBoard(self.run_folder, self.step) if log and config.tensorboard else None
        loss = math.nan
        saved_at, saved_step = self._clock(), self.step
        self._module.train()
        try:
            while self.step < self.config.steps:
                started = self._clock()
                value = self._step_gradients(loss, started, report, should_stop)
                if value is None:
                    self._save(saved_step)
                    self._wait_for_save()
                    return TrainResult(self.step, None, self._bits_per_byte)
                loss = value
                grad_norm = self._update()
                self.step += 1
                self._take_snapshot()
                self._train_seconds += self._clock() - started
                is_last = self.step == self.config.steps
                entry: dict[str, Any] = {
                    "step": self.step,
                    "tokens": self.step * config.batch_tokens,
                    "loss": round(loss, 5),
                    "grad_norm": round(grad_norm, 4),
                    "learning_rate": self._learning_rate(self.step - 1),
                    "seconds": round(self._train_seconds, 2),
                }
                if is_last or (config.eval_interval_steps and self.step % config.eval_interval_steps == 0):
                    self._bits_per_byte = self.measure()
                    if self._bits_per_byte:
                        entry["bits_per_byte"] = {name: round(rate, 5) for name, rate in self._bits_per_byte.items()}
                if log and (is_last or "bits_per_byte" in entry or self.step % config.log_interval_steps == 0):
                    log.write(entry)
                    if board:
                        board.write(entry)
                is_due = self.place.is_main and self._clock() - saved_at >= 60 * config.save_interval_minutes
                if is_last or self.place.any(is_due):  # one decision for all: gathering a sharded state is collective
                    self._save(saved_step)
                    saved_at, saved_step = self._clock(), self.step
            self._wait_for_save()
            checkpoint = self._finish()
            return TrainResult(self.step, checkpoint, self._bits_per_byte)
        finally:
            if self._sharded_saves is not None:
                self._sharded_saves.close()
            if board:
                board.close()
            if log:
                log.close()
                self._lock.release()
                with suppress(TrainingError):  # a picture of the log must not hide how the run ended
                    plot_loss(self.run_folder)

    def replan(self, steps_left: int) -> None:
        """Let a WSD run end after so many more steps, its rate falling evenly from where it stands.

        May be called between micro-batches; what is recorded with the run follows.
        """
        decay_steps = max(1, round(self.config.steps * self.config.decay_share))
        share = min(1.0, (self.config.steps - self.step) / decay_steps)  # of the peak, warm-up aside
        steps = self.step + steps_left
        decay_share = min(1.0, steps_left / max(share, 1e-9) / steps)
        self.config = self.config.with_changes(steps=steps, decay_share=decay_share)
        if self.place.is_main:
            self._write_run_file()

    def _step_gradients(
        self, last_loss: float, started: float, report: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> float | None:
        # Accumulates one step's gradients; returns the mean NLL over all processes, None when asked to stop.
        config, place = self.config, self.place
        per_process = config.sequences_per_step // place.world_size
        first = self.step * config.sequences_per_step + place.rank * per_process
        nll_sum = torch.zeros((), device=place.device)
        for offset in range(0, per_process, config.micro_batch):
            if place.any(should_stop()):
                self._clear_gradients()
                return None
            count = min(config.micro_batch, per_process - offset)
            if config.dropout:  # a function of the place in the order, so that a resumed run drops the same
                torch.manual_seed((config.seed << 40) + first + offset)
            windows = torch.from_numpy(self.data.sampler.batch(first + offset, count)).to(place.device)  # (B, T + 1)
            is_last = offset + count == per_process
            with (
                self._synchronised(is_last),
                torch.autocast(place.device.type, torch.bfloat16, enabled=self._dtype == torch.bfloat16),
            ):
                loss, nll = self._module(windows, *self._objective.targets(first + offset, windows))
                (loss * (count / per_process)).backward()
            nll_sum += nll.detach() * (count / per_process)
            done = (offset + count) * place.world_size * config.seq_len
            rate = done / max(self._clock() - started, 1e-9)
            if place.is_main:
                overall = self._bits_per_byte.get("all", math.nan)
                report(Progress(self.step, (offset + count) / per_process, rate, last_loss, overall))
        value = float(place.mean(nll_sum))
        if not math.isfinite(value):
            raise self._not_a_number("loss")
        return value

    def _not_a_number(self, what: str) -> TrainingError:
        return TrainingError(
            f"the {what} is not a number at step {self.step + 1}; lower --learning-rate or use --precision fp32 "
            f"(the last saved step in {self.run_folder} is whole)"
        )

    def _synchronised(self, is_last: bool) -> Any:
        # Gradients travel between processes only with a step's last micro-batch.
        if self.place.world_size == 1:
            return nullcontext()
        if isinstance(self._module, nn.parallel.DistributedDataParallel):
            return nullcontext() if is_last else self._module.no_sync()
        module: Any = self._module
        module.set_requires_gradient_sync(is_last)
        return nullcontext()

    def _update(self) -> float:
        rate = self._learning_rate(self.step)
        norm = nn.utils.clip_grad_norm_(self._module.parameters(), self.config.clip_norm or math.inf)
        whole: Any = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        if not math.isfinite(float(whole)):
            raise self._not_a_number("gradient")
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        self._clear_gradients()
        return float(whole)

    def _clear_gradients(self) -> None:
        for optimizer in self._optimizers:
            optimizer.zero_grad()

    def _learning_rate(self, step: int) -> float:
        return self.config.learning_rate * learning_rate_share(step, self.config)

    def _averaging(self) -> list[int]:
        return [self.config.steps, self.config.average_snapshots, self.config.average_interval_steps]

    def _take_snapshot(self) -> None:
        config = self.config
        remaining = config.steps - self.step
        interval = max(1, config.average_interval_steps)
        if config.average_snapshots < 2 or remaining % interval or remaining // interval >= config.average_snapshots:
            return
        weights = whole_weights(self._module)
        if self.place.is_main:
            for name, value in weights.items():
                self._average[name] = self._average[name] + value if name in self._average else value.clone()
            self._num_averaged += 1

    def measure(self) -> dict[str, float]:
        """Return held-out bits per byte by source, and over all of them under ``all``; every process has to call it."""
        # Sharded parameters gather inside forward only, so every process measures; only the first one reports.
        return heldout_bits_per_byte(self._loss_model, self.data.heldout, self.config.seq_len, self.config.eval_tokens)

    def _save(self, saved_step: int) -> None:
        if self.step == saved_step:
            return
        values = {
            "averaging": self._averaging(),
            "num_averaged": self._num_averaged,
            "bits_per_byte": self._bits_per_byte,
            "train_seconds": self._train_seconds,
        }
        if self._sharded_saves is not None:
            self._sharded_saves.save(self.step, values, self._module, self._optimizers, self._average)
            return
        tensors = whole_state(self._module, self._optimizers)
        if not self.place.is_main:
            return
        tensors |= {_AVERAGE + name: value for name, value in self._average.items()}
        save_state(self.run_folder, RunState(self.step, values, tensors))

    def _wait_for_save(self) -> None:
        if self._sharded_saves is not None:
            self._sharded_saves.wait()
            self.place.wait()  # the first process gives the state its name

    def _describe_initial(self) -> dict[str, Any] | None:
        # The record of what the run started from, so that a model's whole history is in its checkpoint.
        return {"digest": self._initial.digest, "record": self._initial.record()} if self._initial else None

    def _describe_objective(self) -> dict[str, Any]:
        described = self._objective.describe()
        return {} if described is None else {"objective": described}

    def _finish(self) -> Checkpoint | None:
        config = self.config
        if self.place.any(bool(self._num_averaged)):
            mean = {name: value / self._num_averaged for name, value in self._average.items()}  # empty but on the first
            put_weights(self._module, mean, self.place)
            self._bits_per_byte = self.measure()
        weights = whole_weights(self._module)
        if not self.place.is_main:
            return None
        weights = self._objective.finished(weights)
        record = {
            "keyboard_lm_version": __version__,
            "torch_version": torch.__version__,
            "device": str(self.place.device),
            "world_size": self.place.world_size,
            "training": config.to_dict(),
            "initial": self._describe_initial(),
            **self._describe_objective(),
            "corpus": self.data.describe(),
            "parameters": self.model_config.num_parameters,
            "tokens": config.total_tokens,
            "train_seconds": round(self._train_seconds, 1),
            "heldout_bits_per_byte": self._bits_per_byte,
        }
        arrays = {name: value.float().numpy().astype(np.float16) for name, value in weights.items()}
        return save_checkpoint(
            self.run_folder / CHECKPOINT_FOLDER, self.model_config, self.data.tokenizer, arrays, record
        )


def _check_same_network(initial: Checkpoint, model_config: ModelConfig, data: TrainingData) -> None:
    if initial.tokenizer.digest != data.tokenizer.digest:
        raise TrainingError(
            f"{initial.folder} has another tokenizer than the corpus; "
            f"build the corpus with --tokenizer {initial.folder}"
        )
    if initial.config != model_config:
        raise TrainingError(f"{initial.folder} is another network; give its --size and --seq-len")


def _check_same_run(path: Path, described: dict[str, Any]) -> None:
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
        options = earlier["training"]
        digest = earlier["corpus_digest"]
    except (OSError, ValueError, KeyError, TypeError):
        raise TrainingError(f"{path}: cannot be read; use another --output") from None
    changed = [
        f"{name} was {options[name]}, now {value}"
        for name, value in described["training"].items()
        if name not in _FREE_OPTIONS and name in options and _plain(options[name]) != _plain(value)
    ]
    if digest != described["corpus_digest"]:
        changed.append("the corpus is another one")
    if earlier.get("initial_digest") != described["initial_digest"]:
        changed.append("it started from other weights")
    if earlier.get("objective") != described.get("objective"):
        changed.append("it had another objective or teacher")
    if changed:
        raise TrainingError(
            f"{path.parent} holds a run with other options ({'; '.join(changed)}); "
            "repeat those, or use another --output"
        )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
