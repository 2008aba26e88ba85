"""People who type at a service, all in one thread that does little more than to send and to look at the clock.

On a machine of few cores a client that is slow itself is measured with the service, so that messages are made before
the first key, and what comes back is read no further than needed. Frames are masked with zeros (RFC 6455, section 5.3).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec
from server import recorded_messages

_HELLO = {"type": "hello", "learning": "memory"}
_TEXT, _CLOSE, _PING, _PONG = 0x81, 0x88, 0x89, 0x8A
_AFTER_S = 0.5  # the last key, until nobody listens any more


class _Answer(msgspec.Struct):
    type: str
    revision: int = -1
    stage: str = ""


_DECODE = msgspec.json.Decoder(_Answer).decode


@dataclass
class Seen:
    """What became of keys.

    Attributes:
        bars_ms: from key to bar.
        edits_ms: from key to edit.
        stages: of the bars.
        sent: keys.
        refused: keys that were told that the service is busy.
        late_ms: from the moment that a key was due until it was sent.
        ended: sessions that the service closed.
    """

    bars_ms: list[float] = field(default_factory=list)
    edits_ms: list[float] = field(default_factory=list)
    stages: dict[str, int] = field(default_factory=dict)
    sent: int = 0
    refused: int = 0
    late_ms: list[float] = field(default_factory=list)
    ended: int = 0


class Typist(asyncio.Protocol):
    """One socket.

    Args:
        seen: where what comes is noted.
    """

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._buffer = b""
        self._is_open = False
        self._sent_at: dict[int, float] = {}
        self.is_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def press(self, message: bytes, revision: int) -> None:
        """Send a key."""
        self._sent_at[revision] = time.perf_counter()
        self._transport.write(message)
        self._seen.sent += 1

    def leave(self) -> None:
        """Close the socket."""
        self._transport.write(bytes((_CLOSE, 0x80, 0, 0, 0, 0)))
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        data = self._buffer + data if self._buffer else data
        if not self._is_open:
            head, found, rest = data.partition(b"\r\n\r\n")
            if not found:
                self._buffer = data
                return
            assert b" 101 " in head, head
            self._is_open, data = True, rest
            self._transport.write(framed(_HELLO))
        at = 0
        while len(data) - at >= 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
            if len(data) < start + size:
                break
            if data[at] == _TEXT:
                self._hear(_DECODE(data[start : start + size]), now)
            elif data[at] == _PING:
                self._transport.write(bytes((_PONG, 0x80 | size, 0, 0, 0, 0)) + data[start : start + size])
            at = start + size
        self._buffer = data[at:]

    def connection_lost(self, error: Exception | None) -> None:
        if not self.is_ready.done():
            self.is_ready.set_exception(error or ConnectionResetError("closed before the first bar"))

    def _hear(self, answer: _Answer, now: float) -> None:
        kind, seen = answer.type, self._seen
        if kind == "error":
            seen.ended += 1
        if kind in ("bar", "busy") and not self.is_ready.done():
            self.is_ready.set_result(None)
        sent = self._sent_at.get(answer.revision)
        if sent is None:
            return
        if kind == "bar":
            seen.bars_ms.append((now - sent) * 1000)
            seen.stages[answer.stage] = seen.stages.get(answer.stage, 0) + 1
        elif kind == "edit":
            seen.edits_ms.append((now - sent) * 1000)
        elif kind == "busy":
            seen.refused += 1


async def crowd(port: int, typists: int, keys_s: float, seconds: float, seed: int) -> Seen:
    """Let so many people press keys at random moments, whatever they are answered."""
    seen, loop, rng = Seen(), asyncio.get_running_loop(), random.Random(seed)
    people: list[Typist] = []
    due: list[tuple[float, int, int, bytes]] = []  # seconds from the start, typist, revision, message
    for place in range(typists):
        at = 0.0
        for revision, key in enumerate(keys_of(int(keys_s * seconds * 2) + 10, seed * 1000 + place), 1):
            at += rng.expovariate(keys_s)
            if at > seconds:
                break
            due.append((at, place, revision, framed({"type": "typed", "revision": revision, **key})))
    due.sort()
    for _ in range(typists):
        _, person = await loop.create_connection(lambda: Typist(seen), "127.0.0.1", port)
        people.append(person)
        await person.is_ready
    begun = time.perf_counter()
    for at, place, revision, message in due:
        wait_s = begun + at - time.perf_counter()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        seen.late_ms.append((time.perf_counter() - begun - at) * 1000)
        people[place].press(message, revision)
    await asyncio.sleep(_AFTER_S)
    for person in people:
        person.leave()
    await asyncio.sleep(0)
    return seen


def framed(message: dict[str, Any]) -> bytes:
    """Return a message as a client's frame."""
    content = json.dumps(message).encode()
    head = bytes((_TEXT, 0x80 | len(content))) if len(content) < 126 else bytes((_TEXT, 0xFE))
    size = b"" if len(content) < 126 else len(content).to_bytes(2, "big")
    return head + size + bytes(4) + content


def keys_of(num: int, seed: int) -> list[dict[str, Any]]:
    """Return so many recorded keys, one behind the other."""
    return [key for keys in recorded_messages(num, seed) for key in keys]
