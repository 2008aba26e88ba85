"""The socket of uvicorn, with a short way for what nearly every frame is: one whole text message, to be taken at once.

Between a key and its answers a message otherwise passes the socket library's parser, ASGI's queue and a task's wake-up,
and each answer comes back through as much: code that costs a tenth of a key, because every key runs it from cold
caches. All that is not such a frame goes to the library as before, and an app under another server never meets this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import State
from websockets.utils import apply_mask

_EXTENSION = "keyboard_lm.frames"
_WHOLE_TEXT, _MASKED = 0x81, 0x80
_SHORT, _TWO_BYTES, _EIGHT_BYTES = 125, 126, 127  # of a frame's second byte (RFC 6455, section 5.2)

Take = Callable[[bytes], bool]


class Frames(WebSocketsSansIOProtocol):
    """One client's socket; pass it to `uvicorn.Config(ws=Frames, ws_per_message_deflate=False)`."""

    _take: Take | None = None
    _is_between = True  # frames and messages, as far as the library has read

    def handle_connect(self, event: Request) -> None:
        """Let the app find the short way in its scope."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: MutableMapping[str, Any] = self.scope["extensions"]
            extensions[_EXTENSION] = {"frames": self}

    def give(self, take: Take | None) -> None:
        """Offer each whole text message to a function first, which returns whether it took it; None for no more."""
        self._take = take

    @property
    def is_free(self) -> bool:
        """Whether `write` may be called: the socket is open, and the client takes what is sent."""
        return (
            self.writable.is_set()
            and not self.close_sent
            and self.conn.state is State.OPEN
            and not self.transport.is_closing()
        )

    @property
    def has_more(self) -> bool:
        """Whether messages have arrived that the app has not received yet."""
        return not self.queue.empty()

    def write(self, content: bytes) -> None:
        """Send a text message."""
        self.transport.write(header(len(content)) + content)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived, the short way if that can be done."""
        take = self._take
        if take is not None and self._is_between:
            if not self.read_paused and self.is_free:
                content = whole_text(data)
                if content is not None and take(content):
                    return
            self._is_between = are_whole(data)  # else the library alone knows where the next frame begins
        super().data_received(data)


def frames_of(scope: Mapping[str, Any]) -> Frames | None:
    """Return the short way of a connection; None under another server."""
    found = scope.get("extensions", {}).get(_EXTENSION)
    return found["frames"] if found is not None else None


def header(num_bytes: int) -> bytes:
    """Return how a whole text message of a server begins."""
    if num_bytes <= _SHORT:
        return bytes((_WHOLE_TEXT, num_bytes))
    if num_bytes < 1 << 16:
        return bytes((_WHOLE_TEXT, _TWO_BYTES)) + num_bytes.to_bytes(2, "big")
    return bytes((_WHOLE_TEXT, _EIGHT_BYTES)) + num_bytes.to_bytes(8, "big")


def whole_text(data: bytes) -> bytes | None:
    """Return the content where data is one whole text message of a client and nothing else, of less than 64 KiB."""
    if len(data) < 6 or data[0] != _WHOLE_TEXT or not data[1] & _MASKED:
        return None
    size, start = data[1] & 0x7F, 2
    if size == _TWO_BYTES:
        size, start = int.from_bytes(data[2:4], "big"), 4
        if size <= _SHORT:
            return None  # the library knows what to say of that
    elif size == _EIGHT_BYTES:
        return None
    if len(data) != start + 4 + size:
        return None
    return apply_mask(data[start + 4 :], data[start : start + 4])


def are_whole(data: bytes) -> bool:
    """Return whether data is nothing but whole frames that are messages of their own."""
    at = 0
    while at + 2 <= len(data):
        is_last, opcode = data[at] & 0x80, data[at] & 0x0F
        if not is_last or opcode == 0:
            return False  # a part of a message
        size, at, is_masked = data[at + 1] & 0x7F, at + 2, data[at + 1] & _MASKED
        if size > _SHORT:
            num_bytes = 2 if size == _TWO_BYTES else 8
            size, at = int.from_bytes(data[at : at + num_bytes], "big"), at + num_bytes
        at += size + (4 if is_masked else 0)
    return at == len(data)
