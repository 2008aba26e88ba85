"""What is said over the wire, both ways: the one place that names a message or a field of it.

Other languages are told by `/openapi.json` and `/asyncapi.json`, which are made from these types. Offsets and lengths
are in code points.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from keyboard_lm.keyboard.bar import Kind, Shift, Stage

PROTOCOL = 1
MAX_TEXT_CHARS = 2048  # of a field, as a client reports it
MAX_KEY_CHARS = 32  # an emoji of many parts is one key
MAX_WORD_CHARS = 256
MAX_PATH_POINTS = 256

Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]
Word = Annotated[str, Meta(max_length=MAX_WORD_CHARS)]
Name = Annotated[str, Meta(max_length=32)]
Revision = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Offset = Annotated[int, Meta(ge=0, le=MAX_TEXT_CHARS)]
NumSlots = Annotated[int, Meta(ge=1, le=8)]
Coordinate = Annotated[float, Meta(ge=-100, le=100)]

Learning = Literal["off", "memory", "file"]
ErrorCode = Literal[
    "bad_message", "bad_token", "forbidden", "unknown_language", "unknown_layout", "wrong_revision", "field_full",
    "too_large", "too_many_sessions", "no_hello", "idle", "too_slow", "personal_busy", "personal_failed",
    "unknown_path", "busy", "internal",
]  # fmt: skip


class Place(Struct, frozen=True):
    """Where a finger touched, in key widths and heights from the top left corner of the layout's letter rows."""

    x: Coordinate
    y: Coordinate


class Field(Struct, frozen=True, forbid_unknown_fields=True):
    """A text field: the last code points of it, if it has more than a message may carry.

    Attributes:
        text: what is in it.
        cursor: offset in `text`; None for its end.
        is_private: whether nothing of it may be learned (a password, a private window).
    """

    text: Text = ""
    cursor: Offset | None = None
    is_private: bool = False


# What a client sends over a socket. The first message is a `Hello`; every event after it carries the revision of the
# field that it makes, one more than that of the event before.


class Hello(Struct, frozen=True, tag="hello", forbid_unknown_fields=True):
    """Opens a session, or goes on with a field after a connection was lost.

    Attributes:
        token: where the service wants one and no ``Authorization`` header can be sent (browsers).
        language: of the words.
        layout: of the keys.
        field: as it stands.
        revision: of that field; the next event has one more.
        learning: ``off``; ``memory``, until the socket closes; ``file``, the user's own, where the service keeps those.
        num_slots: of the bar.
    """

    token: Annotated[str, Meta(max_length=2048)] = ""
    language: Name = "en"
    layout: Name = "qwerty"
    field: Field = Field()
    revision: Revision = 0
    learning: Learning = "off"
    num_slots: NumSlots = 3


class KeyTyped(Struct, frozen=True, tag="typed", forbid_unknown_fields=True):
    """A key was pressed: its small letter (a capital where the case is already decided), or an emoji."""

    revision: Revision
    char: Annotated[str, Meta(min_length=1, max_length=MAX_KEY_CHARS)]
    tap: Place | None = None


class PathPlace(Struct, frozen=True):
    """Where a finger was, in the units of `Place`, and when: milliseconds since any moment."""

    x: Coordinate
    y: Coordinate
    t_ms: Annotated[float, Meta(ge=0, le=1e12)]


Path = Annotated[tuple[PathPlace, ...], Meta(min_length=1, max_length=MAX_PATH_POINTS)]


class PathSwiped(Struct, frozen=True, tag="swiped", forbid_unknown_fields=True):
    """A finger slid over the keys and meant a word by it; the edit holds the word, the bar what else it may be."""

    revision: Revision
    path: Path


class Backspace(Struct, frozen=True, tag="backspaced", forbid_unknown_fields=True):
    """Backspace was pressed."""

    revision: Revision


class ShiftKey(Struct, frozen=True, tag="shift_pressed", forbid_unknown_fields=True):
    """Shift was pressed once, or twice for caps lock."""

    revision: Revision
    lock: bool = False


class SlotTapped(Struct, frozen=True, tag="slot_accepted", forbid_unknown_fields=True):
    """A slot of the bar was tapped; `replaced` is the slot's own."""

    revision: Revision
    word: Word
    replaced: Annotated[str, Meta(max_length=2 * MAX_WORD_CHARS)] | None = None


class GhostTapped(Struct, frozen=True, tag="ghost_accepted", forbid_unknown_fields=True):
    """The ghost text was accepted, all of it or its first word."""

    revision: Revision
    ghost: Annotated[str, Meta(max_length=2 * MAX_WORD_CHARS)]
    only_word: bool = False


class CursorPut(Struct, frozen=True, tag="cursor_moved", forbid_unknown_fields=True):
    """The writer put the cursor at an offset of the field as the service knows it."""

    revision: Revision
    cursor: Annotated[int, Meta(ge=0, le=2**31 - 1)]


class TextReplaced(Struct, frozen=True, tag="text_changed", forbid_unknown_fields=True):
    """The text became another by other means than the keyboard: pasted, sent, changed by the app."""

    revision: Revision
    text: Text
    cursor: Offset


class FieldOpened(Struct, frozen=True, tag="field_started", forbid_unknown_fields=True):
    """Another field has the keyboard."""

    revision: Revision
    field: Field = Field()


class LearnedAsked(Struct, frozen=True, tag="learned_asked", forbid_unknown_fields=True):
    """What has been learned? Answered by `Learned`; no event, so without a revision."""

    limit: Annotated[int, Meta(ge=0, le=200)] = 50


class WordForgotten(Struct, frozen=True, tag="word_forgotten", forbid_unknown_fields=True):
    """A learned word is to be forgotten. Answered by `Learned`."""

    word: Word


class AllForgotten(Struct, frozen=True, tag="all_forgotten", forbid_unknown_fields=True):
    """Everything that was learned is to be forgotten. Answered by `Learned`."""


FieldEvent = (
    KeyTyped | PathSwiped | Backspace | ShiftKey | SlotTapped | GhostTapped | CursorPut | TextReplaced | FieldOpened
)  # fmt: skip
LearningRequest = LearnedAsked | WordForgotten | AllForgotten
ClientMessage = Hello | FieldEvent | LearningRequest


# What the service sends over a socket.


class CorrectionMade(Struct, frozen=True):
    """What a space typed now would change: the end of the text before the cursor, and what would stand in its place."""

    replaced: str
    text: str


class SlotShown(Struct, frozen=True):
    """One entry of the bar; see `keyboard_lm.keyboard.bar.Slot`."""

    text: str
    kind: Kind
    probability: float
    replaced: str


class GhostShown(Struct, frozen=True):
    """Text offered ahead of the cursor, and how probable it is that the writer goes on exactly so."""

    text: str
    probability: float


class Welcome(Struct, frozen=True, tag="welcome"):
    """Answers a `Hello`; the bar of the field follows.

    Attributes:
        protocol: of this document.
        version: of the service.
        model: the first letters of the checkpoint's digest.
        revision: of the hello.
        shift: which letters the keys show.
        learning: what was asked for, or less where the service keeps no files.
        language: of the words.
        layout: of the keys.
    """

    protocol: int
    version: str
    model: str
    revision: int
    shift: Shift
    learning: Learning
    language: str
    layout: str


class EditMade(Struct, frozen=True, tag="edit"):
    """What the keyboard does to the field for an event, in this order; sent at once, one for each event.

    Attributes:
        revision: of the event.
        deleted_before: text that goes, which ends at the cursor.
        deleted_after: text that goes, which begins at the cursor.
        inserted: text that comes at the cursor, which is behind it then.
        correction: the one that was applied.
        undone: the one that was taken back.
        shift: which letters the keys show now.
    """

    revision: int
    deleted_before: str
    deleted_after: str
    inserted: str
    correction: CorrectionMade | None
    undone: CorrectionMade | None
    shift: Shift


class AnswerGiven(Struct, frozen=True):
    """A bar; see `keyboard_lm.keyboard.bar.Answer`."""

    revision: int
    slots: tuple[SlotShown, ...]
    correction: CorrectionMade | None
    ghost: GhostShown | None
    stage: Stage
    num_model_calls: int
    device_ms: float
    host_ms: float


class Bar(AnswerGiven, frozen=True, tag="bar"):
    """The bar of the newest revision, sent when it is ready; a revision that is no longer the newest gets none."""


class Busy(Struct, frozen=True, tag="busy"):
    """The service is overloaded: this revision gets no bar. Its edit was made; the next key asks again."""

    revision: int
    retry_ms: int


class Learned(Struct, frozen=True, tag="learned"):
    """What has been learned, the heaviest words first, and how many there are."""

    words: tuple[str, ...]
    num_words: int
    learning: Learning


class Failed(Struct, frozen=True, tag="error"):
    """Something was wrong. The socket closes behind it, but for ``field_full``, ``personal_failed`` and ``forbidden``.

    Attributes:
        code: for programs.
        message: what is wrong, and what to do next; never any text of the field.
        retry_ms: when it may work, where it may.
    """

    code: ErrorCode
    message: str
    retry_ms: int | None = None


ServiceMessage = Welcome | EditMade | Bar | Busy | Learned | Failed


# HTTP


class SuggestRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A field as the bar needs to know it; see `keyboard_lm.keyboard.bar.Request`."""

    text: Text
    taps: Annotated[tuple[Place | None, ...], Meta(max_length=64)] = ()
    shift: Shift | None = None
    may_correct: bool = True
    revision: Revision = 0
    language: Name = "en"
    layout: Name = "qwerty"
    num_slots: NumSlots = 3


class SwipeRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A path over the keys behind a text; answered by a bar whose first slot is the word for the field."""

    text: Text
    path: Path
    shift: Shift | None = None
    revision: Revision = 0
    language: Name = "en"
    layout: Name = "qwerty"
    num_slots: NumSlots = 3


class CorrectRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A text whose words are to be corrected as a keyboard would have done while it was typed."""

    text: Text
    language: Name = "en"
    layout: Name = "qwerty"


class CorrectionAt(Struct, frozen=True):
    """A correction, where `start` is an offset in the text that was given."""

    start: int
    replaced: str
    text: str


class Corrected(Struct, frozen=True):
    """A text after its corrections, and which they were."""

    text: str
    corrections: tuple[CorrectionAt, ...]


class ForgetRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A learned word is to be forgotten."""

    word: Word


class Forgotten(Struct, frozen=True):
    """Whether anything was known of a word."""

    was_known: bool


class TokenRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A short signed token is wanted, for the browser of one user.

    Attributes:
        user: whose personal file it opens; a name of the app's own.
        scopes: a part of those that the asking token has.
        lifetime_s: at most a day.
    """

    user: Annotated[str, Meta(max_length=128)] = ""
    scopes: Annotated[tuple[Literal["suggest", "session", "personal"], ...], Meta(min_length=1)] = ("session",)
    lifetime_s: Annotated[int, Meta(ge=1, le=86_400)] = 900


class TokenGiven(Struct, frozen=True):
    """A signed token and when it ends, in seconds since 1970."""

    token: str
    expires: int


class KeyRow(Struct, frozen=True):
    """Keys side by side, each one unit wide, and the x of the first one's left edge."""

    keys: str
    left: float


class KeyLayout(Struct, frozen=True):
    """The letter page of a keyboard; the space bar is in the row below the others."""

    name: str
    rows: tuple[KeyRow, ...]
    space_left: float
    space_width: float


class Offered(Struct, frozen=True):
    """What the service can be asked for."""

    version: str
    protocol: int
    model: str
    languages: tuple[str, ...]
    layouts: tuple[str, ...]
    learning: tuple[Learning, ...]
    wants_token: bool
