"""`keyboard-lm bench`: speed and memory on this machine."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from pathlib import Path
from typing import Any

import click

from keyboard_lm import __version__
from keyboard_lm.bench.repeat import Timing

PARTS = ("cold-start", "decode", "training")
Rows = list[tuple[str, str]]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the JSON line only.")
@click.option("--only", type=click.Choice(PARTS), help="Measure one part.")
@click.option("--runs", type=click.IntRange(min=1), default=20, show_default=True, help="Repetitions of each figure.")
@click.option("--model", type=click.Path(path_type=Path), help="Checkpoint folder.  [default: the bundled model]")
def command(as_json: bool, only: str | None, runs: int, model: Path | None) -> None:
    """Measure cold start, decoding and training on this machine, and print medians.

    Run it while nothing else does. The last line of the output is JSON.
    """
    from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder

    folder = model or bundled_folder()
    results: dict[str, Any] = {"version": __version__, "machine": _machine(), "runs": runs}
    rows: Rows = []
    for part in PARTS if only is None else (only,):
        click.echo(f"measuring {part} ...", err=True)
        if part == "cold-start":
            from keyboard_lm.bench.cold_start import measure_cold_start

            measured: Any = measure_cold_start(folder, runs)
            rows += _cold_start_rows(measured)
        elif part == "decode":
            from keyboard_lm.bench.decode import measure_decode

            measured = measure_decode(Checkpoint.load(folder), runs)
            rows += _decode_rows(measured)
        else:
            try:
                from keyboard_lm_training.run.throughput import measure_training
            except ModuleNotFoundError:
                rows.append(("training", "not measured: needs keyboard-lm[train]"))
                results[part] = None
                continue
            measured = measure_training(runs)
            rows += _training_rows(measured)
        results[part.replace("-", "_")] = dataclasses.asdict(measured)
    if not as_json:
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            click.echo(f"{name:<{width}}  {value}")
    click.echo(json.dumps(results))


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _ms(timing: Timing) -> str:
    return f"{timing.median_ms:.3g} ms  (best {timing.best_ms:.3g}, {timing.calls} calls)"


def _cold_start_rows(result: Any) -> Rows:
    return [
        ("cold start, process to exit", _ms(result.wall)),
        ("  of which Python alone", _ms(result.interpreter)),
        ("  peak memory", f"{result.peak_rss_mb:.0f} MB"),
        ("  imports torch", "yes" if "torch" in result.heavy_imports else "no"),
    ]


def _decode_rows(result: Any) -> Rows:
    blocks = f"{result.bits} bits in blocks of {result.block_size}"
    rows = [
        ("network", f"{result.num_parameters / 1e6:.1f} M parameters, {blocks}, {result.num_threads} threads"),
        ("decode, 1 token", _ms(result.decode)),
        ("tree, 8 tokens", _ms(result.tree)),
        ("prefill, 32 tokens", _ms(result.prefill)),
        ("weights read per step", f"{result.weight_bytes / 1e6:.2f} MB"),
    ]
    for found in result.bandwidths:
        where = f"reading {found.num_bytes / 1e6:.0f} MB, {found.num_threads} threads"
        rows.append((where, f"{found.gb_per_s:.1f} GB/s (numpy max over int64)"))
    share = f"{result.floor_fraction:.0%} of a step"
    return [*rows, ("bandwidth floor", f"{result.floor_ms:.3g} ms = {share}")]


def _training_rows(result: Any) -> Rows:
    shape = f"{result.batch} x {result.seq_len} tokens"
    return [
        (f"training step, {result.size}, {shape}", _ms(result.step)),
        ("training throughput", f"{result.tokens_per_s:,.0f} tokens/s ({result.precision}, {result.optimizer})"),
        (
            "matrix product 1024^3",
            f"{result.matmul_bf16_gflops:.0f} GFLOP/s bf16, {result.matmul_fp32_gflops:.0f} GFLOP/s fp32",
        ),
        ("utilisation (MFU)", f"{result.mfu:.0%} of the bf16 product"),
    ]
