"""What can go wrong for a caller, and how HTTP and a socket say so."""

from __future__ import annotations

from keyboard_lm.errors import KeyboardLMError
from keyboard_lm.serve.messages import ErrorCode, Failed

# Code -> HTTP status, close code of a socket (None: it stays open).
_HOW: dict[ErrorCode, tuple[int, int | None]] = {
    "bad_message": (400, 1008),
    "bad_token": (401, 1008),
    "forbidden": (403, None),
    "unknown_language": (400, 1008),
    "unknown_layout": (400, 1008),
    "unknown_path": (404, 1008),
    "wrong_revision": (400, 1008),
    "field_full": (400, None),
    "too_large": (413, 1009),
    "too_many_sessions": (429, 1013),
    "no_hello": (400, 1008),
    "idle": (400, 4408),
    "too_slow": (400, 4408),
    "personal_busy": (503, 1013),
    "personal_failed": (503, None),
    "busy": (503, 1013),
    "internal": (500, 1011),
}


class ServeError(KeyboardLMError):
    """A caller's request cannot be met.

    Args:
        code: for programs.
        message: what is wrong and what to do next; never any text that was typed.
        retry_ms: when it may work; None where it would not.
    """

    def __init__(self, code: ErrorCode, message: str, retry_ms: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_ms = retry_ms

    @property
    def status(self) -> int:
        """Of HTTP."""
        return _HOW[self.code][0]

    @property
    def close_code(self) -> int | None:
        """Of the socket; None where the session goes on."""
        return _HOW[self.code][1]

    @property
    def message(self) -> Failed:
        """What the caller is told."""
        return Failed(self.code, str(self), self.retry_ms)


def bad_message(error: Exception) -> ServeError:
    """Return the error for a message that does not fit its type: where, and nothing of what it holds."""
    _, found, where = str(error).rpartition(" - at `")
    place = f" at {where.removesuffix('`')}" if found else ""
    return ServeError("bad_message", f"not a message of this protocol{place}; see /openapi.json and /asyncapi.json")
