#!/usr/bin/env bash
# uvicorn 0.54.0, ws="websockets-sansio": `ws_max_queue` is not looked at, and frames that came in one chunk are all queued,
# so that `receive()` has them without ever waiting. An app that handles each at once holds up the event loop, and with it
# everybody else, for as many frames as a chunk holds; the other implementation, "websockets", hands them over in turns.
# Expected: with ws_max_queue=1, other tasks run between two messages of one client. Handlers have to `sleep(0)` themselves.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q uvicorn==0.54.0 websockets==17.4 2>/dev/null
"$folder/venv/bin/python" -W ignore - <<'PY'
import asyncio
import os
import socket

import uvicorn
import websockets
from websockets.asyncio.client import connect

FRAMES = 200
ticks = 0
seen = {}


async def app(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    await receive()  # the first message: all others have come by the second
    await asyncio.sleep(0.3)
    await receive()
    before = ticks
    for _ in range(FRAMES - 2):
        await receive()
    seen["turns"] = ticks - before
    await send({"type": "websocket.close"})


async def tick():
    global ticks
    while True:
        ticks += 1
        await asyncio.sleep(0)


async def turns(implementation):
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, ws=implementation, ws_max_queue=1, ws_per_message_deflate=False, lifespan="off", log_level="critical",
        loop="asyncio",
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    async with connect(f"ws://127.0.0.1:{listening.getsockname()[1]}", compression=None, proxy=None) as client:
        await client.send("first")
        await asyncio.sleep(0.1)
        frame = bytes([0x81, 0x80 | 1, 0, 0, 0, 0]) + b"x"  # masked with zeros
        client.transport.write(frame * (FRAMES - 1))
        ticking = asyncio.create_task(tick())
        await client.wait_closed()
        ticking.cancel()
    server.should_exit = True
    await running
    return seen["turns"]


async def main():
    found = {name: await turns(name) for name in ("websockets-sansio", "websockets")}
    print("uvicorn", uvicorn.__version__, "websockets", websockets.__version__)
    for name, num in found.items():
        print(f"{name}: another task ran {num} times while {FRAMES - 2} messages were received", flush=True)
    is_so = found["websockets-sansio"] == 0 < found["websockets"]
    print("" if is_so else "behaves otherwise now", end="", flush=True)
    os._exit(0 if is_so else 1)


asyncio.run(main())
PY
