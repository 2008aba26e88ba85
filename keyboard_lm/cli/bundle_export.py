"""What `export-coreml` and `export-coreai` share: their options, the run that writes a bundle, the report."""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keyboard_lm.errors import MissingExtraError
from keyboard_lm.network import checkpoint as checkpoints

if TYPE_CHECKING:
    from keyboard_lm_coreml.export.export import ExportOptions, ExportReport

    Export = Callable[[checkpoints.Checkpoint, Path, ExportOptions, Callable[[str], None]], ExportReport]

_OPTIONS = (
    click.argument("checkpoint", type=click.Path(path_type=Path), required=False),
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        help="The bundle's folder.  [default: the model's name, here]",
    ),
    click.option(
        "--bits", type=click.Choice(["4", "6", "8", "16"]), help="Of a weight, by the recipe that ships.  [default: 4]"
    ),
    click.option("--recipe", type=click.Path(path_type=Path), help="A file that says how each tensor is stored."),
    click.option(
        "--context", type=int, help="Slots of the state, a multiple of 32.  [default: the network's context + 64]"
    ),
    click.option(
        "--functions", default="decode,tree8,prefill16,prefill64", show_default=True, help="Which functions, by comma."
    ),
    click.option("--split-head", is_flag=True, help="Cut a vocabulary over 16,384 into parts."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)


def bundle_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of an export."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def export_options(
    bits: str | None, recipe: Path | None, context: int | None, functions: str, split_head: bool, extra: str
) -> ExportOptions:
    """Return what the options mean, the target left as it is by itself.

    Args:
        bits: by which recipe that ships weights are stored; None for 4.
        recipe: another recipe's file.
        context: slots of the state; None for the network's choice.
        functions: their names, by comma.
        split_head: whether a large table is cut.
        extra: that brings torch.

    Raises:
        UsageError: bits and a recipe.
        MissingExtraError: torch is not installed.
        ConfigError: a recipe that cannot be read.
    """
    if bits and recipe:
        raise click.UsageError("--bits names a recipe that ships and --recipe a file; give one of them")
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtraError("torch", extra) from None
    from keyboard_lm_coreml.convert.recipe import load_recipe, shipped_recipe
    from keyboard_lm_coreml.export.export import ExportOptions

    return ExportOptions(
        load_recipe(recipe) if recipe else shipped_recipe(int(bits or 4)),
        context,
        tuple(name.strip() for name in functions.split(",") if name.strip()),
        is_head_split=split_head,
    )


def run_export(
    export: Export, checkpoint: Path | None, output: Path | None, suffix: str, options: ExportOptions, as_json: bool
) -> None:
    """Write a bundle and print the report.

    Args:
        export: writes it.
        checkpoint: its folder; None for the bundled model.
        output: the bundle's folder; None for one by the checkpoint's name, here.
        suffix: of that name.
        options: what to export.
        as_json: print one JSON object.
    """
    source = checkpoints.Checkpoint.load(checkpoint or checkpoints.bundled_folder())
    name = "keyboard-lm" if checkpoint is None else checkpoint.resolve().name
    # A termination is an interruption like Ctrl-C: the draft is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    report = export(
        source, output or Path(f"{name}-{suffix}"), options, lambda stage: click.echo(f"{stage} ...", err=True)
    )
    click.echo(json.dumps(report_values(report)) if as_json else report_text(report))


def report_values(report: ExportReport) -> dict[str, Any]:
    """Return an export's report for JSON."""
    return {**dataclasses.asdict(report), "folder": str(report.folder)}


def report_text(report: ExportReport) -> str:
    """Return an export's report for people."""
    lines = [
        f"{report.folder}: package {report.package_bytes / 1e6:.2f} MB, bundle {report.bundle_bytes / 1e6:.2f} MB, "
        f"{report.recipe}, {report.num_slots} slots, {', '.join(report.functions)}; {report.seconds:.0f} s",
        f"  {'check':<10}{'error':>9}{'allowed':>9}{'top-1':>8}{'top-3':>8}   between",
    ]
    for rung in report.rungs:
        agreement = "" if rung.top1 is None or rung.top3 is None else f"{rung.top1:>8.1%}{rung.top3:>8.1%}"
        lines.append(f"  {rung.name:<10}{rung.error:>9.2g}{rung.threshold:>9.2g}{agreement:<16}   {rung.compares}")
    return "\n".join(lines)
