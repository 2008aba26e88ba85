"""What opens a keyboard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from keyboard_lm.backends import DEFAULT_BACKEND
from keyboard_lm.device.budget import BUDGET_MS, DEFAULT_DEVICE
from keyboard_lm.errors import ConfigError
from keyboard_lm.keyboard.suggester import SuggesterOptions


@dataclass(frozen=True)
class SessionOptions:
    """What opens a session.

    Attributes:
        language: of the words.
        layout: of the keys.
        device: whose time is estimated, and kept within `budget_ms`.
        budget_ms: estimated time of the network on the device for one keystroke.
        personal: the file of what is learned; None keeps it in memory.
        backend: what runs the network here.
        num_threads: of one step; None for the backend's choice.
        suggester: how the bar is made.
        blocked: words that are never offered, besides those that the lexicon marks.
        allowed: words that may be, whatever else is said of them.
    """

    language: str = "en"
    layout: str = "qwerty"
    device: str = DEFAULT_DEVICE
    budget_ms: float = BUDGET_MS
    personal: Path | None = None
    backend: str = DEFAULT_BACKEND
    num_threads: int | None = None
    suggester: SuggesterOptions | None = None
    blocked: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Check what no part of the keyboard checks.

        Raises:
            ConfigError: a budget below 0, or one that is no number.
        """
        if not self.budget_ms >= 0:
            raise ConfigError(f"budget_ms must be 0 or more, not {self.budget_ms!r}")
