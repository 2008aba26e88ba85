"""The service as an ASGI app, to be run alone or mounted in another one."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from keyboard_lm.serve.descriptions import describe
from keyboard_lm.serve.errors import ServeError
from keyboard_lm.serve.http import Http, bearer
from keyboard_lm.serve.page import PageFiles
from keyboard_lm.serve.service import Service
from keyboard_lm.serve.socket import Connection

_OWN_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def create_app(service: Service) -> Starlette:
    """Return the app of a service; it needs no lifespan events, so that any ASGI app can mount it."""
    http = Http(service)

    async def session(websocket: WebSocket) -> None:
        # In a task of its own: each message wakes all coroutines that wait for one another, and here those are few.
        connection = asyncio.create_task(Connection(service, websocket, bearer(websocket.headers)).run())
        try:
            await connection
        except asyncio.CancelledError:
            connection.cancel()
            raise

    async def unknown(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            response = http.failed(ServeError("unknown_path", "nothing is here; see /openapi.json"))
            await response(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def route(path: str, name: str, methods: list[str]) -> Route:
        return Route(path, http.guarded(getattr(http, name)), methods=methods)

    routes: list[BaseRoute] = [
        WebSocketRoute("/v1/session", session),
        route("/v1/suggest", "suggest", ["POST"]),
        route("/v1/correct", "correct", ["POST"]),
        route("/v1/swipe", "swipe", ["POST"]),
        route("/v1/tokens", "tokens", ["POST"]),
        route("/v1/offered", "offered", ["GET"]),
        route("/v1/layouts/{name}", "layout", ["GET"]),
        route("/v1/personal", "personal", ["GET", "DELETE"]),
        route("/v1/personal/forget", "forget", ["POST"]),
        route("/healthz", "health", ["GET"]),
        route("/readyz", "ready", ["GET"]),
        route("/metrics", "metrics", ["GET"]),
        *describe(),
    ]
    page = service.options.page
    if page is not None:
        routes.append(Mount("/", PageFiles(page)))
    middleware = [Middleware(_Doorkeeper, service=service, http=http)]
    if service.options.allow_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(service.options.allow_origins),
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["authorization", "content-type"],
            )
        )
    app = Starlette(routes=routes, middleware=middleware)
    if page is None:
        app.router.default = unknown
    return app


class _Doorkeeper:
    """Lets no page of another site in, which a browser would let ask a service on this machine.

    Args:
        app: behind the door.
        service: whose options say who else may come in.
        http: how errors are told.
    """

    def __init__(self, app: ASGIApp, service: Service, http: Http) -> None:
        self._app = app
        self._service = service
        self._http = http

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            self._check(Headers(scope=scope))
        except ServeError as error:
            if scope["type"] == "http":
                await self._http.failed(error)(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": error.code})  # refused: HTTP 403
            return
        await self._app(scope, receive, send)

    def _check(self, headers: Headers) -> None:
        options = self._service.options
        host = headers.get("host", "")
        if not self._service.wants_token and _name(f"//{host}") not in _OWN_NAMES.union(options.allow_hosts):
            raise ServeError("forbidden", "asked for by a name that is not allowed; start it with --allow-host NAME")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host and origin not in options.allow_origins:
            raise ServeError("forbidden", "a page of another site; start the service with --allow-origin ORIGIN")


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
