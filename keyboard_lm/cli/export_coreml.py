"""`keyboard-lm export-coreml`: write the stateful Core ML package of a checkpoint, checked, in a bundle for an app."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from keyboard_lm.cli.bundle_export import bundle_options, export_options, run_export


@click.command()
@bundle_options
@click.option("--target", default="iOS18", show_default=True, help="The oldest system that has to run it.")
def command(
    checkpoint: Path | None,
    output: Path | None,
    bits: str | None,
    recipe: Path | None,
    context: int | None,
    functions: str,
    split_head: bool,
    target: str,
    as_json: bool,
) -> None:
    """Turn CHECKPOINT (a folder; by default the bundled model) into a Core ML package for an app.

    The package is run here and compared with the checkpoint step by step before it gets its name; one that computes
    something else is not kept. Beside it lie the tokenizer, the language's data and a manifest with checksums.
    """
    options = export_options(bits, recipe, context, functions, split_head, extra="coreml")
    from keyboard_lm_coreml.export.export import export_bundle

    run_export(export_bundle, checkpoint, output, "coreml", replace(options, target=target), as_json)
