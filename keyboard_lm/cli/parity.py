"""`keyboard-lm parity`: every backend and export of a checkpoint that runs here, compared with its weights."""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keyboard_lm.errors import KeyboardLMError, MissingExtraError
from keyboard_lm.network import checkpoint as checkpoints

if TYPE_CHECKING:
    from keyboard_lm.backends.protocol import Backend
    from keyboard_lm.evaluation.parity import Row

Opened = Callable[[], "Backend"]
LONGEST = 48  # tokens of a prompt
# Core AI's runtime on Linux takes half a second a token and 1.3 s a tree: a prompt of each text that ships, and as many
# messages as take a minute.
SLOW, SLOW_PROMPTS, SLOW_MESSAGES = "coreai", 4, 2


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path), required=False)
@click.option("--prompts", "num_prompts", type=click.IntRange(1), default=12, show_default=True)
@click.option("--messages", "num_messages", type=click.IntRange(1), default=4, show_default=True,
              help="Typed for keystroke savings.")  # fmt: skip
@click.option("--only", multiple=True, help="Rows whose name begins so; can be given several times.")
@click.option(
    "--full", is_flag=True, help=f"As many for Core AI, too; else {SLOW_PROMPTS} prompts and {SLOW_MESSAGES} messages."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    checkpoint: Path | None, num_prompts: int, num_messages: int, only: tuple[str, ...], full: bool, as_json: bool
) -> None:
    """Compare torch, ONNX, MLX, GGUF, Core ML and Core AI on CHECKPOINT (by default the bundled model).

    The same prompts go through each: whole, step by step, and as a tree; the same messages are typed with each.
    Reference are the weights in fp32 on torch, on the prompts and messages of each row: Core AI's runtime is so slow on
    Linux that it is given a few of them. A row that cannot run says why.
    """
    try:
        from keyboard_lm.backends.torch import TorchBackend
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("torch", "train") from None
    from keyboard_lm.evaluation.parity import Other, measure, prompts
    from keyboard_lm.evaluation.texts import shipped_texts

    source = checkpoints.Checkpoint.load(checkpoint or checkpoints.bundled_folder())
    texts = shipped_texts()
    longest = min(LONGEST, source.config.max_context_length // 2)
    asked = prompts(source.tokenizer, texts, num_prompts, longest)
    columns = [[message for document in text.documents for message in document] for text in texts]
    messages = [columns[i % len(columns)][i // len(columns)] for i in range(num_messages)]
    with tempfile.TemporaryDirectory() as folder:
        others = [
            Other(name, opened, *((SLOW_PROMPTS, SLOW_MESSAGES) if name.startswith(SLOW) and not full else ()))
            for name, opened in _rows(source, Path(folder))
            if not only or name.startswith(only)
        ]
        rows = measure(
            TorchBackend.load(source), others, source.tokenizer, asked, messages,
            lambda name: click.echo(f"{name} ...", err=True),
        )  # fmt: skip
    if as_json:
        values = [
            {name: None if isinstance(value, float) and math.isnan(value) else value
             for name, value in dataclasses.asdict(row).items()}
            for row in rows
        ]  # fmt: skip
        click.echo(json.dumps({"prompts": len(asked), "messages": len(messages), "rows": values}))
        return
    click.echo(_table(rows))
    click.echo("places: of 9 in each prompt; typed: messages, at three slots")


def _rows(source: checkpoints.Checkpoint, folder: Path) -> list[tuple[str, Opened]]:
    rows: list[tuple[str, Opened]] = [
        (f"onnx {label}", _onnx(source, bits)) for label, bits in (("fp32", 32), ("int8", 8), ("int4", 4))
    ]
    rows += [(f"mlx {label}", _mlx(source, bits)) for label, bits in (("fp16", 16), ("8 bits", 8), ("4 bits", 4))]
    rows += [(f"gguf {kind}", _gguf(source, kind, folder)) for kind in ("f16", "q8_0", "q4_0")]
    rows += [(f"coreml {label}", _coreml(source, bits, folder)) for label, bits in (("fp16", 16), ("4 bits", 4))]
    rows += [(f"coreai {label}", _coreai(source, bits, folder)) for label, bits in (("fp16", 16), ("4 bits", 4))]
    return rows


def _onnx(source: checkpoints.Checkpoint, bits: int) -> Opened:
    def opened() -> Backend:
        from keyboard_lm.backends.onnx import OnnxBackend
        from keyboard_lm.backends.onnx_format import graph_file

        if graph_file(bits) in source.files:
            return OnnxBackend.load(source, bits=bits)
        from keyboard_lm.export.onnx import DEFAULT_BLOCK_SIZE, export_graph

        return OnnxBackend(export_graph(source, bits, DEFAULT_BLOCK_SIZE)[0], source.config)

    return opened


def _mlx(source: checkpoints.Checkpoint, bits: int) -> Opened:
    def opened() -> Backend:
        try:
            from keyboard_lm.backends.mlx import MlxBackend
        except ModuleNotFoundError:
            raise MissingExtraError("mlx", "mlx") from None
        return MlxBackend.load(source, bits=bits)

    return opened


def _gguf(source: checkpoints.Checkpoint, kind: str, folder: Path) -> Opened:
    def opened() -> Backend:
        from keyboard_lm.export.gguf import export_file

        export_file(source, folder / f"{kind}.gguf", kind)
        try:
            from keyboard_lm.backends.llama_cpp import LlamaCppBackend
        except ModuleNotFoundError:
            raise KeyboardLMError("llama.cpp is not installed; run: pip install llama-cpp-python") from None
        return LlamaCppBackend(folder / f"{kind}.gguf", source.config)

    return opened


def _coreml(source: checkpoints.Checkpoint, bits: int, folder: Path) -> Opened:
    def opened() -> Backend:
        from keyboard_lm_coreml.convert.recipe import shipped_recipe
        from keyboard_lm_coreml.export.export import ExportOptions, export_bundle

        from keyboard_lm.backends import load_backend

        bundle = folder / f"coreml-{bits}"
        export_bundle(source, bundle, ExportOptions(shipped_recipe(bits)))
        return load_backend("coreml", checkpoints.Checkpoint.load(bundle))

    return opened


def _coreai(source: checkpoints.Checkpoint, bits: int, folder: Path) -> Opened:
    def opened() -> Backend:
        from keyboard_lm_coreml.convert.recipe import shipped_recipe
        from keyboard_lm_coreml.export.core_ai import export_asset_bundle
        from keyboard_lm_coreml.export.export import ExportOptions

        from keyboard_lm.backends import load_backend

        bundle = folder / f"coreai-{bits}"
        options = ExportOptions(shipped_recipe(bits), functions=("decode", "tree8", "prefill16"))
        export_asset_bundle(source, bundle, options)
        return load_backend("coreai", checkpoints.Checkpoint.load(bundle))

    return opened


def _table(rows: list[Row]) -> str:
    logits, typing = f"{'max |d logit|':>14}{'KL nats':>11}{'top-3 %':>9}", f"{'savings %':>11}{'change':>8}"
    lines = [f"{'':<24}{logits}{typing}{'places':>8}{'typed':>7}"]
    for row in rows:
        if row.reason:
            lines.append(f"{row.name:<24}{row.reason}")
            continue
        lines.append(
            f"{row.name:<24}{row.max_logit_change:>14.2g}{row.mean_kl_nats:>11.2g}{100 * row.top3_agreement:>9.1f}"
            f"{row.savings:>11.1f}{row.savings_change:>+8.1f}{row.num_places:>8}{row.num_messages:>7}"
        )
    return "\n".join(lines)
