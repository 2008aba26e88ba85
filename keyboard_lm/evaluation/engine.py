"""What the evaluation asks of a keyboard: one question, whatever engine answers it."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from keyboard_lm.keyboard.bar import Correction as Correction
from keyboard_lm.keyboard.bar import Taps as Taps
from keyboard_lm.keyboard.editor import Editor, EditorOptions
from keyboard_lm.keyboard.events import TextChanged, Typed

_PLAIN = EditorOptions(capital_words=frozenset(), full_stop="", sentence_capitals=False)
_UNDER_CURSOR = re.compile(r"[^\W_]+(?:'[^\W_]+)*'?\Z")


@dataclass(frozen=True)
class Bar:
    """A keyboard's answer to one keystroke.

    Attributes:
        slots: words as they would be inserted in place of the word under the cursor, or at the cursor between words,
            without the space; in the bar's order.
        correction: what a space would change; None where the typed word would stay.
        ghost: text offered ahead of the cursor, the rest of the word under it included; ``""`` where there is none.
        num_model_calls: calls of the network that the answer took.
    """

    slots: tuple[str, ...]
    correction: Correction | None = None
    ghost: str = ""
    num_model_calls: int = 0


class Engine(Protocol):
    """A keyboard under test. `PredictorEngine` is one; peers are others.

    The answers may depend on what was asked since `start_field`, never on anything before it: the evaluation hands
    documents to several processes in any order.
    """

    def start_field(self) -> None:
        """Forget the field before: what was typed and whatever was cached for it."""
        ...

    def bar(self, text: str, num_slots: int, taps: Taps = ()) -> Bar:
        """Return the bar for a field's text before the cursor.

        Args:
            text: all of it; a space at its end means that the last word is finished.
            num_slots: most slots of the bar; 0 where only correction and ghost text are wanted.
            taps: where the last characters of `text` were touched, at least those of the word under the cursor; empty
                where none is known.
        """
        ...


@runtime_checkable
class FieldEngine(Engine, Protocol):
    """A keyboard with a text field of its own: what is measured there is what its user gets."""

    def finished(self, text: str, taps: Taps = ()) -> str:
        """Type a space behind a text, and return what stands before it then."""
        ...

    def undone(self) -> str:
        """Press backspace, and return what stands there then without a space at its end."""
        ...


@runtime_checkable
class CompletingEngine(Engine, Protocol):
    """A keyboard that offers nothing inside a word but words that begin with its letters."""

    def may_offer(self, text: str, word: str) -> bool:
        """Return whether the bar of a text may hold a word, in some case; no bar is computed for that."""
        ...


def may_offer(engine: Engine, text: str, word: str) -> bool:
    """Return whether it is worth asking for the bar of a text, if nothing matters but whether it holds a word."""
    return engine.may_offer(text, word) if isinstance(engine, CompletingEngine) else True


@runtime_checkable
class RememberingEngine(Engine, Protocol):
    """A keyboard that nothing is learned from: a field looks the same in whatever task it is asked about."""

    def remembering(self) -> AbstractContextManager[None]:
        """Keep the bars of all fields meanwhile, so that tasks which ask about the same text share them."""
        ...


def word_under_cursor(text: str) -> str:
    """Return the letters and digits, with their apostrophes, that the text before the cursor ends with."""
    match = _UNDER_CURSOR.search(text)
    return match.group() if match else ""


def after_slot(text: str, slot: str) -> str:
    """Return what a text becomes when a slot is taken: it stands in place of the word under the cursor."""
    return text[: len(text) - len(word_under_cursor(text))] + slot


def finished(engine: Engine, text: str, taps: Taps = (), bar: Bar | None = None) -> str:
    """Return what a text becomes when a space is typed, without that space.

    A keyboard with a field of its own types it there; for the others a plain field applies the bar's correction.

    Args:
        engine: the keyboard.
        text: before the cursor.
        taps: of its last characters.
        bar: of that text, if it is known already.
    """
    if isinstance(engine, FieldEngine):
        return engine.finished(text, taps)
    field = Editor(_PLAIN)
    field.apply(TextChanged(text, len(text)))
    field.apply(Typed(" ", None, (bar or engine.bar(text, 0, taps)).correction))
    return field.text.removesuffix(" ")


def undone(engine: Engine) -> str | None:
    """Return what a backspace makes of the text that `finished` returned last; None where there is no such key."""
    return engine.undone() if isinstance(engine, FieldEngine) else None
