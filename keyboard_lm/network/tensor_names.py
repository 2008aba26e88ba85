"""OpenELM's names of its weights, as its published files have them."""

from __future__ import annotations

TABLE = "transformer.token_embeddings.weight"  # (V, C), tied to the head
FINAL_NORM = "transformer.norm.weight"  # (C,)
_LAYERS = "transformer.layers."


def layer_prefix(layer: int) -> str:
    """Return what the names of one layer's weights begin with, the dot behind its number included."""
    return f"{_LAYERS}{layer}."


def layer_part(name: str) -> tuple[int, str]:
    """Return the layer that a weight belongs to, and its name inside: ``0, "attn.qkv_proj.weight"``.

    Raises:
        ValueError: it belongs to none.
    """
    layer, _, part = name.removeprefix(_LAYERS).partition(".")
    if not name.startswith(_LAYERS) or not part:
        raise ValueError(f"{name} is no weight of a layer")
    return int(layer), part
