"""`keyboard-lm export-hf`: a checkpoint in the layout of Apple's OpenELM on Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path

import click

from keyboard_lm.network import checkpoint as checkpoints


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder.  [default: NAME-hf]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(checkpoint: Path | None, output: Path | None, as_json: bool) -> None:
    """Write CHECKPOINT (by default the bundled model) as config.json, model.safetensors and tokenizer files.

    The text that its tokenizer stands for is the text form (docs/text.md), not plain text.
    """
    from keyboard_lm.export.hf import export_folder

    source = checkpoints.Checkpoint.load(checkpoint or checkpoints.bundled_folder())
    name = "keyboard-lm" if checkpoint is None else checkpoint.resolve().name
    path = output or Path(f"{name}-hf")
    export_folder(source, path)
    click.echo(json.dumps({"folder": str(path)}) if as_json else f"{path}: {_size_mb(path):.1f} MB")


def _size_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.iterdir()) / 1e6
