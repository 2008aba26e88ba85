"""`keyboard-lm train` as a user runs it."""

from __future__ import annotations

import builtins
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from keyboard_lm.cli import main

_SMALL = ["--size", "2m", "--seq-len", "16", "--batch-tokens", "128", "--warmup-steps", "1", "--device", "cpu"]


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["train", *arguments])


def test_trains_on_the_shipped_sample_in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = _run(*_SMALL, "--steps", "2", "--json")
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout.strip().splitlines()[-1])
    assert values["steps"] == 2
    assert (tmp_path / values["checkpoint"] / "model.safetensors").is_file()
    assert "M parameters" in result.stderr


def test_dry_run_prints_the_plan_and_writes_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = _run("--size", "2m", "--device", "cpu", "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    plan = json.loads(result.stdout.strip().splitlines()[-1])
    assert plan["seconds"] > 0
    assert plan["memory_bytes"] > 0
    assert not (tmp_path / "runs" / "2m" / "run.json").exists()


@pytest.mark.parametrize("spelling", ["1.1b", "1_1B"])
def test_every_spelling_of_a_size_has_its_recipe(spelling: str) -> None:
    train_config = pytest.importorskip("keyboard_lm_training.run.train_config")
    config = train_config.preset_for(spelling)
    assert (config.size, config.optimizer, config.seq_len) == ("1_1b", "adamw", 2048)


def test_an_absurd_estimate_says_what_would_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = _run("--size", "270m", "--device", "cpu", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "years" in result.stderr
    assert "smaller --size" in result.stderr
    assert "give more text with --data" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "7m"], "choose one of: 2m, 9m"),
        (["--data", "missing"], "no corpus here"),
        (["--seq-len", "0"], "seq_len must be at least 1"),
        (["--steps", "0"], "steps must be at least 1"),
        (["--batch-tokens", "100", "--seq-len", "16"], "must be a multiple of seq_len"),
        (["--optimizer", "muon", "--strategy", "fsdp"], "use adamw with fsdp"),
        (["--learning-rate", "nan"], "learning_rate must be a number"),
        (["--decay-share", "3"], "must lie between 0 and 1"),
    ],
)
def test_a_wrong_option_is_one_clear_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = _run(*_SMALL, *arguments)
    assert result.exit_code == 1
    assert message in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.output


def test_a_wrong_token_count_is_a_usage_error(tiny_corpus: Path, tmp_path: Path) -> None:
    result = _run(*_SMALL, "--data", str(tiny_corpus), "--output", str(tmp_path / "run"), "--tokens", "lots")
    assert result.exit_code == 2
    assert "500k, 20M or 1.5T" in result.stderr


def test_tokens_set_the_number_of_steps(tiny_corpus: Path, tmp_path: Path) -> None:
    result = _run(*_SMALL, "--data", str(tiny_corpus), "--output", str(tmp_path), "--tokens", "0.5k", "--json")
    assert json.loads(result.stdout.strip().splitlines()[-1])["steps"] == 4


def test_missing_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_torch(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name == "torch":
            raise ImportError(name=name)
        return real_import(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    result = _run(*_SMALL)
    assert result.exit_code == 1
    assert result.stderr.strip() == "error: torch is not installed; run: pip install 'keyboard-lm[train]'"


def test_ctrl_c_saves_and_says_how_to_go_on(tiny_corpus: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "keyboard_lm", "train", *_SMALL, "--data", str(tiny_corpus)]
    command += ["--output", str(tmp_path / "run"), "--steps", "100000", "--eval-interval-steps", "0"]
    process = subprocess.Popen(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    log = tmp_path / "run" / "log.jsonl"
    deadline = time.monotonic() + 120
    while (not log.is_file() or not log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command to go on" in errors
    assert "Traceback" not in errors
    assert len(list((tmp_path / "run" / "states").iterdir())) == 1
