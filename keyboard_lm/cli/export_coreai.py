"""`keyboard-lm export-coreai`: write the Core AI asset of a checkpoint, run by Apple's runtime, for an app."""

from __future__ import annotations

from pathlib import Path

import click

from keyboard_lm.cli.bundle_export import bundle_options, export_options, run_export


@click.command()
@bundle_options
def command(
    checkpoint: Path | None,
    output: Path | None,
    bits: str | None,
    recipe: Path | None,
    context: int | None,
    functions: str,
    split_head: bool,
    as_json: bool,
) -> None:
    """Turn CHECKPOINT (a folder; by default the bundled model) into a Core AI asset for an app.

    The same functions, state and look-up tables as `export-coreml`, in the format that follows Core ML's on iOS 27. The
    asset is run here by Apple's own runtime and compared with the checkpoint before it gets its name.
    """
    from keyboard_lm_coreml.package.core_ai_versions import CONVERTER, CORE, require_core_ai

    require_core_ai(CORE, CONVERTER)
    options = export_options(bits, recipe, context, functions, split_head, extra="coreai")
    from keyboard_lm_coreml.export.core_ai import export_asset_bundle

    run_export(export_asset_bundle, checkpoint, output, "coreai", options, as_json)
