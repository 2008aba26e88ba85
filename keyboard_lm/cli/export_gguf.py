"""`keyboard-lm export-gguf`: a file for llama.cpp."""

from __future__ import annotations

import json
from pathlib import Path

import click

from keyboard_lm.network import checkpoint as checkpoints


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path), required=False)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File.  [default: NAME-TYPE.gguf]"
)
@click.option("--type", "kind", type=click.Choice(["f16", "q8_0", "q4_0"]), default="q8_0", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(checkpoint: Path | None, output: Path | None, kind: str, as_json: bool) -> None:
    """Write CHECKPOINT (by default the bundled model) as a GGUF file.

    Text that llama.cpp is given should be in the text form (docs/text.md) and end in a space: the pieces hold the
    space behind a word, and the last word's is missing otherwise.
    """
    from keyboard_lm.export.gguf import export_file

    source = checkpoints.Checkpoint.load(checkpoint or checkpoints.bundled_folder())
    name = "keyboard-lm" if checkpoint is None else checkpoint.resolve().name
    path = output or Path(f"{name}-{kind}.gguf")
    num_bytes = export_file(source, path, kind)
    report = {"file": str(path), "type": kind, "num_bytes": num_bytes}
    if as_json:
        click.echo(json.dumps(report))
        return
    click.echo(f"{path}: {num_bytes / 1e6:.1f} MB, {kind}")
    if not source.tokenizer.is_prefix_space:
        click.echo("prompts: in the text form (docs/text.md), a space at the end; without it none gets the right ids")
