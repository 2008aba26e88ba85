"""`keyboard-lm export-coreai`: write the Core AI asset of a checkpoint, run by Apple's runtime, for an app."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import click

from keyboard_lm.cli.export_coreml import report_text, report_values
from keyboard_lm.errors import MissingExtraError
from keyboard_lm.network import checkpoint as checkpoints


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path), required=False)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The bundle's folder.  [default: NAME-coreai, here]"
)
@click.option(
    "--bits", type=click.Choice(["4", "6", "8", "16"]), help="Of a weight, by the recipe that ships.  [default: 4]"
)
@click.option("--recipe", type=click.Path(path_type=Path), help="A file that says how each tensor is stored.")
@click.option(
    "--context", type=int, help="Slots of the state, a multiple of 32.  [default: the network's context + 64]"
)
@click.option(
    "--functions", default="decode,tree8,prefill16,prefill64", show_default=True, help="Which functions, by comma."
)
@click.option("--split-head", is_flag=True, help="Cut a vocabulary over 16,384 into parts.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
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
    if bits and recipe:
        raise click.UsageError("--bits names a recipe that ships and --recipe a file; give one of them")
    from keyboard_lm_coreml.package.core_ai_versions import CONVERTER, CORE, require_core_ai

    require_core_ai(CORE, CONVERTER)
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtraError("torch", "coreai") from None
    from keyboard_lm_coreml.convert.recipe import load_recipe, shipped_recipe
    from keyboard_lm_coreml.export.core_ai import export_asset_bundle
    from keyboard_lm_coreml.export.export import ExportOptions

    options = ExportOptions(
        load_recipe(recipe) if recipe else shipped_recipe(int(bits or 4)),
        context,
        tuple(name.strip() for name in functions.split(",") if name.strip()),
        is_head_split=split_head,
    )
    source = checkpoints.Checkpoint.load(checkpoint or checkpoints.bundled_folder())
    name = "keyboard-lm" if checkpoint is None else checkpoint.resolve().name
    # A termination is an interruption like Ctrl-C: the draft is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    report = export_asset_bundle(
        source, output or Path(f"{name}-coreai"), options, lambda stage: click.echo(f"{stage} ...", err=True)
    )
    click.echo(json.dumps(report_values(report)) if as_json else report_text(report))
