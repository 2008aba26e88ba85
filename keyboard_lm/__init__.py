"""Next-word prediction for phone keyboards.

What is named in `__all__` is the library's face; everything else may move between versions. Names are imported when
they are first asked for, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keyboard_lm.errors import KeyboardLMError
    from keyboard_lm.keyboard.bar import Answer, Correction, Ghost, Slot
    from keyboard_lm.keyboard.engine import Engine
    from keyboard_lm.keyboard.events import (
        Backspaced,
        CursorMoved,
        Edit,
        FieldStarted,
        FinishedWord,
        GhostAccepted,
        ShiftPressed,
        SlotAccepted,
        Swiped,
        TextChanged,
        Typed,
        Undone,
    )
    from keyboard_lm.keyboard.session import Session, SessionOptions
    from keyboard_lm.keyboard.suggester import SuggesterOptions
    from keyboard_lm.personal.store import PersonalStore
    from keyboard_lm.touch.layout import Tap
    from keyboard_lm.touch.path import PathPoint

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Backspaced",
    "Correction",
    "CursorMoved",
    "Edit",
    "Engine",
    "FieldStarted",
    "FinishedWord",
    "Ghost",
    "GhostAccepted",
    "KeyboardLMError",
    "PathPoint",
    "PersonalStore",
    "Session",
    "SessionOptions",
    "ShiftPressed",
    "Slot",
    "SlotAccepted",
    "SuggesterOptions",
    "Swiped",
    "Tap",
    "TextChanged",
    "Typed",
    "Undone",
    "__version__",
]

_MODULES = {
    "errors": ("KeyboardLMError",),
    "keyboard.bar": ("Answer", "Correction", "Ghost", "Slot"),
    "keyboard.engine": ("Engine",),
    "keyboard.events": (
        "Backspaced", "CursorMoved", "Edit", "FieldStarted", "FinishedWord", "GhostAccepted", "ShiftPressed",
        "SlotAccepted", "Swiped", "TextChanged", "Typed", "Undone",
    ),
    "keyboard.session": ("Session", "SessionOptions"),
    "keyboard.suggester": ("SuggesterOptions",),
    "personal.store": ("PersonalStore",),
    "touch.layout": ("Tap",),
    "touch.path": ("PathPoint",),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
