"""What one training run is asked to do, and the presets it starts from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from keyboard_lm.errors import ConfigError
from keyboard_lm.network.config import size_name
from keyboard_lm.tables import parse_toml

_CHOICES = {
    "optimizer": ("adamw", "muon"),
    "schedule": ("cosine", "wsd"),
    "precision": ("bf16", "fp32"),
    "strategy": ("ddp", "fsdp"),
}


@dataclass(frozen=True)
class TrainConfig:
    """Options of a training run; every one is recorded with the checkpoint.

    Attributes:
        size: a name of `keyboard-lm sizes`, or a TOML file with a shape.
        seq_len: tokens the network sees at once (T).
        batch_tokens: tokens of one optimizer step, over all devices; a multiple of `seq_len`.
        micro_batch: sequences one device takes at once; the rest of the step is accumulated.
        steps: optimizer steps in all.
        optimizer: `adamw`, or `muon` for the matrices of the layers with AdamW for the rest (Jordan 2024).
        learning_rate: peak rate; Muon's updates are scaled to AdamW's root mean square, so it serves both.
        betas: AdamW's decay rates.
        weight_decay: decoupled, on matrices only (not on norms).
        dropout: share of what each layer adds to the residual stream that is set to zero in training.
        clip_norm: gradients are scaled down to this global norm.
        z_loss_weight: weight of the squared log-partition in the loss.
        schedule: `cosine` down to `final_lr_share`, or `wsd`: constant, then linear over the last `decay_share`.
        warmup_steps: linear warm-up from zero.
        decay_share: share of the steps that `wsd` spends going down.
        final_lr_share: last learning rate over the peak.
        average_snapshots: the final weights are the mean of this many snapshots; 1 takes the last alone.
        average_interval_steps: steps between those snapshots.
        precision: `bf16` autocast, or `fp32`.
        strategy: how several processes share the work: `ddp` copies the network, `fsdp` shards it.
        recompute_activations: save memory by running each layer's forward pass twice.
        compile: fuse element-wise work with torch.compile; needs a C++ compiler, and a minute at the start.
        seed: of the initial weights and the order of the data.
        eval_interval_steps: steps between two measurements of held-out bits per byte.
        eval_tokens: held-out tokens per source in such a measurement.
        save_interval_minutes: time between two saved states.
        log_interval_steps: steps between two lines of the log.
        timeout_seconds: how long one process waits for the others before it ends with an error.
        tensorboard: write the log's figures for TensorBoard, too.

    Raises:
        ConfigError: on construction, listing every mistake.
    """

    size: str = "9m"
    seq_len: int = 128
    batch_tokens: int = 8192
    micro_batch: int = 64
    steps: int = 2000
    optimizer: str = "muon"
    learning_rate: float = 4e-3
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1
    dropout: float = 0.0
    clip_norm: float = 1.0
    z_loss_weight: float = 1e-4
    schedule: str = "wsd"
    warmup_steps: int = 100
    decay_share: float = 0.5
    final_lr_share: float = 0.0
    average_snapshots: int = 1
    average_interval_steps: int = 10
    precision: str = "bf16"
    strategy: str = "ddp"
    recompute_activations: bool = False
    compile: bool = False
    seed: int = 1
    eval_interval_steps: int = 200
    eval_tokens: int = 4096
    save_interval_minutes: float = 3.0
    log_interval_steps: int = 10
    timeout_seconds: float = 600.0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        mistakes = [
            f"{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}"
            for name, choices in _CHOICES.items()
            if getattr(self, name) not in choices
        ]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                mistakes.append(f"{field.name} must be a whole number, 0 or more, not {value!r}")
            if field.type == "float" and (
                isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf")
            ):
                mistakes.append(f"{field.name} must be a number, 0 or more, not {value!r}")
        if not mistakes:
            mistakes = self._contradictions()
        if mistakes:
            raise ConfigError("training options: " + "; ".join(mistakes))
        object.__setattr__(self, "betas", tuple(self.betas))

    def _contradictions(self) -> list[str]:
        mistakes = [
            f"{name} must be at least 1"
            for name in ("steps", "seq_len", "batch_tokens", "micro_batch", "average_snapshots", "log_interval_steps")
            if getattr(self, name) < 1
        ]
        if self.seq_len and self.batch_tokens % self.seq_len:
            mistakes.append(f"batch_tokens ({self.batch_tokens}) must be a multiple of seq_len ({self.seq_len})")
        if not self.learning_rate:
            mistakes.append("learning_rate must be above 0")
        if not self.timeout_seconds:
            mistakes.append("timeout_seconds must be above 0")
        if not 0 <= self.decay_share <= 1 or not 0 <= self.final_lr_share <= 1:
            mistakes.append("decay_share and final_lr_share must lie between 0 and 1")
        if self.dropout >= 1:
            mistakes.append(f"dropout must be below 1, not {self.dropout}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            mistakes.append(f"betas must be two numbers from 0 up to, but not including, 1, not {self.betas!r}")
        if self.optimizer == "muon" and self.strategy == "fsdp":
            mistakes.append("muon updates whole matrices, which fsdp shards; use adamw with fsdp")
        return mistakes

    @property
    def sequences_per_step(self) -> int:
        return self.batch_tokens // self.seq_len

    @property
    def total_tokens(self) -> int:
        return self.steps * self.batch_tokens

    def with_changes(self, **changes: Any) -> TrainConfig:
        """Return a copy with the given options changed; those that are None stay."""
        given = {name: value for name, value in changes.items() if value is not None}
        unknown = [name for name in given if name not in {field.name for field in dataclasses.fields(self)}]
        if unknown:
            raise ConfigError(f"training options: unknown {', '.join(unknown)}")
        return dataclasses.replace(self, **given)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@cache
def _presets() -> dict[str, dict[str, Any]]:
    text = resources.files(__package__).joinpath("train_presets.toml").read_text(encoding="utf-8")
    return parse_toml(text, "train_presets.toml")


def preset_for(size: str) -> TrainConfig:
    """Return the options a size is trained with unless told otherwise."""
    size = size_name(size)
    presets = _presets()
    return TrainConfig().with_changes(**{**presets.get(size, presets["keyboard"]), "size": size})
