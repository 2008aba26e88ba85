"""A socket session: events in, each edit at once, the bar of the newest revision when it is ready.

A session is a coroutine that reads message after message, as ASGI wants it. Where the server offers the short way
(`keyboard_lm.serve.frames`) an event that finds it waiting is taken where it arrives, and answered from there.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from keyboard_lm import __version__
from keyboard_lm.serve import messages as wire
from keyboard_lm.serve.errors import ServeError, bad_message
from keyboard_lm.serve.frames import frames_of
from keyboard_lm.serve.keyboards import Keyboard
from keyboard_lm.serve.service import LOG, Service

_DECODE = msgspec.json.Decoder(wire.ClientMessage).decode
_ENCODE = msgspec.json.Encoder().encode
_NO_PERSON_S = 0.01  # between two events
_LAST_WORDS_S = 2.0  # for the error and the close


class Connection:
    """One client's socket.

    Args:
        service: that it came to.
        websocket: not accepted yet.
        token: of its headers; "" for none.
    """

    def __init__(self, service: Service, websocket: WebSocket, token: str = "") -> None:
        self._service = service
        self._socket = websocket
        # Past Starlette's checks of the order of messages, which cost a key as much as its decoding.
        self._get, self._put = websocket._receive, websocket._send
        self._frames = frames_of(websocket.scope)
        self._task: asyncio.Task[Any] | None = None
        self._is_reading = False  # and has taken all that came before
        self._token = token
        self._keyboard: Keyboard | None = None
        self._is_waiting = False  # for its turn
        self._asked_at = 0.0
        self._outgoing: wire.Bar | wire.Busy | None = None  # the newest; an older one is never sent
        self._sender: asyncio.Task[None] | None = None
        self._heard_at = self._sending_since = 0.0
        self._is_sending = 0
        self._ending: ServeError | None = None

    async def run(self) -> None:
        """Serve the client until it or the service ends."""
        watch: asyncio.Task[None] | None = None
        self._task = asyncio.current_task()
        try:
            await self._socket.accept()
            async with asyncio.timeout(self._service.limits.hello_s):
                hello = await self._hello()
            caller = self._service.caller(hello.token or self._token)
            caller.check("session")
            with self._service.place(caller):
                self._keyboard = Keyboard(self._service, caller, hello)
                try:
                    watch = asyncio.create_task(self._watch())
                    await self._talk(self._keyboard, hello)
                finally:
                    if self._frames is not None:
                        self._frames.give(None)
                    keyboard, self._keyboard = self._keyboard, None
                    keyboard.close()
        except ServeError as error:
            await self._fail(error)
        except TimeoutError:
            await self._fail(ServeError("no_hello", "no hello came; begin with one"))
        except asyncio.CancelledError:
            if self._ending is None:
                raise
            await self._fail(self._ending)
        except (WebSocketDisconnect, ConnectionError):
            pass
        except Exception as error:
            await self._fail(_internal(error))
        finally:
            for task in (watch, self._sender):
                if task is not None:
                    task.cancel()

    def answer(self, deadline: float | None) -> None:
        """Make the bar of the newest revision; called when it is this client's turn."""
        self._is_waiting = False
        if self._keyboard is None:
            return
        try:
            bar = self._keyboard.bar(deadline)
        except Exception as error:
            LOG.error("no bar: %s", type(error).__name__)
            return
        self._service.metrics.key_to_bar.observe(self._service.clock() - self._asked_at)
        self._offer(bar)

    async def _hello(self) -> wire.Hello:
        message = await self._receive()
        if not isinstance(message, wire.Hello):
            raise ServeError("no_hello", "the first message has to be a hello")
        return message

    async def _talk(self, keyboard: Keyboard, hello: wire.Hello) -> None:
        service = self._service
        await self._send(
            wire.Welcome(
                wire.PROTOCOL, __version__, service.model, hello.revision, keyboard.shift, keyboard.learning,
                hello.language, hello.layout,
            )
        )  # fmt: skip
        self._ask()
        if self._frames is not None:
            self._frames.give(self._take)
        is_owed = False  # a bar
        while True:
            message = await self._receive()
            answer = self._answer_to(message, keyboard)
            if answer is not None:
                await self._send(answer)
                is_owed = is_owed or isinstance(answer, wire.EditMade)
            if is_owed and not (self._frames is not None and self._frames.has_more):
                is_owed = False
                self._ask()  # of what came together, the newest alone is answered

    def _answer_to(self, message: wire.ClientMessage, keyboard: Keyboard) -> wire.ServiceMessage | None:
        # What is sent at once.
        try:
            if isinstance(message, wire.Hello):
                raise ServeError("bad_message", "one hello opens a session; close this socket and open another")
            if isinstance(message, wire.LearningRequest):
                return keyboard.learned(message)
            edit = keyboard.apply(message)
        except ServeError as error:
            if error.close_code is not None:
                raise
            self._service.metrics.count_error(error.code)
            return error.message
        if edit is not None:
            self._service.metrics.num_events += 1
        return edit

    def _take(self, content: bytes) -> bool:
        # The short way of `_receive` and `_talk`; all that is not as usual is left to them.
        keyboard, frames = self._keyboard, self._frames
        if not self._is_reading or self._is_sending or keyboard is None or frames is None or self._ending is not None:
            return False
        if len(content) > self._service.limits.frame_bytes:
            return False
        try:
            message: wire.ClientMessage = _DECODE(content)
        except (msgspec.MsgspecError, ValueError):
            return False
        self._heard_at = self._service.clock()
        try:
            answer = self._answer_to(message, keyboard)
        except ServeError as error:
            self._end(error)
        except Exception as error:
            self._end(_internal(error))
        else:
            if answer is not None:
                frames.write(_ENCODE(answer))
                if isinstance(answer, wire.EditMade):
                    self._ask()
        return True

    def _end(self, error: ServeError) -> None:
        self._ending = error.with_traceback(None)  # whose frames would keep all of this until a collection
        if self._task is not None:
            self._task.cancel()

    def _ask(self) -> None:
        # One turn at a time: what is newest by then is what is answered.
        if self._is_waiting or self._keyboard is None:
            return
        retry_ms = self._service.turns.ask(self)
        if retry_ms is None:
            self._is_waiting, self._asked_at = True, self._service.clock()
        else:
            self._service.metrics.num_refused += 1
            self._offer(wire.Busy(self._keyboard.revision, retry_ms))

    def _offer(self, message: wire.Bar | wire.Busy) -> None:
        frames = self._frames
        if frames is not None and self._sender is None and not self._is_sending and frames.is_free:
            frames.write(_ENCODE(message))  # nobody has taken the loop since it was the newest
            return
        self._outgoing = message
        if self._sender is None:
            self._sender = asyncio.get_running_loop().create_task(self._send_newest())

    async def _send_newest(self) -> None:
        try:
            while (message := self._outgoing) is not None:
                self._outgoing = None
                if self._keyboard is not None and message.revision == self._keyboard.revision:
                    await self._send(message)
        except WebSocketDisconnect:
            pass  # the client has gone, which the receiver is told, too
        finally:
            self._sender = None

    async def _send(self, message: wire.ServiceMessage) -> None:
        if not self._is_sending:
            self._sending_since = self._service.clock()
        self._is_sending += 1
        try:
            await self._put({"type": "websocket.send", "text": _ENCODE(message).decode()})
        except (OSError, RuntimeError) as error:  # what a server raises where the client has gone or is being closed
            raise WebSocketDisconnect(1006) from error
        finally:
            self._is_sending -= 1

    async def _receive(self) -> wire.ClientMessage:
        self._is_reading = True
        try:
            frame = await self._get()
        finally:
            self._is_reading = False
        if frame["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(frame.get("code") or 1005)
        now = self._service.clock()
        if now - self._heard_at < _NO_PERSON_S:
            # Frames that came together are had without a wait: others get their turn between two of them.
            await asyncio.sleep(0)
        self._heard_at = now
        content: str | bytes = frame.get("text") or frame.get("bytes") or b""
        if len(content) > self._service.limits.frame_bytes:
            most = self._service.limits.frame_bytes
            raise ServeError("too_large", f"a message has at most {most:,} bytes; send less of the field")
        try:
            message: wire.ClientMessage = _DECODE(content)
        except (msgspec.MsgspecError, ValueError) as error:
            raise bad_message(error) from None
        return message

    async def _watch(self) -> None:
        # Ends a session that nobody uses, or whose client takes nothing.
        limits, clock = self._service.limits, self._service.clock
        while True:
            await asyncio.sleep(min(limits.idle_s, limits.send_s) / 4)
            if self._is_sending and clock() - self._sending_since > limits.send_s:
                self._end(ServeError("too_slow", "what was sent was not taken; connect again"))
            elif clock() - self._heard_at > limits.idle_s:
                self._end(ServeError("idle", "nothing was typed for long; connect again"))
            if self._ending is not None:
                return

    async def _fail(self, error: ServeError) -> None:
        self._service.metrics.count_error(error.code)
        try:
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._send(error.message)
                await self._socket.close(error.close_code or 1008, error.code)
        except (WebSocketDisconnect, RuntimeError, TimeoutError, ConnectionError):
            pass  # it has gone


def _internal(error: Exception) -> ServeError:
    LOG.error("a session ended: %s", type(error).__name__)  # its message may hold what was typed
    return ServeError("internal", "a mistake of the service; connect again")
