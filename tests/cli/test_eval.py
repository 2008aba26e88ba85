"""`keyboard-lm eval` on random weights: tables, JSON, limits, comparisons, and clear errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from keyboard_lm.cli import main

Evaluate = Callable[..., Result]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "one.txt").write_text("I am going home.\nSee you at 3.5 p.m.\n")
    (folder / "two.txt").write_text("Hi!\nHello you\n\n😂\n\nbye now\n")
    (folder / "faces.txt").write_text("😂\n!!\n")
    (folder / "typos.tsv").write_text("teh\tthe\nrecieve\treceive\n")
    return folder


@pytest.fixture
def evaluate(tiny_checkpoint: Path, data: Path) -> Evaluate:
    def run(*arguments: str, path: Path | str = data, model: Path = tiny_checkpoint) -> Result:
        options = ["--data", str(path), "--model", str(model), "--jobs", "1"]
        return CliRunner().invoke(main, ["eval", *arguments, *options])

    return run


def test_one_table_has_a_row_for_each_figure_and_a_column_for_each_text(evaluate: Evaluate) -> None:
    result = evaluate()
    assert result.exit_code == 0, result.output
    header, *rows = result.stdout.splitlines()
    assert header.split() == ["faces.txt", "one.txt", "two.txt", "all"]
    words = next(row for row in rows if row.startswith("next-word: words"))
    assert words.split()[2:] == ["0", "11", "5", "16"]
    top1 = next(row for row in rows if row.startswith("next-word: top-1"))
    assert top1.split()[3] == "-"  # no word to predict
    tasks = {row.partition(":")[0] for row in rows}
    assert tasks == {"next-word", "completion", "savings", "autocorrect", "inline", "language-model"}


def test_many_texts_get_a_row_each(evaluate: Evaluate, data: Path) -> None:
    for number in range(4):
        (data / f"more{number}.txt").write_text("I am\n")
    result = evaluate("next-word", "language-model")
    first, second = result.stdout.strip().split("\n\n")
    assert first.split()[:2] == ["next-word", "words"]
    assert len(second.splitlines()) == 1 + 7 + 1


def test_json_holds_figures_and_a_second_run_is_identical(evaluate: Evaluate) -> None:
    result = evaluate("--json")
    answer = json.loads(result.stdout)
    figure = answer["figures"]["next-word"]["one.txt"]["folded3"]
    assert 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 100
    assert answer["figures"]["next-word"]["faces.txt"]["folded3"] == {"value": None, "low": None, "high": None}
    bits = answer["figures"]["language-model"]["two.txt"]
    assert bits["bytes"]["value"] == 4 + 10 + 5 + 8
    assert 2 < bits["bits_per_byte"]["value"] < 20
    assert evaluate("--json").stdout == result.stdout


def test_backends_and_precisions_agree_roughly_and_progress_is_not_on_stdout(evaluate: Evaluate) -> None:
    rates = []
    for options in (["--backend", "onnx"], ["--bits", "32"], ["--backend", "torch"]):
        result = evaluate("language-model", "--json", *options)
        assert "documents" in result.stderr
        figures = json.loads(result.stdout)["figures"]["language-model"]
        rates.append(figures["one.txt"]["bits_per_byte"]["value"])
    assert rates[0] == pytest.approx(rates[1], rel=0.1)  # 4 bit against fp32
    assert rates[1] == pytest.approx(rates[2], rel=1e-4)


def test_a_limit_counts_messages_of_each_text(evaluate: Evaluate, data: Path) -> None:
    answer = json.loads(evaluate("language-model", "--limit", "1", "--json", path=data / "two.txt").stdout)
    assert answer["figures"]["language-model"]["two.txt"]["bytes"]["value"] == 4


def test_slots_and_errors_are_options(evaluate: Evaluate, data: Path) -> None:
    answer = json.loads(evaluate("savings", "--slots", "2", "--errors", "heavy", "--json").stdout)
    assert (answer["slots"], answer["errors"]) == ([2], "heavy")
    assert "savings2" in answer["figures"]["savings"]["one.txt"]


def test_recordings_measure_autocorrection_and_nothing_else(evaluate: Evaluate, data: Path) -> None:
    result = evaluate(path=data / "typos.tsv")
    rows = result.stdout.splitlines()
    assert rows[0].split() == ["typos.tsv"]
    assert all(row.startswith("autocorrect: ") for row in rows[1:])
    assert evaluate("savings", path=data / "typos.tsv").exit_code == 1


def test_results_are_kept_and_compared(evaluate: Evaluate, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        assert evaluate("next-word", "-o", str(tmp_path / name)).exit_code == 0
    paths = [str(tmp_path / name) for name in ("a.json", "b.json")]
    result = CliRunner().invoke(main, ["eval", "--compare", *paths])
    assert result.exit_code == 0, result.output
    assert "+0.0 [+0.0, +0.0]" in result.stdout
    (tmp_path / "b.json").write_text("{}")
    result = CliRunner().invoke(main, ["eval", "--compare", *paths])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


def test_curves_are_drawn(evaluate: Evaluate, tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    assert evaluate("savings", "completion", "--plot", str(path)).exit_code == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    result = evaluate("next-word", "--plot", str(path))
    assert (result.exit_code, result.stderr.splitlines()[-1][:6]) == (1, "error:")


def test_cost_is_measured_when_asked_for(evaluate: Evaluate, data: Path) -> None:
    result = evaluate("cost", path=data / "one.txt")
    assert result.exit_code == 0, result.output
    assert "keystrokes" in result.stdout
    assert "p99 ms" in result.stdout


def test_wrong_options_are_usage_errors(evaluate: Evaluate) -> None:
    for arguments in (["top-words"], ["--limit", "0"], ["--backend", "abacus"], ["--errors", "some"]):
        assert evaluate(*arguments).exit_code == 2


def test_unusable_data_or_models_give_one_clear_line(evaluate: Evaluate, tmp_path: Path, data: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"fine\n\xff")
    for result, words in (
        (evaluate(path=tmp_path / "none"), "no such file"),
        (evaluate(path=bad), "not UTF-8"),
        (evaluate(model=tmp_path / "none"), "no such checkpoint"),
        (evaluate("next-word", "-o", str(tmp_path / "none" / "a.json")), "cannot be written"),
    ):
        assert result.exit_code == 1
        assert result.stderr.splitlines()[-1].startswith("error: ")
        assert words in result.stderr
