"""What one caller may take of the service."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from keyboard_lm.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """Bounds of everything that could grow.

    Attributes:
        frame_bytes: of one message on a socket.
        body_bytes: of one HTTP request.
        field_chars: of a field as it has grown by typing.
        sessions: of the process.
        sessions_per_user: of one token, or one user of it; without tokens there is one user.
        waiting: answers that may wait for the network at a time.
        degrade_ms: an answer that has waited so long makes no more calls of the network.
        refuse_ms: an answer that would have to wait so long is refused.
        lanes: contexts that stateless requests keep warm.
        lane_idle_s: how long one is kept without a request.
        hello_s: until a socket's first message.
        idle_s: between two events of a session.
        send_s: until a client has to have taken what was sent to it.
        close_s: from the signal to end until the process is out.

    Raises:
        ConfigError: on construction, listing every mistake.
    """

    frame_bytes: int = 16 * 1024
    body_bytes: int = 64 * 1024
    field_chars: int = 4096
    sessions: int = 500
    sessions_per_user: int = 4
    waiting: int = 64
    degrade_ms: float = 5.0
    refuse_ms: float = 20.0
    lanes: int = 16
    lane_idle_s: float = 60.0
    hello_s: float = 10.0
    idle_s: float = 600.0
    send_s: float = 10.0
    close_s: float = 10.0

    def __post_init__(self) -> None:
        mistakes = [
            f"{field.name} must be positive, not {getattr(self, field.name)!r}"
            for field in fields(self)
            if not 0 < getattr(self, field.name) < math.inf
        ]
        if mistakes:
            raise ConfigError("limits: " + "; ".join(mistakes))
