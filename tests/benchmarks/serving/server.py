"""What the benchmarks of the service share: a process of it, its CPU time and memory, and recorded keys."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keyboard_lm.evaluation.texts import shipped_texts
from keyboard_lm.evaluation.typist import load_typist

sys.path.insert(0, str(Path(__file__).parents[1]))
from typed_through import keystrokes

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Server:
    """A process that serves on a port of this machine."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def socket(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/session"

    def cpu_ms(self) -> float:
        """CPU time of all its threads and of its children, to the nanosecond (Linux)."""
        return sum(_cpu_ns(pid) for pid in _family(self.process.pid)) / 1e6

    def resident_mb(self) -> float:
        """Resident memory of it and of its children."""
        pages = 0
        for pid in _family(self.process.pid):
            try:
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            except OSError:
                continue
        return pages * 4096 / 2**20

    def get(self, path: str) -> bytes:
        with OPENER.open(f"http://127.0.0.1:{self.port}{path}", timeout=30) as response:
            content: bytes = response.read()
            return content


def _cpu_ns(pid: int) -> int:
    total = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(task.read_text().split()[0])
        except (OSError, IndexError):
            continue
    return total


def _family(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def serving(*options: str, command: list[str] | None = None, port: int = 0, path: str = "/readyz") -> Iterator[Server]:
    """Run a service until the end of the block; ours unless another command is given."""
    port = port or free_port()
    begin = command or [sys.executable, "-m", "keyboard_lm", "serve", "--port", str(port), *options]
    process = subprocess.Popen(begin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Server(process, port)
    try:
        deadline = time.monotonic() + 180
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"not started: {' '.join(begin)}")
            try:
                server.get(path)
                break
            except OSError:
                time.sleep(0.2)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def recorded_messages(num_keys: int, seed: int = 0) -> Iterator[list[dict[str, Any]]]:
    """Yield the keys of message after message, typed with a typist's errors, as the fields of `typed` events."""
    rng, choices, typist = np.random.default_rng(seed), random.Random(seed), load_typist("typical")
    messages = [message for text in shipped_texts() for document in text.documents for message in document]
    while num_keys > 0:
        keys: list[dict[str, Any]] = []
        for key in keystrokes(typist, choices.choice(messages), rng):
            tap = {"x": float(key.tap.x), "y": float(key.tap.y)} if key.tap is not None else None
            keys.append({"char": key.char, "tap": tap})
        keys = [key for key in keys[:num_keys] if key["tap"] is None or max(map(abs, key["tap"].values())) <= 100]
        num_keys -= len(keys)
        yield keys


def report(values: dict[str, Any]) -> None:
    """Print the JSON line that ends a benchmark."""
    print(json.dumps({name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}))
