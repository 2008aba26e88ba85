"""A keyboard that a service runs: owns the field, and goes on by itself after a lost connection."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

import msgspec
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from keyboard_lm.serve import messages as wire
from keyboard_lm.serve.errors import ServeError

_DECODE = msgspec.json.Decoder(wire.ServiceMessage).decode
_ENCODE = msgspec.json.Encoder().encode
_FINAL_CODES = frozenset((1007, 1008, 1009))  # the same again would end the same
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0


class RemoteKeyboard:
    """A keyboard like `Session`, elsewhere; to be used from one thread.

    Args:
        url: such as ``ws://127.0.0.1:8765/v1/session``.
        hello: language, layout, field, token and so on.
        patience_s: how long a lost connection is tried to be made again.
        sleep: waits so many seconds.

    Attributes:
        text: of the field.
        cursor: offset in it, in code points.
        shift: which letters the keys show.
        revision: how many events there have been.
        num_connections: how often a connection was made.

    Raises:
        ServeError: the service refuses.
        ConnectionError: there is none, for longer than `patience_s`.
    """

    def __init__(
        self,
        url: str,
        hello: wire.Hello | None = None,
        patience_s: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url
        self._hello = hello = hello or wire.Hello()
        self._patience_s = patience_s
        self._sleep = sleep
        self.text = hello.field.text
        self.cursor = len(self.text) if hello.field.cursor is None else hello.field.cursor
        self.revision = hello.revision
        self.shift = "off"
        self.num_connections = 0
        self._start = 0  # of the field that the service knows
        self._cut_revision = -1
        self._is_private = hello.field.is_private
        self._unanswered: deque[wire.FieldEvent] = deque()
        self._bar: wire.Bar | wire.Busy | None = None
        self._socket: ClientConnection | None = None
        self._connect()

    def __enter__(self) -> RemoteKeyboard:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; the service learns the last word then."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def type(self, char: str, tap: wire.Place | None = None) -> wire.EditMade:
        """Press a key."""
        return self.send(wire.KeyTyped(self.revision + 1, char, tap))

    def backspace(self) -> wire.EditMade:
        """Press backspace."""
        return self.send(wire.Backspace(self.revision + 1))

    def accept(self, slot: wire.SlotShown) -> wire.EditMade:
        """Tap a slot of the bar."""
        return self.send(wire.SlotTapped(self.revision + 1, slot.text, slot.replaced))

    def send(self, event: wire.FieldEvent) -> wire.EditMade:
        """Tell of an event, whose revision is the next one, and return its edit, which has been made to `text`.

        Raises:
            ServeError: the event was refused.
            ConnectionError: the service has gone.
        """
        self.revision = event.revision
        self._unanswered.append(event)
        self._write(event)
        edit = None
        while self._unanswered:
            edit = self._read()
        assert isinstance(edit, wire.EditMade)
        return edit

    def bar(self) -> wire.Bar | wire.Busy:
        """Return the bar of the field as it stands, or that there is none because the service is overloaded."""
        while self._bar is None or self._bar.revision != self.revision:
            self._read()
        return self._bar

    def learned(self, request: wire.LearningRequest | None = None) -> wire.Learned:
        """Return what was learned, after a word or everything was forgotten if that is the request."""
        self._write(request or wire.LearnedAsked())
        while not isinstance(message := self._read(), wire.Learned):
            pass
        return message

    def _write(self, message: wire.FieldEvent | wire.LearningRequest) -> None:
        socket = self._socket
        if socket is None:
            raise ConnectionError(f"{self._url}: closed")
        try:
            socket.send(self._encoded(message))
        except ConnectionClosed as error:
            self._lost(error)

    def _read(self) -> wire.ServiceMessage:
        while True:
            socket = self._socket
            if socket is None:
                raise ConnectionError(f"{self._url}: closed")
            try:
                message: wire.ServiceMessage = _DECODE(socket.recv())
            except ConnectionClosed as error:
                self._lost(error)
                continue
            if isinstance(message, wire.Bar | wire.Busy):
                self._bar = message
            elif isinstance(message, wire.EditMade):
                self._edit(message)
            elif isinstance(message, wire.Failed):
                self._failed(message)
            return message

    def _edit(self, edit: wire.EditMade) -> None:
        event = self._unanswered.popleft()
        if isinstance(event, wire.CursorPut):
            self.cursor = min(event.cursor, len(self.text))
        elif isinstance(event, wire.TextReplaced):
            if event.revision != self._cut_revision:  # or else only what the service knows became less
                self.text, self.cursor, self._start = event.text, event.cursor, 0
        elif isinstance(event, wire.FieldOpened):
            field = event.field
            self.text, self._is_private, self._start = field.text, field.is_private, 0
            self.cursor = len(field.text) if field.cursor is None else field.cursor
        else:
            start, end = self.cursor - len(edit.deleted_before), self.cursor + len(edit.deleted_after)
            self.text = self.text[:start] + edit.inserted + self.text[end:]
            self.cursor = start + len(edit.inserted)
        self.shift = edit.shift

    def _failed(self, failed: wire.Failed) -> None:
        if failed.code == "field_full" and self._unanswered:
            # The end of the field is enough to go on with.
            event = self._unanswered.popleft()
            self._start = start = max(0, self.cursor - wire.MAX_TEXT_CHARS // 2)
            text = self.text[start : self.cursor + wire.MAX_TEXT_CHARS // 2]
            cut = wire.TextReplaced(event.revision, text, self.cursor - start)
            self._cut_revision = cut.revision
            again = msgspec.structs.replace(event, revision=event.revision + 1)
            self.revision = again.revision
            self._unanswered.extend((cut, again))
            self._write(cut)
            self._write(again)
        elif failed.retry_ms is None:
            if self._unanswered and failed.code == "forbidden":
                self._unanswered.popleft()
                self.revision -= 1
            raise ServeError(failed.code, failed.message)
        # Else the socket closes, and is opened again.

    def _lost(self, error: ConnectionClosed) -> None:
        if error.rcvd is not None and error.rcvd.code in _FINAL_CODES:
            self._socket = None
            raise ConnectionError(f"{self._url}: closed by the service ({error.rcvd.reason})") from None
        self._connect()

    def _connect(self) -> None:
        deadline = time.monotonic() + self._patience_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                if self._say_hello():
                    return
            except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError) as error:
                reason = str(error)
            else:
                reason = "the service is busy"
            if time.monotonic() + pause_s > deadline:
                raise ConnectionError(f"{self._url}: {reason}")
            self._sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _say_hello(self) -> bool:
        # The field as it stands, without the events that were not answered; they are sent again.
        socket = connect(self._url, compression=None, max_size=2**20, proxy=None).__enter__()
        half = wire.MAX_TEXT_CHARS // 2
        start = self._start = max(0, self.cursor - half)
        field = wire.Field(self.text[start : self.cursor + half], self.cursor - start, self._is_private)
        revision = self.revision - len(self._unanswered)
        socket.send(_ENCODE(msgspec.structs.replace(self._hello, field=field, revision=revision)).decode())
        message = _DECODE(socket.recv())
        if isinstance(message, wire.Failed):
            socket.close()
            if message.retry_ms is None:
                raise ServeError(message.code, message.message)
            return False
        assert isinstance(message, wire.Welcome)
        self.shift = message.shift
        self._socket = socket
        self.num_connections += 1
        for event in self._unanswered:
            socket.send(self._encoded(event))
        return True

    def _encoded(self, message: wire.FieldEvent | wire.LearningRequest) -> str:
        if isinstance(message, wire.CursorPut):  # the service may know the end of the field only
            message = msgspec.structs.replace(message, cursor=max(0, message.cursor - self._start))
        return _ENCODE(message).decode()
