"""Quantization-aware tuning: a network learns to give its own full-precision answers with 4-bit weights.

The forward pass sees each matrix rounded to a grid; the gradient goes to the unrounded weights as if nothing had been
rounded (Bengio et al. 2013, "Estimating or propagating gradients through stochastic neurons", section 4). The target is
the distribution of the weights the run started from (LLM-QAT, Liu et al. 2023, distils from the same).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from keyboard_lm.errors import ConfigError, TrainingError
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.model import OpenELM
from keyboard_lm.network.tensor_names import TABLE
from keyboard_lm.quantize.palettes import BITS
from keyboard_lm_training.run.devices import LossModel, Placement
from keyboard_lm_training.run.objective import Objective
from keyboard_lm_training.run.train_config import TrainConfig
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.teach.distill import check_teacher
from keyboard_lm_training.teach.distill_loss import WholeTeacher, linear_distillation
from keyboard_lm_training.teach.grids import BlockStorage, Grid, PaletteStorage, Storage, fit_grids
from keyboard_lm_training.teach.networks import load_network

PALETTE, BLOCKS, BOTH = "palette", "blocks", "both"
SCHEMES = (BOTH, PALETTE, BLOCKS)


@dataclass(frozen=True)
class TuneOptions:
    """What the tuned weights will be stored as.

    Attributes:
        scheme: `palette` (Core ML), `blocks` (ONNX), or `both`, one step with the one and the next with the other.
        palette: see `PaletteStorage`.
        blocks: see `BlockStorage`.
        alpha: weight of the full-precision distribution; the text's next token has the rest.

    Raises:
        ConfigError: on construction, listing every mistake.
    """

    scheme: str = BOTH
    palette: PaletteStorage = field(default_factory=PaletteStorage)
    blocks: BlockStorage = field(default_factory=BlockStorage)
    alpha: float = 1.0

    def __post_init__(self) -> None:
        mistakes = []
        if self.scheme not in SCHEMES:
            mistakes.append(f"scheme must be one of {', '.join(SCHEMES)}, not {self.scheme!r}")
        for name in ("bits", "table_bits"):
            if getattr(self.palette, name) not in BITS:
                mistakes.append(f"{name} must be one of {', '.join(map(str, BITS))}, not {getattr(self.palette, name)}")
        for name in ("group_size", "table_group_size"):
            if getattr(self.palette, name) < 0:
                mistakes.append(f"{name} must be 0 or more, not {getattr(self.palette, name)}")
        if self.blocks.bits not in (4, 8):
            mistakes.append(f"blocks have 4 or 8 bits, not {self.blocks.bits}")
        if self.blocks.block_size < 16 or self.blocks.block_size & (self.blocks.block_size - 1):
            mistakes.append(f"block_size must be a power of two and at least 16, not {self.blocks.block_size}")
        if not 0 <= self.alpha <= 1:
            mistakes.append(f"alpha must lie between 0 and 1, not {self.alpha}")
        if mistakes:
            raise ConfigError("tuning options: " + "; ".join(mistakes))

    @property
    def storages(self) -> tuple[Storage, ...]:
        """What the steps round to, in turn."""
        if self.scheme == BOTH:
            return self.palette, self.blocks
        return (self.palette if self.scheme == PALETTE else self.blocks,)


class _Hidden(nn.Module):
    # `functional_call` swaps the weights of a module for the time of its forward.
    def __init__(self, model: OpenELM) -> None:
        super().__init__()
        self.model = model

    def forward(self, token_ids: Tensor) -> Tensor:
        return self.model.hidden(token_ids)


class TuneLossModel(LossModel):
    """The network with rounded weights, and its loss.

    Args:
        model: the network.
        z_loss_weight: see `linear_distillation`.
        dtype: precision of the heads' matrix products.
        alpha: see `TuneOptions`.
        grids: what the matrices are rounded to, by name, one mapping for each kind of step.
        table: the tied table at full precision.
        is_compiled: see `LossModel`.
    """

    def __init__(
        self,
        model: OpenELM,
        z_loss_weight: float,
        dtype: torch.dtype,
        alpha: float,
        grids: Sequence[Mapping[str, Grid]],
        table: Tensor,
        is_compiled: bool = False,
    ) -> None:
        super().__init__(model, z_loss_weight, dtype, is_compiled)
        self._alpha, self._grids, self._teacher_table = alpha, grids, table.detach()
        self._hidden = (_Hidden(model),)  # a tuple hides it from `named_parameters`, which has the network once already

    def forward(self, windows: Tensor, *soft: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the plain NLL of windows (B, T + 1).

        Args:
            windows: token ids.
            soft: the full-precision hidden states (B T, C), and which of the grids this step is on; without them the
                loss is the NLL of the unrounded network.
        """
        if not soft:
            return super().forward(windows)
        full_hidden, kind = soft
        rounded = {}
        named = dict(self.model.named_parameters())
        for name, grid in self._grids[int(kind)].items():
            weight = named[name]
            # The value of the nearest, the gradient of the weight.
            rounded[name] = weight + (grid.nearest(weight.detach()) - weight).detach()
        swapped = {f"model.{name}": value for name, value in rounded.items()}
        hidden = functional_call(self._hidden[0], swapped, (windows[:, :-1],)).flatten(0, 1)  # (B T, C)
        teacher = WholeTeacher(full_hidden, self._teacher_table, 1.0, self.dtype)
        return linear_distillation(
            hidden, rounded[TABLE], windows[:, 1:].flatten(), teacher, self._alpha, 1.0, self.z_loss_weight, self.dtype
        )


class Tuning(Objective):
    """Rounded weights against the full-precision network.

    Args:
        full: the checkpoint that the run starts from.
        options: see `TuneOptions`.
    """

    def __init__(self, full: Checkpoint, options: TuneOptions) -> None:
        self._full, self.options = full, options
        self._network: OpenELM | None = None
        self._grids: tuple[dict[str, Grid], ...] = ()
        self._sequences_per_step = 1

    def describe(self) -> dict[str, Any]:
        return {"name": "tune", "teacher_digest": self._full.digest, **asdict(self.options)}

    def check(self, config: TrainConfig, model_config: ModelConfig, data: TrainingData) -> None:
        check_teacher(self._full, config, data)
        if config.strategy == "fsdp":
            raise TrainingError("weights are rounded whole, and fsdp shards them; tune with --strategy ddp")

    def loss_model(self, model: OpenELM, config: TrainConfig, dtype: torch.dtype, place: Placement) -> LossModel:
        weights = self._full.weights()
        self._sequences_per_step, self._device = config.sequences_per_step, place.device
        self._grids = tuple(fit_grids(storage, weights, place.device) for storage in self.options.storages)
        self._network = load_network(self._full, place.device)
        table = self._network.transformer.token_embeddings.weight
        return TuneLossModel(model, config.z_loss_weight, dtype, self.options.alpha, self._grids, table, config.compile)

    def finished(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        if len(self._grids) != 1:
            return weights  # no weight lies on two grids
        (grids,) = self._grids
        return {
            name: grids[name].nearest(value.to(self._device)).cpu() if name in grids else value
            for name, value in weights.items()
        }

    def targets(self, start: int, windows: Tensor) -> tuple[Tensor, ...]:
        assert self._network is not None  # loss_model comes first
        kind = torch.tensor(start // self._sequences_per_step % len(self._grids))
        with torch.no_grad():
            return self._network.hidden(windows[:, :-1]).flatten(0, 1), kind  # (B T, C), ()
