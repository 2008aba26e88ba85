"""How the tests speak to a service, without its own client."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect


def open_socket(url: str, **others: Any) -> ClientConnection:
    return connect(url, compression=None, max_size=2**24, proxy=None, **others).__enter__()


def say(socket: ClientConnection, **message: Any) -> None:
    socket.send(json.dumps(message))


def hear(socket: ClientConnection, kind: str = "") -> dict[str, Any]:
    """Return the next message, or the next of a kind."""
    while True:
        message: dict[str, Any] = json.loads(socket.recv(timeout=20))
        if kind in ("", message["type"]):
            return message


def hello(url: str, **fields: Any) -> ClientConnection:
    """Open a session and read its welcome and first bar."""
    socket = open_socket(url)
    say(socket, type="hello", **fields)
    assert hear(socket)["type"] == "welcome"
    assert hear(socket)["type"] == "bar"
    return socket


def end_of(socket: ClientConnection) -> tuple[dict[str, Any] | None, int]:
    """Return the error that comes, and the code that the socket closes with."""
    error = None
    try:
        while True:
            message = json.loads(socket.recv(timeout=20))
            error = message if message["type"] == "error" else error
    except ConnectionClosed as closed:
        return error, closed.rcvd.code if closed.rcvd is not None else 1006


def ask(url: str, body: Any = None, method: str | None = None, **headers: str) -> tuple[int, Any]:
    """Return the status and the content of a response, JSON read."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data, named, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as response:
            status, content, kind = response.status, response.read(), response.headers["content-type"]
    except urllib.error.HTTPError as error:
        status, content, kind = error.code, error.read(), error.headers["content-type"]
    return status, json.loads(content) if kind == "application/json" else content
