"""The same round through Flower's own ways of running: its simulation on Ray, and a SuperLink with three SuperNodes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

pytest.importorskip("flwr")
pytest.importorskip("ray")

from keyboard_lm_training.federated.ledger import LEDGER_FILE

from keyboard_lm.network.checkpoint import Checkpoint

_TIMEOUT_SECONDS = 600  # a guard; on two quiet cores each test takes half a minute


@pytest.fixture
def writers(tmp_path: Path, sentences: list[str]) -> Path:
    """Three writers of three messages each."""
    path = tmp_path / "writers.txt"
    path.write_text("\n".join("\n".join(sentences[3 * i : 3 * i + 3]) + "\n" for i in range(3)), encoding="utf-8")
    return path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """No telemetry, a home of its own, and the scripts of this Python first."""
    scripts = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_HOME": str(tmp_path / "flower"),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
    }


def _federate(
    tiny: Path, writers: Path, output: Path, environment: dict[str, str], *options: str, rounds: int = 1
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "keyboard_lm", "federate", "--model", str(tiny), "--writers", str(writers)]
    command += ["-o", str(output), "--rounds", str(rounds), "--clients-per-round", "3", "--rank", "2", *options]
    return subprocess.run(
        command, env=environment, check=False, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS
    )


def _check(run: Path, tiny: Path) -> None:
    entries = [json.loads(line) for line in (run / LEDGER_FILE).read_text().splitlines()]
    assert [entry["kind"] for entry in entries] == ["ledger", "round", "release"]
    assert entries[2]["num_replies"] == 3
    assert Checkpoint.load(run / "checkpoint").digest != Checkpoint.load(tiny).digest


def test_a_round_on_ray(tiny_checkpoint: Path, writers: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    output = tmp_path / "run"
    options = ("--runtime", "simulation", "--workers", "1")
    done = _federate(tiny_checkpoint, writers, output, environment, *options)
    assert done.returncode == 0, done.stderr[-3000:]
    _check(output, tiny_checkpoint)
    # Flower's nodes have other numbers now; the writers are the same, and have all been asked.
    done = _federate(tiny_checkpoint, writers, output, environment, *options, rounds=2)
    assert (done.returncode, "0 of 3 writers may still be asked" in done.stderr) == (1, True), done.stderr[-3000:]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports


@contextmanager
def _started(command: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, env=environment, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


def _wait_for(port: int) -> None:
    until = time.monotonic() + _TIMEOUT_SECONDS
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    pytest.fail(f"nothing listens on port {port}")


def test_a_round_through_a_superlink(
    tiny_checkpoint: Path, writers: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    app = tmp_path / "app"
    done = _federate(tiny_checkpoint, writers, app, environment, "--runtime", "app")
    assert done.returncode == 0, done.stderr[-3000:]
    link, *nodes = _free_ports(4)
    home = Path(environment["FLWR_HOME"])
    home.mkdir()
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "here"\n\n[superlink.here]\naddress = "127.0.0.1:{link}"\ninsecure = true\n'
    )
    superlink = ["flower-superlink", "--insecure", "--port", str(link), "--database", str(tmp_path / "link.db")]
    with _started(superlink, environment, tmp_path / "link.log"):
        _wait_for(link)
        supernodes = [
            [
                "flower-supernode", "--insecure", "--superlink", f"127.0.0.1:{link}", "--port", str(port),
                "--node-config", f"partition-id={number} num-partitions=3",
            ]
            for number, port in enumerate(nodes)
        ]  # fmt: skip
        with (
            _started(supernodes[0], environment, tmp_path / "node0.log"),
            _started(supernodes[1], environment, tmp_path / "node1.log"),
            _started(supernodes[2], environment, tmp_path / "node2.log"),
        ):
            for port in nodes:
                _wait_for(port)
            flwr = subprocess.run(
                ["flwr", "run", str(app), "here", "--stream"], env=environment, check=False, capture_output=True,
                text=True, timeout=_TIMEOUT_SECONDS,
            )  # fmt: skip
    assert (app / "run" / "checkpoint").is_dir(), flwr.stdout[-2000:] + flwr.stderr[-2000:]
    _check(app / "run", tiny_checkpoint)
