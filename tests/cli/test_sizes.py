"""`keyboard-lm sizes` against the configurations themselves."""

from __future__ import annotations

import json

from click.testing import CliRunner

from keyboard_lm.cli import main
from keyboard_lm.network.config import model_sizes


def test_the_table_has_a_row_for_every_size() -> None:
    result = CliRunner().invoke(main, ["sizes"])
    assert result.exit_code == 0
    header, *rows = result.stdout.splitlines()
    assert [row.split()[0] for row in rows] == list(model_sizes())
    assert len({len(row) for row in (header, *rows)}) == 1
    row = next(row.split() for row in rows if row.startswith("270m"))
    assert row == ["270m", "16", "1280", "12-20", "32,000", "271.5M", "543.1", "135.8", "16,128"]


def test_json_holds_the_exact_numbers() -> None:
    sizes = json.loads(CliRunner().invoke(main, ["sizes", "--json"]).stdout)
    assert list(sizes) == list(model_sizes())
    values = sizes["270m"]
    # OpenELM-270M as published: 271,527,168 parameters, 3 to 5 key-value heads of 64
    assert values["num_parameters"] == 271_527_168
    assert values["fp16_bytes"] == 2 * 271_527_168
    assert values["palettized_bytes"] == 271_527_168 // 2
    assert values["kv_bytes_per_token"] == sum(heads // 4 for heads in values["num_query_heads"]) * 64 * 2 * 2
    assert (values["num_layers"], values["model_dim"], values["vocab_size"]) == (16, 1280, 32_000)
