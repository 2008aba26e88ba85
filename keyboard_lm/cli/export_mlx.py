"""`keyboard-lm export-mlx`: a folder that mlx-lm loads as it is."""

from __future__ import annotations

import json
from pathlib import Path

import click

from keyboard_lm.network import checkpoint as checkpoints


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder.  [default: NAME-mlx-BITSbit]")
@click.option("--bits", type=click.Choice(["4", "8", "16"]), default="4", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(checkpoint: Path | None, output: Path | None, bits: str, as_json: bool) -> None:
    """Write CHECKPOINT (by default the bundled model) for mlx_lm.load and mlx_lm.generate."""
    from keyboard_lm.export.mlx import export_folder

    source = checkpoints.Checkpoint.load(checkpoint or checkpoints.bundled_folder())
    name = "keyboard-lm" if checkpoint is None else checkpoint.resolve().name
    path = output or Path(f"{name}-mlx-{bits}bit")
    report = export_folder(source, path, int(bits))
    if as_json:
        click.echo(json.dumps({"folder": str(path), **report}))
        return
    groups = f", groups of {report['group_size']}" if report["group_size"] else ""
    click.echo(f"{path}: {report['num_bytes'] / 1e6:.1f} MB, {bits} bits{groups}")
    click.echo(f'try: mlx_lm.generate --model {path} --prompt "I am going"')
