"""The TypeScript client types into a service, loses its connection and goes on. Needs Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from keyboard_lm.serve.service import ServeOptions
from keyboard_lm.serve.tokens import add_token

from .conftest import Running, Start

NODE = shutil.which("node") or ""
HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(not NODE, reason="node is not installed")


def _run(script: str, *words: str) -> dict[str, object]:
    major = int(
        subprocess.run([NODE, "-p", "process.versions.node"], capture_output=True, text=True).stdout.split(".")[0]
    )
    flag = ["--experimental-websocket"] if major < 22 else []
    command = [NODE, *flag, "--no-warnings", str(HERE / script), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    given: dict[str, object] = json.loads(done.stdout)
    return given


def test_it_types_and_reconnects(running: Running) -> None:
    given = _run("client.mjs", running.socket, "what is teh best ")
    assert given["text"] == "What is the best "
    assert given["connections"] == 2
    assert given["slots"]
    assert given["failure"] is None
    assert given["revision"] == 17


def test_a_refusal_is_told(start: Start, tmp_path: Path) -> None:
    add_token(tmp_path / "tokens.json", "app", ("session",))
    running = start(ServeOptions(tokens=tmp_path / "tokens.json"))
    failure = _run("client.mjs", running.socket, "what")["failure"]
    assert isinstance(failure, dict)
    assert failure["code"] == "bad_token"


def test_long_fields_are_cut_and_idle_sockets_open_with_the_next_event(start: Start) -> None:
    given = _run("client_long.mjs", start(idle_s=1.0).socket)
    assert given["failure"] is None
    assert given["middle"] == "Ix am"
    assert given["edited"] is True
    assert given["text"] is True
    assert (given["asleep"], given["welcomes"]) == (1, 2)
