"""`keyboard-lm average`: several continuations of one model, averaged."""

from __future__ import annotations

from pathlib import Path

import click

from keyboard_lm.cli.training_run import require_training_extra


@click.command(context_settings={"show_default": True})
@click.argument("checkpoints", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", "folder", required=True, type=click.Path(path_type=Path), help="Checkpoint to write.")
@click.option("--shares", metavar="NUMBER,...", help="How much each counts, in any unit.  [default: all alike]")
def command(checkpoints: tuple[Path, ...], folder: Path, shares: str | None) -> None:
    """Write the mean of the weights of CHECKPOINTS (folders, or finished runs) that went on from one model.

    The model that they went on from may be one of them.
    """
    require_training_extra()
    from keyboard_lm_training.teach.averaging import average_checkpoints
    from keyboard_lm_training.teach.distill import load_checkpoint

    try:
        given = [float(share) for share in shares.split(",")] if shares else None
    except ValueError:
        raise click.BadParameter(
            f"numbers with commas between, such as 2,1,1, not {shares!r}", param_hint="--shares"
        ) from None
    checkpoint = average_checkpoints([load_checkpoint(path) for path in checkpoints], folder, given)
    click.echo(f"{checkpoint.folder}: the mean of {len(checkpoints)} checkpoints")
    click.echo(f"next: keyboard-lm export-onnx {checkpoint.folder}")
