"""What a text field's keyboard is told, and what it answers.

Offsets and lengths are in code points (Swift: `unicodeScalars`), of which a character may have several.
"""

from __future__ import annotations

from dataclasses import dataclass

from keyboard_lm.keyboard.bar import Correction
from keyboard_lm.text.graphemes import is_break
from keyboard_lm.touch.layout import Tap
from keyboard_lm.touch.path import PathPoint


@dataclass(frozen=True)
class Typed:
    """A key was pressed.

    Attributes:
        char: what is on the key (its small letter, or the capital where the case is already decided), or an emoji.
        tap: where it was touched.
        correction: what the engine had decided for the text as it stands; only looked at where `char` ends a word.
    """

    char: str
    tap: Tap | None = None
    correction: Correction | None = None


@dataclass(frozen=True)
class Backspaced:
    """Backspace was pressed."""


@dataclass(frozen=True)
class Swiped:
    """A finger slid over the keys and meant a word by it.

    Attributes:
        path: where it was and when, in the units of `Tap`, from where it came down to where it was lifted.
        word: what the engine had read from the path, as it is to be written; ``""`` for a session to read it.
    """

    path: tuple[PathPoint, ...]
    word: str = ""


@dataclass(frozen=True)
class ShiftPressed:
    """Shift was pressed once, or twice for caps lock."""

    lock: bool = False


@dataclass(frozen=True)
class SlotAccepted:
    """A slot of the bar was tapped: its word goes where the word under the cursor is, or in at the cursor.

    Attributes:
        word: of the slot.
        replaced: the end of the text before the cursor that it stands for (`Slot.replaced`), ``""`` for a word that
            comes next; None for the word under the cursor. Where the text ends in something else by now, the same.
    """

    word: str
    replaced: str | None = None


@dataclass(frozen=True)
class GhostAccepted:
    """The ghost text at the cursor was accepted, all of it or its first word."""

    ghost: str
    only_word: bool = False


@dataclass(frozen=True)
class CursorMoved:
    """The writer put the cursor at an offset (one outside the text is brought inside)."""

    cursor: int


@dataclass(frozen=True)
class TextChanged:
    """The text became another by other means than the keyboard: pasted, sent, changed by the app.

    An app may report what the keyboard itself did: a text and cursor that are already so change nothing.
    """

    text: str
    cursor: int


@dataclass(frozen=True)
class FieldStarted:
    """Another field has the keyboard; the cursor is at its end. In a private one no word is reported as finished."""

    text: str = ""
    is_private: bool = False


Event = (
    Typed | Swiped | Backspaced | ShiftPressed | SlotAccepted | GhostAccepted | CursorMoved | TextChanged | FieldStarted
)


@dataclass(frozen=True)
class FinishedWord:
    """A word that the writer has left standing.

    Attributes:
        word: as it stands.
        context: the text before it on its line, at most the last 256 code points.
        is_meant: whether it was taken from the bar, put back after a correction, or edited by hand.
    """

    word: str
    context: str
    is_meant: bool = False


@dataclass(frozen=True)
class Undone:
    """A correction that the writer took back: `literal` is not to become `corrected` again."""

    literal: str
    corrected: str


@dataclass(frozen=True)
class Edit:
    """What the keyboard does to the field, in this order.

    For an event that says what already happened to the field (`CursorMoved`, `TextChanged`, `FieldStarted`) there is
    nothing to do.

    Attributes:
        deleted_before: text that goes, which ends at the cursor.
        deleted_after: text that goes, which begins at the cursor.
        inserted: text that comes at the cursor, which is behind it then.
        correction: the one that was applied.
        undone: the one that was taken back.
        finished: words to learn, oldest first. A word is reported when the next one is finished or the cursor or the
            field is left, so that what is undone or deleted at once is never learned.
    """

    deleted_before: str = ""
    deleted_after: str = ""
    inserted: str = ""
    correction: Correction | None = None
    undone: Undone | None = None
    finished: tuple[FinishedWord, ...] = ()

    @property
    def num_backspaces(self) -> int:
        """Characters, as the reader sees them, in `deleted_before`: calls of ``deleteBackward``."""
        return sum(is_break(self.deleted_before, index) for index in range(len(self.deleted_before)))
