"""A service in a process of its own: one port, one event loop, and an orderly end."""

from __future__ import annotations

import gc
import logging
from types import FrameType

import uvicorn

from keyboard_lm.errors import KeyboardLMError
from keyboard_lm.serve.app import create_app
from keyboard_lm.serve.frames import Frames
from keyboard_lm.serve.freed import Freed
from keyboard_lm.serve.service import Service

_FOR_SOCKETS = 0.3  # of the time to end: one whose client reads nothing never closes by itself
_BACKLOG = 512
_NEW_OBJECTS = 20_000  # between two collections
_GIVE_BACK_EVERY_S = 60


class _Server(uvicorn.Server):
    # Says that it is not ready before it stops to accept.
    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.is_ending = True
        super().handle_exit(sig, frame)


def run(service: Service, host: str, port: int) -> None:
    """Serve until TERM or INT: then sockets are closed with 1012 and each session learns its last word.

    Raises:
        KeyboardLMError: the address cannot be listened on.
    """
    # uvicorn tells of tracebacks, whose last line may quote what was typed; what went wrong is logged by the app.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    server = _Server(server_config(service, host, port), service)
    # What has been loaded stays until the end: a collection that looked at all of it would be a pause of 10 ms. What a
    # key leaves behind hardly ever has cycles, so that they are not looked for every 700 objects.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
    try:
        server.run()
    except SystemExit:
        raise KeyboardLMError(f"{host}:{port}: cannot be listened on; choose another --port or --host") from None
    if not server.started and not service.is_ending:
        raise KeyboardLMError(f"{host}:{port}: cannot be listened on; choose another --port or --host")


def server_config(service: Service, host: str, port: int) -> uvicorn.Config:
    """Return how uvicorn serves a service."""
    limits = service.limits
    return uvicorn.Config(
        create_app(service),
        host=host,
        port=port,
        ws=Frames,
        ws_max_size=limits.frame_bytes,
        ws_per_message_deflate=False,  # 64 KB a connection and more, for messages of a few hundred bytes
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        limit_concurrency=limits.sessions + _BACKLOG,
        timeout_keep_alive=30,
        callback_notify=Freed(lambda: service.num_ended),
        timeout_notify=_GIVE_BACK_EVERY_S,
        timeout_graceful_shutdown=max(1, round(_FOR_SOCKETS * limits.close_s)),
    )
