"""The script that makes the bundled model: the order of its steps, and what it leaves out when called again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click import Command
from click.testing import CliRunner

from keyboard_lm.cli import main
from keyboard_lm.network.checkpoint import RECORD_FILE, bundled_folder

_SCRIPT = Path(__file__).parents[2] / "training" / "make_bundled.sh"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="a bash script")

# Stands for both commands: writes down its arguments, and makes what the real one would make.
_STAND_IN = """
import pathlib, sys
out = pathlib.Path(sys.argv[1]); arguments = sys.argv[2:]
with open(out / "calls.txt", "a") as file:
    print(" ".join(arguments), file=file)
def made(path):
    path = pathlib.Path(path); path.parent.mkdir(parents=True, exist_ok=True); path.write_text("")
given = dict(zip(arguments, arguments[1:]))
match arguments[0]:
    case "unpack-chat": made(given["-o"] + "/chitchat.txt.xz")
    case "corpus": made(given["-o"] + "/manifest.json")
    case "train" | "distill" | "tune": made(given["-o"] + "/checkpoint/checkpoint.json")
    case "average": made(given["-o"] + "/checkpoint.json")
    case "adopt": made(given["-o"] + "/teacher/foreign.json")
    case "export-onnx": made(arguments[1] + "/model.int4.onnx")
    case "stop": sys.exit(130)
"""


@pytest.fixture
def call(tmp_path: Path) -> object:
    for name in ("data/train", "data/lexicon", "data/eval_public", "out/wheels"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data/train/a.txt.xz").write_text("")
    (tmp_path / "out/wheels/chitchat_dataset-0.9.0-py3-none-any.whl").write_text("")
    (tmp_path / "stand_in.py").write_text(_STAND_IN)
    (tmp_path / "teacher.gguf").write_text("")
    command = f"{sys.executable} {tmp_path / 'stand_in.py'} {tmp_path / 'out'}"
    environment = {**os.environ, "KEYBOARD_LM": command, "PIP": "false", "TEACHER": str(tmp_path / "teacher.gguf")}

    def run(**variables: str) -> tuple[int, str, list[str]]:
        (tmp_path / "out/calls.txt").write_text("")
        result = subprocess.run(
            ["bash", str(_SCRIPT), str(tmp_path / "data"), str(tmp_path / "out")],
            env={**environment, **variables}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return result.returncode, result.stdout + result.stderr, (tmp_path / "out/calls.txt").read_text().splitlines()

    return run


def test_every_step_runs_once_in_order_and_only_what_is_missing_again(call: object, tmp_path: Path) -> None:
    assert callable(call)
    code, output, calls = call()
    assert code == 0, output
    steps = [
        "unpack-chat",
        "corpus",
        *["train"] * 2,
        "tune",
        "adopt",
        *["train"] * 3,
        "distill",
        "average",
        *["train"] * 2,
        "average",
        "export-onnx",
    ]
    assert [line.split()[0] for line in calls] == steps
    shipped = json.loads((bundled_folder() / RECORD_FILE).read_text())["average_of"]
    given = [float(share) for share in calls[-2].split("--shares ")[1].split()[0].split(",")]
    assert [share / sum(given) for share in given] == pytest.approx([part["share"] for part in shipped])
    assert (tmp_path / "out/text/a.txt.xz").is_symlink()
    assert call()[2] == []
    shutil.rmtree(tmp_path / "out/9m-taught")
    shutil.rmtree(tmp_path / "out/9m-mean")
    shutil.rmtree(tmp_path / "out/9m-second-b")
    shutil.rmtree(tmp_path / "out/9m-last")
    assert [line.split()[0] for line in call()[2]] == ["distill", "average", "train", "average", "export-onnx"]


def test_a_download_that_fails_stops_it(call: object) -> None:
    assert callable(call)
    code, _, calls = call(TEACHER="")
    assert code != 0
    assert calls == []


def test_the_commands_have_the_options_that_it_gives(call: object) -> None:
    assert callable(call)
    for line in call()[2]:
        name, *arguments = line.split()
        command = main.get_command(None, name)  # type: ignore[arg-type]
        assert isinstance(command, Command)
        known = {option for parameter in command.params for option in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("-")} <= known, line
    assert CliRunner().invoke(main, ["--help"]).exit_code == 0
