"""`keyboard-lm tune`: lets a checkpoint get used to the few bits its weights will be stored in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keyboard_lm.cli.training_run import configured, require_training_extra, run_training, training_options
from keyboard_lm.errors import ConfigError

if TYPE_CHECKING:
    from keyboard_lm_training.run.devices import Placement
    from keyboard_lm_training.run.train_config import TrainConfig
    from keyboard_lm_training.run.training_data import TrainingData
    from keyboard_lm_training.teach.tune import Tuning

# A short run that moves weights by a few steps of their grid; given options win.
_DEFAULTS: dict[str, Any] = {
    "steps": 150, "optimizer": "adamw", "learning_rate": 1e-4, "weight_decay": 0.0, "warmup_steps": 10,
    "schedule": "wsd", "decay_share": 0.8, "eval_interval_steps": 50,
}  # fmt: skip


@click.command(context_settings={"show_default": True})
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--scheme",
    type=click.Choice(["both", "palette", "blocks"]),
    default="both",
    help="Core ML's look-up tables, ONNX Runtime's blocks, or one step with the one and the next with the other.",
)
@click.option("--alpha", type=float, default=1.0, help="Weight of the full-precision answers; the text has the rest.")
@training_options
def command(
    checkpoint: Path,
    scheme: str,
    alpha: float,
    size: str,
    data: Path | str | None,
    run_folder: Path | None,
    initial_folder: Path | None,
    tokens: str | None,
    device: str | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Fine-tune CHECKPOINT (a folder, or a finished run) with its weights rounded as they will be stored.

    Its own full-precision answers are the target, so that 4 bits cost less and nothing else is learned. By default 150
    steps; everything that holds for `train` holds here. The loss in the log is that on the text, with rounded weights.
    """
    if initial_folder is not None:
        raise ConfigError("a tuning run starts from CHECKPOINT; leave --init out")
    require_training_extra()
    from keyboard_lm_training.teach.distill import load_checkpoint
    from keyboard_lm_training.teach.tune import TuneOptions

    full = load_checkpoint(checkpoint)
    tune_options = TuneOptions(scheme, alpha=alpha)
    given = {name: value for name, value in options.items() if value is not None}
    config = configured(size, tokens, {**_DEFAULTS, **given})

    def make_objective(config: TrainConfig, training_data: TrainingData, place: Placement) -> Tuning:
        from keyboard_lm_training.teach.tune import Tuning

        return Tuning(full, tune_options)

    run_training(
        config, data, run_folder or Path("runs") / f"{config.size}-tuned", full.folder, device, dry_run, as_json,
        make_objective, extra_flops_per_token=2 * full.config.num_parameters,
    )  # fmt: skip
