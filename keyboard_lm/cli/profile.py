"""`keyboard-lm profile`: what a Core ML package costs on a device, by estimate, or measured where that can be."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import click

from keyboard_lm.device.budget import device_names, load_device
from keyboard_lm.errors import ConfigError
from keyboard_lm.network.checkpoint import ASSET_SUFFIX, PACKAGE_SUFFIX
from keyboard_lm.network.config import ModelConfig, model_sizes

if TYPE_CHECKING:
    from keyboard_lm_coreml.cost.profile import FunctionProfile
    from keyboard_lm_coreml.package.package import Package

DEFAULT_PACKAGE = Path("keyboard-lm-coreml")


@click.command()
@click.argument("package", type=click.Path(path_type=Path), required=False)
@click.option("--device", type=click.Choice(device_names()), default="iphone-15-pro", show_default=True)
@click.option(
    "--function", "functions", multiple=True, help="Of the package; can be given several times.  [default: all]"
)
@click.option("--all", "is_whole", is_flag=True, help="One line for each operation.")
@click.option("--measure", is_flag=True, help="Load and run it: in Core ML (macOS 15), or Core AI.")
@click.option("--sweep", is_flag=True, help="No package: latency against layers, width, vocabulary, context and bits.")
@click.option(
    "--size", type=click.Choice(list(model_sizes())), default="9m", show_default=True, help="Where --sweep starts."
)
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw the sweep (PNG).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    package: Path | None,
    device: str,
    functions: tuple[str, ...],
    is_whole: bool,
    measure: bool,
    sweep: bool,
    size: str,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Estimate what PACKAGE (by default that of ./keyboard-lm-coreml) costs on a device; say what is known of an asset.

    Operation by operation, from the package itself: multiply-accumulates, bytes, and where it would run. Times are
    estimates of a model fitted to published measurements (docs/cost_model.md), shown with the range of nine in ten.

    A Core AI asset has no estimate: what it stores and computes is listed, and --measure runs it here.
    """
    if sweep:
        rows = _sweep(model_sizes()[size], device)
        if plot is not None:
            _draw(rows, device, plot)
        click.echo(json.dumps(rows) if as_json else _sweep_table(rows, device))
        return
    if plot is not None:
        raise click.UsageError("--plot draws the sweep: add --sweep")
    if _is_asset(package):
        click.echo(_asset_text(package, measure, as_json))
        return
    if measure and sys.platform != "darwin":
        raise ConfigError("--measure needs Core ML: run it on a Mac with macOS 15; without it the estimate is printed")
    from keyboard_lm_coreml.cost.profile import profile_package
    from keyboard_lm_coreml.package.package import Package, find_package

    opened = Package(find_package(package or DEFAULT_PACKAGE))
    chip = load_device(device).chip
    profiles = profile_package(opened, chip, functions)
    measured = {each.name: _measured(opened, each.name) for each in profiles} if measure else {}
    if as_json:
        values = [
            {**dataclasses.asdict(each), "macs": each.macs, "load_bytes": each.load_bytes,
             "measured": measured.get(each.name)}
            for each in profiles
        ]  # fmt: skip
        click.echo(json.dumps({"package": str(opened.path), "device": device, "chip": chip.name, "functions": values}))
        return
    click.echo(f"{opened.path}: {opened.num_bytes / 1e6:.2f} MB, on {device} ({chip.name}); times are estimates")
    for each in profiles:
        click.echo("\n" + _function_text(each, is_whole, measured.get(each.name)))


def _is_asset(package: Path | None) -> TypeGuard[Path]:
    if package is None or package.suffix == ASSET_SUFFIX:
        return package is not None
    return any(package.glob(f"*{ASSET_SUFFIX}")) and not any(package.glob(f"*{PACKAGE_SUFFIX}"))


def _asset_text(place: Path, measure: bool, as_json: bool) -> str:
    from keyboard_lm_coreml.cost.asset_profile import profile_asset

    found = profile_asset(place, measure)
    if as_json:
        return json.dumps({**dataclasses.asdict(found), "path": str(found.path)})
    lines = [
        f"{found.path}: {found.num_bytes / 1e6:.2f} MB, {found.recipe}, written by {found.producer}",
        f"  functions {', '.join(found.functions)}; {found.num_slots} slots",
        "  stores " + ", ".join(f"{count:,} {kind}" for kind, count in found.stored),
        f"  {sum(count for _, count in found.operations):,} operations: "
        + ", ".join(f"{count} {kind}" for kind, count in found.operations),
    ]
    if found.load_ms is not None and found.step_ms is not None:
        lines.append(f"  Core AI on this machine: {found.load_ms:.0f} ms to load, {found.step_ms:.1f} ms a token")
    lines.append("  no time on a device is known: nothing has been published for this format")
    return "\n".join(lines)


def _function_text(profile: FunctionProfile, is_whole: bool, measured: dict[str, Any] | None) -> str:
    lines = [
        f"{profile.name}: {profile.estimate}; {profile.num_layers} layers, {profile.num_dispatches} dispatch"
        f"{'es' * (profile.num_dispatches != 1)}",
        f"  {profile.macs / 1e6:.2f} M MACs; weights {profile.weight_bytes / 1e6:.2f} MB, state "
        f"{profile.state_bytes / 1e6:.2f} MB, activations at most {profile.peak_activation_bytes / 1e6:.2f} MB: "
        f"{profile.load_bytes / 1e6:.1f} MB to load",
    ]
    if measured is not None:
        lines.append(
            f"  measured: {measured['median_ms']:.2f} ms median of {measured['calls']}, first load "
            f"{measured['load_ms']:.0f} ms; on the Neural Engine: {measured['neural_engine_share']}"
        )
    head = f"  {'operation':<34}{'number':>7}{'M MACs':>9}{'weights kB':>12}{'results kB':>12}  where"
    lines.append(head)
    if is_whole:
        rows = [((each.name or each.kind)[:32], each.place, each.reason, [each]) for each in profile.operations]
    else:
        groups: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
        for each in profile.operations:
            groups[each.kind, each.place, each.reason].append(each)
        rows = [(*key, members) for key, members in groups.items()]
        rows.sort(key=lambda row: -sum(each.macs + each.weight_bytes for each in row[3]))
    for name, place, reason, members in rows:
        macs = sum(each.macs for each in members) / 1e6
        weights = sum(each.weight_bytes for each in members) / 1e3
        results = sum(each.activation_bytes + each.state_bytes for each in members) / 1e3
        where = f"{place}: {reason}" if reason else place
        lines.append(f"  {name:<34}{len(members):>7}{macs:>9.2f}{weights:>12.1f}{results:>12.1f}  {where}")
    return "\n".join(lines)


def _sweep(base: ModelConfig, device: str) -> list[dict[str, Any]]:
    """Return estimated times of shapes that differ from a base in one number each."""
    layers, width = base.num_transformer_layers, base.model_dim
    step = base.head_dim * base.num_gqa_groups
    changes: list[tuple[str, int, dict[str, Any], int]] = [
        *(("layers", n, {"num_transformer_layers": n}, 4) for n in sorted({2, 3, 4, 5, 6, 8, 12, 16, layers})),
        *(("width", w, {"model_dim": w}, 4) for w in sorted({step * k for k in (2, 3, 4, 5, 6, 8)} | {width})),
        *(("vocabulary", v, {"vocab_size": v}, 4) for v in sorted({4096, 8192, 16384, base.vocab_size})),
        *(("context", c, {"max_context_length": c}, 4)
          for c in sorted({64, 128, 256, 512, 1024, base.max_context_length})),
        *(("bits", b, {}, b) for b in (4, 6, 8, 16)),
    ]  # fmt: skip
    rows = []
    for name, value, change, bits in changes:
        config = dataclasses.replace(base, **change)
        cost = load_device(device).cost(config, bits, max(bits, 6))
        megabytes = (bits * (config.num_parameters - config.num_embedding_parameters)
                     + max(bits, 6) * config.num_embedding_parameters) / 8e6  # fmt: skip
        rows.append(
            {"varied": name, "value": value, "parameters": config.num_parameters, "weights_mb": megabytes,
             "token_ms": cost.ms(1), "tree_ms": cost.ms(8), "prefill64_ms": cost.ms(64)}
        )  # fmt: skip
    return rows


def _sweep_table(rows: list[dict[str, Any]], device: str) -> str:
    from keyboard_lm.device.cost_model import cost_model

    factor = cost_model().factor
    lines = [f"{'':<12}{'':>7}{'M params':>10}{'MB':>8}{'1 token':>9}{'tree 8':>9}{'prefill 64':>12}   ms, estimates"]
    before = ""
    for row in rows:
        name = row["varied"] if row["varied"] != before else ""
        before = row["varied"]
        lines.append(
            f"{name:<12}{row['value']:>7,}{row['parameters'] / 1e6:>10.1f}{row['weights_mb']:>8.1f}"
            f"{row['token_ms']:>9.2f}{row['tree_ms']:>9.2f}{row['prefill64_ms']:>12.2f}"
        )
    lines.append(f"on {device}; nine in ten lie within a factor of {factor:.1f}")
    return "\n".join(lines)


def _draw(rows: list[dict[str, Any]], device: str, path: Path) -> None:
    from keyboard_lm.errors import DataError, MissingExtraError

    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        raise MissingExtraError("matplotlib", "plot") from None
    names = list(dict.fromkeys(row["varied"] for row in rows))
    figure, axes = pyplot.subplots(1, len(names), figsize=(3 * len(names), 3), sharey=True)
    for axis, name in zip(axes, names, strict=True):
        chosen = [row for row in rows if row["varied"] == name]
        for key, label in (("token_ms", "1 token"), ("tree_ms", "tree of 8"), ("prefill64_ms", "prefill of 64")):
            axis.plot([row["value"] for row in chosen], [row[key] for row in chosen], marker="o", label=label)
        axis.set_xlabel(name)
    axes[0].set_ylabel(f"ms on {device} (estimate)")
    axes[0].set_ylim(bottom=0)
    axes[-1].legend(fontsize=7)
    figure.tight_layout()
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        pyplot.close(figure)


def _measured(package: Package, function: str) -> dict[str, Any]:
    # Untested: nothing here has run on a Mac.
    from keyboard_lm_coreml.execute.measure import measure_function

    return measure_function(package, function)
