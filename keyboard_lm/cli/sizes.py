"""`keyboard-lm sizes`: the model sizes and what they weigh."""

from __future__ import annotations

import json
from typing import Any

import click

from keyboard_lm.cli.table import format_table
from keyboard_lm.network.config import PALETTE_BITS, ModelConfig, model_sizes

_COLUMNS = ("size", "layers", "dim", "heads", "vocab", "parameters", "MB fp16", "MB 4-bit", "KV bytes/token")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """List the model sizes.

    MB are millions of bytes of weights alone, look-up tables and scales not counted; the KV cache is fp16.
    """
    sizes = {name: _measures(config) for name, config in model_sizes().items()}
    if as_json:
        click.echo(json.dumps(sizes, indent=2))
        return
    click.echo(format_table([_COLUMNS, *(_cells(name, values) for name, values in sizes.items())]))


def _measures(config: ModelConfig) -> dict[str, Any]:
    heads = config.num_query_heads
    return {
        "num_layers": config.num_transformer_layers,
        "model_dim": config.model_dim,
        "num_query_heads": list(heads),
        "vocab_size": config.vocab_size,
        "num_parameters": config.num_parameters,
        "fp16_bytes": config.weight_bytes(16),
        "palettized_bytes": config.weight_bytes(PALETTE_BITS),
        "kv_bytes_per_token": config.kv_bytes_per_token,
    }


def _cells(name: str, values: dict[str, Any]) -> tuple[str, ...]:
    heads = values["num_query_heads"]
    return (
        name,
        str(values["num_layers"]),
        str(values["model_dim"]),
        str(heads[0]) if min(heads) == max(heads) else f"{min(heads)}-{max(heads)}",
        f"{values['vocab_size']:,}",
        f"{values['num_parameters'] / 1e6:,.1f}M",
        f"{values['fp16_bytes'] / 1e6:,.1f}",
        f"{values['palettized_bytes'] / 1e6:,.1f}",
        f"{values['kv_bytes_per_token']:,}",
    )
