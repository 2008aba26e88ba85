"""A client that goes while something is sent to it is no mistake of the service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest
from starlette.websockets import WebSocket
from uvicorn.protocols.utils import ClientDisconnected

from keyboard_lm.keyboard.engine import Engine
from keyboard_lm.serve.service import ServeOptions, Service
from keyboard_lm.serve.socket import Connection

MESSAGES = [{"type": "hello"}, {"type": "typed", "revision": 1, "char": "a"}]


@pytest.mark.parametrize("kind", [ClientDisconnected, RuntimeError])  # gone, and closed from this side
def test_who_goes_while_an_answer_is_sent_is_no_internal_error(engine: Engine, kind: type[Exception]) -> None:
    service = Service(engine, ServeOptions())
    sent: list[str] = []
    waiting: list[dict[str, Any]] = [{"type": "websocket.connect"}]
    waiting += [{"type": "websocket.receive", "text": json.dumps(each)} for each in MESSAGES]

    async def receive() -> MutableMapping[str, Any]:
        if not waiting:
            await asyncio.sleep(30)
        return waiting.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message["type"])
        if sent.count("websocket.send") > 1:  # the first is the welcome
            raise kind

    scope = {"type": "websocket", "path": "/v1/session", "headers": [], "query_string": b"", "extensions": {}}
    asyncio.run(asyncio.wait_for(Connection(service, WebSocket(scope, receive, send)).run(), 20))
    assert sent[:3] == ["websocket.accept", "websocket.send", "websocket.send"]
    assert service.metrics._errors["internal"] == 0
