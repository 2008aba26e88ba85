"""`keyboard-lm average`: several continuations of one model, averaged."""

from __future__ import annotations

from pathlib import Path

import click

from keyboard_lm.cli.training_run import require_training_extra


@click.command(context_settings={"show_default": True})
@click.argument("checkpoints", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", "folder", required=True, type=click.Path(path_type=Path), help="Checkpoint to write.")
def command(checkpoints: tuple[Path, ...], folder: Path) -> None:
    """Write the mean of the weights of CHECKPOINTS (folders, or finished runs) that went on from one model."""
    require_training_extra()
    from keyboard_lm_training.teach.averaging import average_checkpoints
    from keyboard_lm_training.teach.distill import load_checkpoint

    checkpoint = average_checkpoints([load_checkpoint(path) for path in checkpoints], folder)
    click.echo(f"{checkpoint.folder}: the mean of {len(checkpoints)} checkpoints")
    click.echo(f"next: keyboard-lm export-onnx {checkpoint.folder}")
