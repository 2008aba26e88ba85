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
from keyboard_lm_training.teach.distill_loss import Teacher, TopTeacher, WholeTeacher, linear_distillation
from keyboard_lm_training.teach.teacher_logits import LogitsDescription, StoredLogits, TopLogits, top_logits

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


def load_teacher(folder: Path) -> Checkpoint:
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
    """

    def __init__(self, teacher: Checkpoint, options: DistillOptions, stored: StoredLogits | None = None) -> None:
        self._teacher, self.options, self._stored = teacher, options, stored
        self._network: OpenELM | None = None
        self._device = torch.device("cpu")

    def describe(self) -> dict[str, Any]:
        described: dict[str, Any] = {
            "name": "distill",
            "teacher_digest": self._teacher.digest,
            "alpha": self.options.alpha,
            "temperature": self.options.temperature,
            "hidden_weight": self.options.hidden_weight,
        }
        return described | {"stored_top_k": self._stored.description.top_k if self._stored else None}

    def check(self, config: TrainConfig, model_config: ModelConfig, data: TrainingData) -> None:
        check_teacher(self._teacher, config, data)
        if not self.options.hidden_weight:
            return
        if self._stored:
            raise TrainingError("the hidden-state term needs the teacher itself; leave out --logits or --hidden-weight")
        if self._teacher.config.model_dim != model_config.model_dim:
            raise TrainingError(
                f"the hidden-state term needs equal widths, but the teacher has {self._teacher.config.model_dim} and "
                f"the student {model_config.model_dim}; leave out --hidden-weight"
            )

    def loss_model(self, model: OpenELM, config: TrainConfig, dtype: torch.dtype, place: Placement) -> LossModel:
        self._device = place.device
        table = None
        if self._stored is None:
            self._network = load_network(self._teacher, place)
            table = self._network.transformer.token_embeddings.weight
        return DistillLossModel(model, config.z_loss_weight, dtype, self.options, table, config.compile)

    def targets(self, start: int, windows: Tensor) -> tuple[Tensor, ...]:
        if self._stored is not None:
            top = self._stored.read(start, len(windows))
            return top.ids.to(self._device), top.log_q.to(self._device), top.log_rest.to(self._device)
        assert self._network is not None  # loss_model comes first
        with torch.no_grad():
            return (self._network.hidden(windows[:, :-1]).flatten(0, 1),)  # (B T, C)


def check_teacher(teacher: Checkpoint, config: TrainConfig, data: TrainingData) -> None:
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


def load_network(checkpoint: Checkpoint, place: Placement) -> OpenELM:
    """Return a checkpoint's network in fp32 on this process's device, not to be trained."""
    network = OpenELM(checkpoint.config)
    network.load_state_dict({name: torch.from_numpy(value).float() for name, value in checkpoint.weights().items()})
    return network.requires_grad_(False).eval().to(place.device)


def store_logits(
    teacher: Checkpoint,
    config: TrainConfig,
    data: TrainingData,
    stored: StoredLogits,
    place: Placement,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write what `stored` lacks of a run's windows; see `StoredLogits.write`.

    Raises:
        TrainingError: the teacher does not fit the corpus, or the folder cannot be written.
    """
    check_teacher(teacher, config, data)
    num_windows = config.steps * config.sequences_per_step
    if not stored.missing_parts(num_windows):
        return
    network = load_network(teacher, place)
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
    table = network.transformer.token_embeddings.weight.to(dtype)
    description = stored.description

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

    stored.write(num_windows, data.sampler, top, place, report)


def describe_logits(
    teacher: Checkpoint, config: TrainConfig, data: TrainingData, options: DistillOptions, top_k: int
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
