"""A service on a port of this machine, in a thread of the tests'."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import uvicorn

from keyboard_lm.keyboard.engine import Engine
from keyboard_lm.serve.limits import Limits
from keyboard_lm.serve.run import server_config
from keyboard_lm.serve.service import REMEMBERED_LETTERS, ServeOptions, Service


@dataclass
class Running:
    """A service and where it is."""

    service: Service
    port: int

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/session"


Start = Callable[..., Running]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.open(num_threads=1, memory=REMEMBERED_LETTERS, remembered_mb=32.0)


@pytest.fixture
def start(engine: Engine) -> Iterator[Start]:
    """Start a service with some options; all end with the test."""
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def begin(options: ServeOptions | None = None, short_way: bool = True, **limits: float) -> Running:
        chosen = Limits(**{"sessions_per_user": 500, **limits})  # type: ignore[arg-type]
        options = options or ServeOptions()
        service = Service(engine, ServeOptions(**{**vars(options), "limits": chosen}))
        listening = socket.create_server(("127.0.0.1", 0))
        config = server_config(service, "127.0.0.1", 0)
        config.timeout_graceful_shutdown = 5
        if not short_way:
            config.ws = "websockets-sansio"  # any server's socket
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        servers.append((server, thread))
        deadline = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return Running(service, listening.getsockname()[1])

    yield begin
    for server, _ in servers:
        server.should_exit = True
    for _, thread in servers:
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def running(start: Start) -> Running:
    return start()
