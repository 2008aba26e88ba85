"""`keyboard-lm train`: trains a model, or goes on with a run that was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from keyboard_lm.cli.training_run import (
    configured,
    init_from_option,
    require_training_extra,
    run_training,
    training_options,
)


@click.command(context_settings={"show_default": True})
@init_from_option
@training_options
def command(
    pruned_model: Path | None,
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
    """Train a model of a named size.

    Without --data it trains on a small CC0 sample, so that the command works anywhere. Run the same command again to
    go on with a run that was stopped or killed. Start it with torchrun for several devices.
    """
    require_training_extra()
    config = configured(size, tokens, options)
    run_folder = run_folder or Path("runs") / Path(config.size).stem
    run_training(config, data, run_folder, initial_folder, device, dry_run, as_json, pruned_model=pruned_model)
