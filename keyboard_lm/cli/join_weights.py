"""`keyboard-lm join-weights`: puts a checkpoint's weights together that came in parts."""

from __future__ import annotations

from pathlib import Path

import click

from keyboard_lm.cli.training_run import require_training_extra


@click.command(context_settings={"show_default": True})
@click.argument("folder", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Join the parts of FOLDER's weights, check them, and delete the parts."""
    require_training_extra()
    from keyboard_lm_training.teach.time_box import join_checkpoint

    checkpoint = join_checkpoint(folder)
    click.echo(f"{checkpoint.folder}: {checkpoint.config.num_parameters / 1e6:.1f} M parameters, whole")
