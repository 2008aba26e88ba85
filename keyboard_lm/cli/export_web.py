"""`keyboard-lm export-web`: a folder that any web server can give, with a keyboard that predicts in the browser."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from keyboard_lm.network import checkpoint as checkpoints


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder.  [default: NAME-web]")
@click.option("--language", default="en", show_default=True)
@click.option(
    "--runtime", type=click.Path(path_type=Path, exists=True),
    help="onnxruntime-web: node_modules/onnxruntime-web/dist, or the .tgz of `npm pack`.  [default: npm fetches it]",
)  # fmt: skip
@click.option(
    "--webgpu/--no-webgpu", default=None, help="Take the runtime for GPUs along.  [default: for 20 million weights on]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    checkpoint: Path | None,
    output: Path | None,
    language: str,
    runtime: Path | None,
    webgpu: bool | None,
    as_json: bool,
) -> None:
    """Write CHECKPOINT (by default the bundled model) as a page that predicts without a server.

    Nothing that is typed leaves the browser there. The folder can be given by `keyboard-lm serve --web FOLDER` or by
    any web server: its files are static.
    """
    from keyboard_lm.export.web import export_web

    source = checkpoints.Checkpoint.load(checkpoint or checkpoints.bundled_folder())
    name = "keyboard-lm" if checkpoint is None else checkpoint.resolve().name
    path = output or Path(f"{name}-web")
    report = export_web(source, path, language, runtime, webgpu)
    if as_json:
        click.echo(json.dumps({"folder": str(path), **dataclasses.asdict(report)}))
        return
    gpu = ", with WebGPU" if report.has_webgpu else ""
    click.echo(f"{path}: {report.num_files} files, {report.num_bytes / 1e6:.1f} MB{gpu}")
    click.echo(f"a browser loads {report.num_gzip_bytes / 1e6:.1f} MB compressed before the first bar")
    click.echo(f"the graph against its own weights in numpy: relative error {report.error:.2g} at the worst place")
    click.echo(f"try: python -m http.server --directory {path} 8000")
