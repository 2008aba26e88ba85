"""`keyboard-lm eval` on random weights: tables, JSON, limits, and clear errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from keyboard_lm.cli import main

Evaluate = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "one.txt").write_text("I am going home.\nSee you at 3.5 p.m.\n")
    (folder / "two.txt").write_text("Hi!\nHello you\n\n😂\n\nbye now\n")
    (folder / "faces.txt").write_text("😂\n!!\n")
    (folder / "ignored.json").write_text("{}")
    return folder


@pytest.fixture
def evaluate(tiny_checkpoint: Path, data: Path) -> Evaluate:
    def run(*arguments: str, path: Path = data, model: Path = tiny_checkpoint) -> Result:
        return CliRunner().invoke(main, ["eval", *arguments, "--data", str(path), "--model", str(model)])

    return run


def test_a_table_has_a_row_per_file(evaluate: Evaluate) -> None:
    result = evaluate("next-word")
    assert result.exit_code == 0, result.output
    header, *rows = result.stdout.splitlines()
    assert header.split()[:3] == ["next-word", "lines", "words"]
    assert [row.split()[0] for row in rows] == ["faces.txt", "one.txt", "two.txt"]
    assert rows[0].split()[1:] == ["-"] * 8  # no word to predict
    assert rows[1].split()[1:3] == ["2", "11"]
    assert rows[2].split()[1:3] == ["3", "5"]


def test_both_tasks_run_by_default_and_json_holds_the_numbers(evaluate: Evaluate) -> None:
    result = evaluate("--json")
    answer = json.loads(result.stdout)
    assert list(answer) == ["next-word", "bits-per-byte"]
    assert answer["next-word"]["faces.txt"] is None
    one = answer["next-word"]["one.txt"]
    assert (one["num_lines"], one["num_words"]) == (2, 11)
    assert [0 <= interval["low"] <= interval["rate"] <= interval["high"] <= 1 for interval in one["folded"]] == [
        True
    ] * 3
    cost = answer["bits-per-byte"]["two.txt"]
    assert (cost["num_lines"], cost["num_bytes"], cost["num_words"]) == (4, 4 + 10 + 5 + 8, 6)
    assert 2 < cost["bits_per_byte"]["rate"] < 20
    assert evaluate("--json").stdout == result.stdout


def test_backends_agree_and_progress_is_not_on_stdout(evaluate: Evaluate) -> None:
    rates = []
    for backend in ("onnx", "torch"):
        result = evaluate("bits-per-byte", "--json", "--backend", backend)
        assert "bits-per-byte one.txt" in result.stderr
        rates.append(json.loads(result.stdout)["bits-per-byte"]["one.txt"]["bits_per_byte"]["rate"])
    assert rates[0] == pytest.approx(rates[1], rel=0.1)  # 4 bit against fp32


def test_a_limit_counts_lines_of_each_file(evaluate: Evaluate, data: Path) -> None:
    answer = json.loads(evaluate("bits-per-byte", "--limit", "1", "--json", path=data / "two.txt").stdout)
    assert answer["bits-per-byte"]["two.txt"]["num_lines"] == 1


def test_wrong_options_are_usage_errors(evaluate: Evaluate) -> None:
    for arguments in (["top-words"], ["--limit", "0"], ["--backend", "abacus"]):
        assert evaluate(*arguments).exit_code == 2
    assert CliRunner().invoke(main, ["eval", "next-word"]).exit_code == 2  # no data


def test_unusable_data_or_models_give_one_clear_line(evaluate: Evaluate, tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"fine\n\xff")
    for result, words in (
        (evaluate(path=tmp_path / "none"), "no such file"),
        (evaluate(path=bad), "not UTF-8"),
        (evaluate(path=tmp_path / "empty"), "no such file"),
        (evaluate(model=tmp_path / "none"), "no such checkpoint"),
    ):
        assert result.exit_code == 1
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
        assert words in result.stderr
