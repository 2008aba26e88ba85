"""Random frames and requests against a running service: no crash, no answer that is the service's own mistake.

    python tests/benchmarks/serving/frames.py [--num 100000]

Frames are noise, broken JSON, other JSON, and messages with wrong fields (`tests/runtime/serve/random_frames.py`). Each
has a socket of its own, and before one in five there was a hello; one in twenty goes to HTTP. A session beside them
types on and has to get its bars.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

from server import OPENER, Server, report, serving
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

sys.path.insert(0, str(Path(__file__).parents[2] / "runtime" / "serve"))
from random_frames import random_frame

PATIENCE_S = 600.0  # with a machine that may stand still for a while


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with serving("--sessions", "2000") as server:
        before_mb = server.resident_mb()
        codes, statuses, bars = asyncio.run(_all(server, options.num, options.seed))
        after_mb = server.resident_mb()
        alive = server.process.poll() is None and server.get("/readyz").decode().strip()
        metrics = server.get("/metrics").decode()
    internal = next(line for line in metrics.splitlines() if 'code="internal"' in line).split()[-1]
    print(f"close codes {dict(codes)}; HTTP {dict(statuses)}; a session beside them got {bars} bars")
    print(f"{alive}; internal errors {internal}; memory {before_mb:.0f} -> {after_mb:.0f} MB")
    wrong = sum(num for status, num in statuses.items() if status >= 500) + codes[1011] + codes[1006]
    report({"frames": options.num, "wrong": wrong, "internal": float(internal), "alive": alive})


async def _all(server: Server, num: int, seed: int) -> tuple[Counter[int], Counter[int], int]:
    rng = random.Random(seed)
    codes, statuses = Counter[int](), Counter[int]()
    left = num
    async with connect(server.socket, compression=None, proxy=None) as bystander:
        await bystander.send('{"type": "hello"}')
        bars = revision = 0
        while left > 0:
            batch = min(left, 64)
            left -= batch
            await asyncio.gather(*(_one(server, rng, codes, statuses) for _ in range(batch)))
            revision += 1
            await bystander.send(json.dumps({"type": "typed", "revision": revision, "char": rng.choice("ab ")}))
            if revision % 100 == 0:
                await bystander.send(json.dumps({"type": "field_started", "revision": revision + 1}))
                revision += 1
            while True:
                message = json.loads(await asyncio.wait_for(bystander.recv(), PATIENCE_S))
                assert message["type"] != "error", message
                if message["type"] in ("bar", "busy") and message["revision"] == revision:
                    bars += 1
                    break
    return codes, statuses, bars


async def _one(server: Server, rng: random.Random, codes: Counter[int], statuses: Counter[int]) -> None:
    frame = random_frame(rng, 1)
    if rng.random() < 0.05:
        name = rng.choice(("suggest", "correct", "swipe", "tokens"))
        statuses[await asyncio.to_thread(_post, server, name, frame)] += 1
        return
    try:
        async with connect(server.socket, compression=None, proxy=None) as socket:
            if rng.random() < 0.2:
                await socket.send('{"type": "hello"}')
            await socket.send(frame)
            await socket.send("end")
            async for _ in socket:
                pass
        codes[socket.close_code or 1006] += 1
    except ConnectionClosed as closed:
        codes[closed.rcvd.code if closed.rcvd is not None else 1006] += 1


def _post(server: Server, name: str, frame: str | bytes) -> int:
    body = frame if isinstance(frame, bytes) else frame.encode("utf-8", "surrogatepass")
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/v1/{name}", body)
    try:
        with OPENER.open(request, timeout=PATIENCE_S) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return 499 if error.code == 503 else error.code  # busy is no mistake
    except OSError:
        return 413  # closed before all was sent


if __name__ == "__main__":
    main()
