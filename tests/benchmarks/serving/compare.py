"""The same texts, key by key, over HTTP to this service and to the same engine behind BentoML or Ray Serve.

    python tests/benchmarks/serving/compare.py bento PYTHON [--num 1000]
    python tests/benchmarks/serving/compare.py ray PYTHON [--num 1000]

PYTHON is that of an environment with the peer and this package (`pip install bentoml` or `'ray[serve]'`, and `.`). One
message goes to one, then the same to the other, so that both meet the same other work on the machine; a connection is
kept. CPU time is that of all processes of a server while it is asked.
"""

from __future__ import annotations

import argparse
import http.client
import json
import time
from pathlib import Path

import numpy as np
from server import Server, free_port, recorded_messages, report, serving

from keyboard_lm.cli.table import format_table

PEERS = Path(__file__).parent / "peers"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=["bento", "ray"])
    parser.add_argument("python", type=Path)
    parser.add_argument("--num", type=int, default=1000, help="keys")
    options = parser.parse_args()
    port = free_port()
    python = str(options.python)
    commands = {
        "bento": [python, "-m", "bentoml", "serve", "bento_service:Keyboard", "--working-dir", str(PEERS),
                  "--host", "127.0.0.1", "--port", str(port)],
        "ray": [python, str(PEERS / "ray_service.py"), str(port)],
    }  # fmt: skip
    paths = {"bento": "/readyz", "ray": "/-/healthz"}
    with (
        serving() as ours,
        serving(command=commands[options.peer], port=port, path=paths[options.peer]) as theirs,
    ):
        servers = {"this service": ours, options.peer: theirs}
        times_ms: dict[str, list[float]] = {name: [] for name in servers}
        cpu_ms = dict.fromkeys(servers, 0.0)
        for server in servers.values():
            _wait(server)
            _messages(server, 50, [], seed=9)
        num_keys = 0
        for keys in recorded_messages(options.num):
            text, texts = "", []
            for key in keys:
                text += key["char"]
                texts.append(text)
            num_keys += len(texts)
            for name, server in servers.items():
                begun = server.cpu_ms()
                _ask(server, texts, times_ms[name])
                cpu_ms[name] += server.cpu_ms() - begun
        memory = {name: server.resident_mb() for name, server in servers.items()}
    rows = [["", "keys", "p50 ms", "p95 ms", "CPU ms a key", "memory MB"]]
    for name, times in times_ms.items():
        parts = (np.percentile(times, 50), np.percentile(times, 95), cpu_ms[name] / num_keys, memory[name])
        rows.append([name, str(num_keys), *(f"{part:.2f}" for part in parts)])
    print(format_table(rows))
    mine, peer = times_ms["this service"], times_ms[options.peer]
    report(
        {"peer": options.peer, "p50_ratio": float(np.percentile(mine, 50) / np.percentile(peer, 50)),
         "cpu_ratio": cpu_ms["this service"] / cpu_ms[options.peer]}
    )  # fmt: skip


def _messages(server: Server, num: int, times_ms: list[float], seed: int) -> None:
    for keys in recorded_messages(num, seed):
        _ask(server, ["".join(key["char"] for key in keys[: end + 1]) for end in range(len(keys))], times_ms)


def _wait(server: Server) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            _ask(server, ["I am going "], [])
            return
        except (OSError, AssertionError, http.client.HTTPException):
            assert time.monotonic() < deadline
            time.sleep(0.5)


def _ask(server: Server, texts: list[str], times_ms: list[float]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for text in texts:
        begun = time.perf_counter()
        connection.request("POST", "/v1/suggest", json.dumps({"text": text}), {"content-type": "application/json"})
        response = connection.getresponse()
        content = json.loads(response.read())
        times_ms.append((time.perf_counter() - begun) * 1000)
        assert response.status == 200, content
        assert "slots" in content
    connection.close()


if __name__ == "__main__":
    main()
