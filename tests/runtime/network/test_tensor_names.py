"""OpenELM's weight names have one owner."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keyboard_lm.network.checkpoint import weight_shapes
from keyboard_lm.network.config import model_size
from keyboard_lm.network.tensor_names import FINAL_NORM, TABLE, layer_part, layer_prefix

ROOT = Path(__file__).parents[3]


def test_every_weight_of_a_network_is_the_table_the_last_norm_or_a_part_of_a_layer() -> None:
    config = model_size("9m")
    parts = {}
    for name in weight_shapes(config):
        if name not in (TABLE, FINAL_NORM):
            layer, part = layer_part(name)
            assert name == layer_prefix(layer) + part
            parts.setdefault(layer, set()).add(part)
    assert sorted(parts) == list(range(config.num_transformer_layers))
    assert all(each == parts[0] for each in parts.values())


@pytest.mark.parametrize("name", [TABLE, FINAL_NORM, "transformer.layers.3", "layers.3.attn_norm.weight", ""])
def test_what_is_no_part_of_a_layer_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no weight of a layer"):
        layer_part(name)


def test_nobody_else_types_them_by_hand() -> None:
    packages = (
        ROOT / "keyboard_lm",
        ROOT / "training" / "keyboard_lm_training",
        ROOT / "coreml" / "keyboard_lm_coreml",
    )
    found = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for package in packages
        for file in package.rglob("*.py")
        if file.name != "tensor_names.py"
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.search(r"[\"']transformer\.(layers|norm|token_embeddings)\b", line)
        and not line.lstrip().startswith("match =")
    ]
    assert found == []
