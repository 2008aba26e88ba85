"""`keyboard-lm bench` measures what it says and ends with one JSON line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from keyboard_lm.bench.bandwidth import measure_bandwidth
from keyboard_lm.bench.decode import step_bytes
from keyboard_lm.bench.repeat import Timing, time_calls
from keyboard_lm.cli import main
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.quantize.blockwise import quantize


def bench(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["bench", "--runs", "1", *arguments])
    assert result.exit_code == 0, result.output
    return result


def test_decode_reports_the_model_and_the_floor(tiny_checkpoint: Path) -> None:
    result = bench("--only", "decode", "--model", str(tiny_checkpoint))
    *table, line = result.stdout.splitlines()
    decode = json.loads(line)["decode"]
    assert any("bandwidth floor" in row for row in table)
    assert decode["num_parameters"] == Checkpoint.load(tiny_checkpoint).config.num_parameters
    assert decode["decode"]["calls"] == 32
    assert decode["floor_ms"] > 0
    assert decode["floor_fraction"] == pytest.approx(decode["floor_ms"] / decode["decode"]["median_ms"])


def test_cold_start_sees_a_whole_process_without_torch(tiny_checkpoint: Path) -> None:
    result = bench("--only", "cold-start", "--model", str(tiny_checkpoint), "--json")
    cold = json.loads(result.stdout)["cold_start"]
    assert cold["heavy_imports"] == []
    assert cold["wall"]["median_ms"] > cold["interpreter"]["median_ms"] > 0
    assert 20 < cold["peak_rss_mb"] < 200  # this process, which has torch, holds more


def test_training_reports_utilisation(monkeypatch: pytest.MonkeyPatch) -> None:
    throughput = pytest.importorskip("keyboard_lm_training.run.throughput")
    preset = throughput.preset_for("2m").with_changes(seq_len=8, batch_tokens=16, micro_batch=1)
    monkeypatch.setattr(throughput, "preset_for", lambda size: preset)
    speed = json.loads(bench("--only", "training", "--json").stdout)["training"]
    assert speed["tokens_per_s"] == pytest.approx(16 / speed["step"]["median_ms"] * 1000)
    assert speed["mfu"] > 0


def test_training_is_skipped_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyboard_lm_training.run.throughput", None)
    result = bench("--only", "training")
    assert "not measured: needs keyboard-lm[train]" in result.stdout
    assert json.loads(result.stdout.splitlines()[-1])["training"] is None


def test_missing_model_is_one_line(tmp_path: Path) -> None:
    for part in ("decode", "cold-start"):
        result = CliRunner().invoke(main, ["bench", "--only", part, "--model", str(tmp_path / "none")])
        assert result.exit_code == 1
        assert "no such checkpoint folder" in result.stderr


def test_step_bytes_are_those_of_the_quantized_weights(tiny_checkpoint: Path) -> None:
    checkpoint = Checkpoint.load(tiny_checkpoint)
    expected = sum(w.nbytes if w.ndim == 1 else quantize(w, 4, 32).num_bytes for w in checkpoint.weights().values())
    assert step_bytes(checkpoint.config, 4, 32) == expected


def test_timing_takes_the_median_and_leaves_preparation_out() -> None:
    assert Timing.of([3.0, 1.0, 2.0]) == Timing(median_ms=2.0, best_ms=1.0, calls=3)
    order: list[str] = []
    timing = time_calls(lambda: order.append("call"), 2, lambda: order.append("prepare"))
    assert timing.calls == 2
    assert order == ["prepare", "call"] * (len(order) // 2)


def test_bandwidth_is_positive_for_one_and_two_threads() -> None:
    for threads in (1, 2):
        assert measure_bandwidth(100_000, threads).gb_per_s > 0
