"""Learning from a teacher: its distribution, live or from disk, beside the text itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from keyboard_lm.errors import ConfigError, TrainingError
from keyboard_lm.network.checkpoint import INDEX_FILE, Checkpoint
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.model import OpenELM
from keyboard_lm_training.run.devices import LossModel, Placement
from keyboard_lm_training.run.loss import CHUNK_TOKENS
from keyboard_lm_training.run.objective import Objective
from keyboard_lm_training.run.train_config import TrainConfig
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.run.windows import RepeatedWindows
from keyboard_lm_training.teach.distill_loss import Teacher, TopTeacher, WholeTeacher, linear_distillation
from keyboard_lm_training.teach.foreign_teacher import ForeignTeacher, RunningTeacher, is_foreign
from keyboard_lm_training.teach.networks import load_network
from keyboard_lm_training.teach.teacher_logits import LogitsDescription, StoredLogits, TopLogits, top_logits

LIVE_TOP_K = 32  # of a teacher with another tokenizer, where its logits are not stored
_TEACHER_WINDOWS = 64  # at once, while logits are written


@dataclass(frozen=True)
class DistillOptions:
    """How much of what a student takes from its teacher.

    Attributes:
        alpha: weight of the teacher's distribution; the text's next token has the rest.
        temperature: softens both distributions.
        hidden_weight: weight of 1 - cosine between the last hidden states; needs a live teacher of the same width.

    Raises:
        ConfigError: on construction, listing every mistake.
    """

    alpha: float = 0.5
    temperature: float = 1.0
    hidden_weight: float = 0.0

    def __post_init__(self) -> None:
        mistakes = []
        if not 0 <= self.alpha <= 1:
            mistakes.append(f"alpha must lie between 0 and 1, not {self.alpha}")
        if not 0 < self.temperature < float("inf"):
            mistakes.append(f"temperature must be above 0, not {self.temperature}")
        if not 0 <= self.hidden_weight < float("inf"):
            mistakes.append(f"hidden_weight must be 0 or more, not {self.hidden_weight}")
        if mistakes:
            raise ConfigError("distillation options: " + "; ".join(mistakes))


AnyTeacher = Checkpoint | ForeignTeacher


def load_teacher(folder: Path) -> AnyTeacher:
    """Return the teacher at `folder`: one with another tokenizer, a checkpoint, or the one that the run has finished.

    Raises:
        CheckpointError: none of them.
    """
    return ForeignTeacher.load(folder) if is_foreign(folder) else load_checkpoint(folder)


def load_checkpoint(folder: Path) -> Checkpoint:
    """Return the checkpoint at `folder`, or the one that the run there has finished.

    Raises:
        CheckpointError: neither.
    """
    finished = folder / "checkpoint"
    return Checkpoint.load(finished if (finished / INDEX_FILE).is_file() else folder)


class DistillLossModel(LossModel):
    """The student and its loss.

    Args:
        model: the student.
        z_loss_weight: see `linear_distillation`.
        dtype: precision of the heads' matrix products.
        options: see `DistillOptions`.
        table: the tied table of a live teacher, None for stored logits.
        is_compiled: see `LossModel`.
    """

    def __init__(
        self,
        model: OpenELM,
        z_loss_weight: float,
        dtype: torch.dtype,
        options: DistillOptions,
        table: Tensor | None,
        is_compiled: bool = False,
    ) -> None:
        super().__init__(model, z_loss_weight, dtype, is_compiled)
        self._options = options
        self._teacher_table = table.detach() if table is not None else None  # no parameter of this module

    def forward(self, windows: Tensor, *soft: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the plain NLL of windows (B, T + 1).

        Args:
            windows: token ids.
            soft: the teacher's hidden states (B T, C), or ids, log-probabilities and rest of stored logits; without
                them, the loss is the NLL.
        """
        if not soft:
            return super().forward(windows)
        options = self._options
        hidden = self.model.hidden(windows[:, :-1]).flatten(0, 1)  # (B T, C)
        teacher: Teacher = (
            TopTeacher(*soft)
            if self._teacher_table is None
            else WholeTeacher(soft[0], self._teacher_table, options.temperature, self.dtype)
        )
        loss, nll = linear_distillation(
            hidden, self.model.transformer.token_embeddings.weight, windows[:, 1:].flatten(), teacher, options.alpha,
            options.temperature, self.z_loss_weight, self.dtype,
        )  # fmt: skip
        if options.hidden_weight:
            loss = loss + options.hidden_weight * (
                1 - F.cosine_similarity(hidden.float(), soft[0].float(), dim=-1).mean()
            )
        return loss, nll


class Distillation(Objective):
    """A student's objective.

    Args:
        teacher: the teacher's checkpoint.
        options: see `DistillOptions`.
        stored: where the teacher's logits lie, None for a live teacher.
        repeated: which of the stored windows come when, where they are read more than once; the run's data has the
            same as its sampler.
    """

    def __init__(
        self,
        teacher: AnyTeacher,
        options: DistillOptions,
        stored: StoredLogits | None = None,
        repeated: RepeatedWindows | None = None,
    ) -> None:
        self._teacher, self.options, self._stored, self._repeated = teacher, options, stored, repeated
        self._network: OpenELM | None = None
        self._running: RunningTeacher | None = None
        self._device = torch.device("cpu")

    def describe(self) -> dict[str, Any]:
        described: dict[str, Any] = {
            "name": "distill",
            "teacher_digest": self._teacher.digest,
            "alpha": self.options.alpha,
            "temperature": self.options.temperature,
            "hidden_weight": self.options.hidden_weight,
        }
        described |= {"stored_top_k": self._stored.description.top_k if self._stored else None}
        if self._repeated is not None:
            described["repeated_windows"] = self._repeated.windows_per_epoch
            described["fresh_share"] = self._repeated.fresh_share
        if isinstance(self._teacher, ForeignTeacher):
            described["teacher"] = self._teacher.origin
        return described

    def check(self, config: TrainConfig, model_config: ModelConfig, data: TrainingData) -> None:
        check_teacher(self._teacher, config, data)
        block = RepeatedWindows.BLOCK_WINDOWS
        if self._repeated is not None and self._repeated.fresh_share and block % config.micro_batch:
            raise TrainingError(f"with fresh windows between, --micro-batch must divide {block}")
        if not self.options.hidden_weight:
            return
        if self._stored or isinstance(self._teacher, ForeignTeacher):
            raise TrainingError(
                "the hidden-state term needs the teacher itself, with pieces like ours; leave out --logits or "
                "--hidden-weight"
            )
        if self._teacher.config.model_dim != model_config.model_dim:
            raise TrainingError(
                f"the hidden-state term needs equal widths, but the teacher has {self._teacher.config.model_dim} and "
                f"the student {model_config.model_dim}; leave out --hidden-weight"
            )

    def loss_model(self, model: OpenELM, config: TrainConfig, dtype: torch.dtype, place: Placement) -> LossModel:
        self._device = place.device
        table = None
        if self._stored is None and isinstance(self._teacher, ForeignTeacher):
            self._running = self._teacher.open(place.device)
        elif self._stored is None:
            assert isinstance(self._teacher, Checkpoint)
            self._network = load_network(self._teacher, place.device)
            table = self._network.transformer.token_embeddings.weight
        return DistillLossModel(model, config.z_loss_weight, dtype, self.options, table, config.compile)

    def targets(self, start: int, windows: Tensor) -> tuple[Tensor, ...]:
        if self._stored is not None or self._running is not None:
            top = self._top(start, windows)
            if top is None:
                return ()
            return top.ids.to(self._device), top.log_q.to(self._device), top.log_rest.to(self._device)
        assert self._network is not None  # loss_model comes first
        with torch.no_grad():
            return (self._network.hidden(windows[:, :-1]).flatten(0, 1),)  # (B T, C)

    def _top(self, start: int, windows: Tensor) -> TopLogits | None:
        # None for fresh windows, of which the teacher has said nothing.
        if self._running is not None:
            return self._running.top(windows.cpu().numpy(), LIVE_TOP_K, self.options.temperature)
        assert self._stored is not None
        numbers = np.arange(start, start + len(windows))
        if self._repeated is not None:
            numbers = self._repeated.numbers(start, len(windows))
            if (numbers >= self._repeated.windows_per_epoch).any():
                return None
        return self._stored.read(numbers)


def teacher_flops(teacher: AnyTeacher) -> int:
    """Return the operations in matrix products that a teacher takes for one token."""
    return teacher.flops_per_token if isinstance(teacher, ForeignTeacher) else 2 * teacher.config.num_parameters


def check_teacher(teacher: AnyTeacher, config: TrainConfig, data: TrainingData) -> None:
    """Refuse a teacher whose distributions are over other pieces, or that has never seen windows so long.

    Raises:
        TrainingError: it is one.
    """
    if teacher.tokenizer.digest != data.tokenizer.digest:
        raise TrainingError(
            f"{teacher.folder} has another tokenizer than the corpus; "
            f"build the corpus with --tokenizer {teacher.folder}"
        )
    if teacher.config.max_context_length < config.seq_len:
        raise TrainingError(
            f"{teacher.folder} was trained on {teacher.config.max_context_length} tokens at once; give a --seq-len of "
            "no more"
        )


def store_logits(
    teacher: AnyTeacher,
    config: TrainConfig,
    data: TrainingData,
    stored: StoredLogits,
    num_windows: int,
    place: Placement,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write what `stored` lacks of the first `num_windows` windows of a run; see `StoredLogits.write`.

    Raises:
        TrainingError: the teacher does not fit the corpus, or the folder cannot be written.
    """
    check_teacher(teacher, config, data)
    if not stored.missing_parts(num_windows):
        return
    description = stored.description
    sampler = data.sampler.sampler if isinstance(data.sampler, RepeatedWindows) else data.sampler
    if isinstance(teacher, ForeignTeacher):
        running = teacher.open(place.device)

        def foreign_top(windows: NDArray[np.int64]) -> TopLogits:
            return running.top(windows, description.top_k, description.temperature)

        stored.write(num_windows, sampler, foreign_top, place, report)
        return
    network = load_network(teacher, place.device)
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
    table = network.transformer.token_embeddings.weight.to(dtype)

    @torch.no_grad()
    def top(windows: NDArray[np.int64]) -> TopLogits:
        pieces = []
        for first in range(0, len(windows), _TEACHER_WINDOWS):
            ids = torch.from_numpy(windows[first : first + _TEACHER_WINDOWS, :-1]).to(place.device)  # (B, T)
            with torch.autocast(place.device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
                hidden = network.hidden(ids).flatten(0, 1)  # (B T, C)
            for rows in torch.split(hidden, CHUNK_TOKENS):
                logits = (rows.to(dtype) @ table.T).float()  # (n, V)
                pieces.append(top_logits(logits, description.top_k, description.temperature))
        return TopLogits(
            *(torch.cat([getattr(piece, name) for piece in pieces]) for name in ("ids", "log_q", "log_rest"))
        )

    stored.write(num_windows, sampler, top, place, report)


def describe_logits(
    teacher: AnyTeacher, config: TrainConfig, data: TrainingData, options: DistillOptions, top_k: int
) -> LogitsDescription:
    """Return what a run's stored logits belong to.

    Raises:
        ConfigError: `top_k` is not between 1 and the vocabulary.
    """
    if not 1 <= top_k <= teacher.config.vocab_size:
        raise ConfigError(
            f"distillation options: top_k must lie between 1 and {teacher.config.vocab_size}, not {top_k}"
        )
    return LogitsDescription(teacher.digest, data.digest, config.seq_len, config.seed, top_k, options.temperature)
