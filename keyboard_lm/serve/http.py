"""What HTTP can be asked: stateless answers, corrections, tokens, what was learned, and how the service is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from keyboard_lm.device.budget import CallCost, load_device
from keyboard_lm.device.turn import Turn
from keyboard_lm.keyboard import bar
from keyboard_lm.keyboard.bar import Answer
from keyboard_lm.personal import PersonalStoreError
from keyboard_lm.serve import convert, metrics
from keyboard_lm.serve import messages as wire
from keyboard_lm.serve.correct import corrected
from keyboard_lm.serve.errors import ServeError, bad_message
from keyboard_lm.serve.lanes import Lane
from keyboard_lm.serve.service import LOG, Service
from keyboard_lm.serve.tokens import Caller, Scope
from keyboard_lm.touch.layout import load_layout

Asked = TypeVar("Asked")
Endpoint = Callable[[Request], Awaitable[Response]]
_ENCODE = msgspec.json.Encoder().encode
_JSON = "application/json"
_BEARER = "bearer "


def bearer(headers: Any) -> str:
    """Return the token of an ``Authorization`` header; "" where there is none."""
    value: str = headers.get("authorization", "")
    return value[len(_BEARER) :].strip() if value.lower().startswith(_BEARER) else ""


class _Turn:
    """Waits in the queue for one piece of work."""

    def __init__(self, work: Callable[[float | None], Any]) -> None:
        self._work = work
        self.done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def answer(self, deadline: float | None) -> None:
        if self.done.done():
            return  # the client has gone
        try:
            self.done.set_result(self._work(deadline))
        except Exception as error:
            self.done.set_exception(error)


class Http:
    """The endpoints of one service.

    Args:
        service: that answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._cost: CallCost = load_device(service.engine.options.device).cost(service.engine.config)

    def guarded(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint whose errors are messages."""

        async def run(request: Request) -> Response:
            try:
                return await endpoint(request)
            except ServeError as error:
                return self.failed(error)
            except ClientDisconnect:
                return Response(status_code=400)
            except Exception as error:
                LOG.error("a request failed: %s", type(error).__name__)  # its message may hold what was typed
                return self.failed(ServeError("internal", "a mistake of the service; try again"))

        return run

    def failed(self, error: ServeError) -> Response:
        """Return the response for an error."""
        self._service.metrics.count_error(error.code)
        headers = {}
        if error.retry_ms is not None:
            headers["Retry-After"] = str(-(-error.retry_ms // 1000))
        if error.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return Response(_ENCODE(error.message), error.status, headers, _JSON)

    async def suggest(self, request: Request) -> Response:
        """``POST /v1/suggest``."""
        asked, caller = await self._asked(request, wire.SuggestRequest, "suggest")
        taps = tuple(map(convert.tap_of, asked.taps))
        field = bar.Request(asked.text, taps, asked.shift, asked.may_correct)
        return await self._answered(asked, caller, field)

    async def swipe(self, request: Request) -> Response:
        """``POST /v1/swipe``."""
        asked, caller = await self._asked(request, wire.SwipeRequest, "suggest")
        field = bar.Request(asked.text, (), asked.shift, path=convert.path_of(asked.path))
        return await self._answered(asked, caller, field)

    async def correct(self, request: Request) -> Response:
        """``POST /v1/correct``: a word a turn, so that nobody waits for a long text."""
        asked, caller = await self._asked(request, wire.CorrectRequest, "suggest")
        lane = self._lane(asked, caller, 3)
        steps = corrected(asked.text)
        field = next(steps)
        while True:
            answer = await self._turn(lane, field)
            try:
                field = steps.send(answer)
            except StopIteration as stop:
                return _answer(stop.value)

    async def tokens(self, request: Request) -> Response:
        """``POST /v1/tokens``."""
        asked, caller = await self._asked(request, wire.TokenRequest, "sign")
        return _answer(self._service.sign(caller, asked))

    async def offered(self, request: Request) -> Response:
        """``GET /v1/offered``."""
        return _answer(self._service.offered())

    async def layout(self, request: Request) -> Response:
        """``GET /v1/layouts/NAME``."""
        name = request.path_params["name"]
        self._service.check_names("en", name)
        layout = load_layout(name)
        rows = tuple(wire.KeyRow(row.keys, row.left) for row in layout.rows)
        return _answer(wire.KeyLayout(name, rows, layout.space_left, layout.space_width))

    async def personal(self, request: Request) -> Response:
        """``GET``, ``DELETE /v1/personal``."""
        caller = self._caller(request, "personal")
        files = self._service.personal
        if files is None:
            raise ServeError("forbidden", "this service keeps no personal files")
        with files.opened(caller.subject, self._service.knows("en")) as store:
            if request.method == "GET":
                return Response(files.export(store), media_type="application/x-ndjson")
            try:
                store.clear()
            except PersonalStoreError:
                raise ServeError("personal_failed", "not all could be deleted now; try again") from None
            return Response(status_code=204)

    async def forget(self, request: Request) -> Response:
        """``POST /v1/personal/forget``."""
        asked, caller = await self._asked(request, wire.ForgetRequest, "personal")
        files = self._service.personal
        if files is None:
            raise ServeError("forbidden", "this service keeps no personal files")
        with files.opened(caller.subject, self._service.knows("en")) as store:
            try:
                return _answer(wire.Forgotten(store.forget(asked.word)))
            except PersonalStoreError:
                raise ServeError("personal_failed", "not all could be deleted now; try again") from None

    async def health(self, request: Request) -> Response:
        """``GET /healthz``: the event loop runs."""
        return Response(b"ok\n", media_type="text/plain")

    async def ready(self, request: Request) -> Response:
        """``GET /readyz``: a suggestion could be made."""
        is_ready = self._service.is_ready()
        return Response(b"ready\n" if is_ready else b"not ready\n", 200 if is_ready else 503, media_type="text/plain")

    async def metrics(self, request: Request) -> Response:
        """``GET /metrics``."""
        self._caller(request, "metrics")
        return Response(self._service.metrics.page(), headers={"Content-Type": metrics.CONTENT_TYPE})

    def _caller(self, request: Request, scope: Scope) -> Caller:
        caller = self._service.caller(bearer(request.headers))
        caller.check(scope)
        return caller

    async def _asked(self, request: Request, kind: type[Asked], scope: Scope) -> tuple[Asked, Caller]:
        caller = self._caller(request, scope)
        most = self._service.limits.body_bytes
        too_large = ServeError("too_large", f"a request has at most {most:,} bytes; send less of the text")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            raise too_large
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise too_large
        try:
            return msgspec.json.decode(body, type=kind), caller
        except (msgspec.MsgspecError, ValueError) as error:
            raise bad_message(error) from None

    def _lane(
        self, asked: wire.SuggestRequest | wire.SwipeRequest | wire.CorrectRequest, caller: Caller, num_slots: int
    ) -> Lane:
        self._service.check_names(asked.language, asked.layout)
        return self._service.lanes.take(caller.subject, asked.language, asked.layout, num_slots, asked.text)

    async def _answered(
        self, asked: wire.SuggestRequest | wire.SwipeRequest, caller: Caller, field: bar.Request
    ) -> Response:
        lane = self._lane(asked, caller, asked.num_slots)
        return _answer(convert.answer_given(await self._turn(lane, field), asked.revision))

    async def _turn(self, lane: Lane, field: bar.Request) -> Answer:
        service = self._service
        budget_ms = service.engine.options.budget_ms

        def work(deadline: float | None) -> Answer:
            return lane.suggester.answer(field, Turn(self._cost, budget_ms, deadline, service.clock))

        turn = _Turn(work)
        retry_ms = service.turns.ask(turn)
        if retry_ms is not None:
            service.metrics.num_refused += 1
            raise ServeError("busy", "the service is overloaded; try again later", retry_ms)
        try:
            answer: Answer = await turn.done
        except asyncio.CancelledError:
            turn.done.cancel()
            raise
        service.metrics.count_answer(answer)
        return answer


def _answer(message: Any) -> Response:
    return Response(_ENCODE(message), media_type=_JSON)
