"""`keyboard-lm import-hf`: a checkpoint from a folder in the layout of Apple's OpenELM on Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="[default: FOLDER-checkpoint]")
@click.option("--tokenizer", type=click.Path(path_type=Path), help="Llama's tokenizer.model, if it is not in FOLDER.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(folder: Path, output: Path | None, tokenizer: Path | None, as_json: bool) -> None:
    """Turn FOLDER (config.json, safetensors, tokenizer.model) into a checkpoint.

    270M to 3B, base and instruct; every tensor's shape is checked. The published folders have no tokenizer: Llama 2's
    tokenizer.model has to be put there, or named.
    """
    from keyboard_lm.backends.onnx_format import HEAD_MULTIPLE
    from keyboard_lm.export.hf import import_folder

    path = output or Path(f"{folder.resolve().name}-checkpoint")
    checkpoint = import_folder(folder, path, tokenizer)
    config = checkpoint.config
    if as_json:
        click.echo(json.dumps({"folder": str(path), "parameters": config.num_parameters, "digest": checkpoint.digest}))
        return
    click.echo(
        f"{path}: {config.num_parameters / 1e6:,.1f} M parameters, {config.num_transformer_layers} layers of "
        f"{config.model_dim}, {config.vocab_size:,} pieces"
    )
    if config.head_dim % HEAD_MULTIPLE:
        click.echo(
            f'next: keyboard-lm suggest --model {path} --backend torch "I am going" (ONNX Runtime has no attention for '
            f"heads of width {config.head_dim})"
        )
        return
    click.echo(f'next: keyboard-lm export-onnx {path}, then keyboard-lm suggest --model {path} "I am going"')
