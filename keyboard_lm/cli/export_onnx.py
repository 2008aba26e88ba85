"""`keyboard-lm export-onnx`: write the runtime's graph of a checkpoint, checked against the weights it holds."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from keyboard_lm.files import write_file_whole
from keyboard_lm.network import checkpoint as checkpoints


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path), required=False)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write here, not into the checkpoint."
)
@click.option(
    "--bits", type=click.Choice(["4", "8", "16", "32"]), default="4", show_default=True,
    help="4 is what the runtime uses; 16 and 32 compute in fp32, for comparison.",
)  # fmt: skip
@click.option(
    "--block-size", type=click.Choice(["32", "64", "128"]), help="Weights that share a scale, at 4 and 8 bits."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(checkpoint: Path | None, output: Path | None, bits: str, block_size: str | None, as_json: bool) -> None:
    """Turn CHECKPOINT (a folder; by default the bundled model) into a graph for ONNX Runtime.

    The graph goes into the folder, where the other commands find it. It is run and compared with the weights before
    it is written; a wrong one is not kept.
    """
    from keyboard_lm.backends import onnx_format
    from keyboard_lm.export import onnx as onnx_export

    folder = checkpoint or checkpoints.bundled_folder()
    source = checkpoints.Checkpoint.load(folder)
    size = int(block_size) if block_size else onnx_export.DEFAULT_BLOCK_SIZE
    graph, report = onnx_export.export_graph(source, int(bits), size)
    if output:
        write_file_whole(output, graph)
        path = output
    else:
        path = folder / onnx_format.graph_file(int(bits))
        checkpoints.add_file(source, path.name, graph)
    if as_json:
        click.echo(json.dumps({"file": str(path), **dataclasses.asdict(report)}))
        return
    blocks = f", blocks of {report.block_size}" if report.block_size else ""
    click.echo(f"{path}: {report.num_bytes / 1e6:.2f} MB, {report.bits} bits{blocks}")
    click.echo(
        f"against the fp32 weights, at {report.num_positions} places of sample text: max |d logit| "
        f"{report.max_abs_change:.3g}, mean KL {report.mean_kl_nats:.3g} nats, same first token "
        f"{report.top1_agreement:.0%}"
    )
    click.echo(f"against its own weights in numpy: relative error {report.error:.2g} at the worst place")
