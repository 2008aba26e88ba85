"""What a phone's keyboard does to the text of a field, whatever is suggested: spaces, capitals, corrections, undo."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Literal

from keyboard_lm.errors import ConfigError
from keyboard_lm.keyboard.bar import Correction
from keyboard_lm.keyboard.events import (
    Backspaced,
    CursorMoved,
    Edit,
    Event,
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
from keyboard_lm.text.form import TextForm, capitalise, normalise
from keyboard_lm.text.graphemes import cluster_start
from keyboard_lm.text.typing_rules import (
    APOSTROPHES,
    LINE_BREAKS,
    NUMBER_MARKS,
    attaches,
    is_word_char,
    line_before,
    needs_space,
    starts_sentence,
    word_span,
    words_in,
)
from keyboard_lm.touch.layout import Tap

_MAX_TAPS = 64  # of the last characters; longer words have none at their beginning
_ADDRESS_MARKS = frozenset("@#/\\_")  # what they join is neither corrected nor learned
_PART_MARKS = _ADDRESS_MARKS | {"."}
_CLOSING = frozenset(")]}\"'\u2019\u201d\u00bb%")  # what a sentence may end in before its full stop
_FIRST_WORD = re.compile(r"\s*\S+")
_TYPED, _AUTO = False, True  # who made the space before the cursor


@dataclass(frozen=True)
class EditorOptions:
    """What depends on the language and on taste.

    Attributes:
        capital_words: words, in small letters, that get a capital when they are finished. That can be undone like any
            correction; take out what the writer has undone.
        full_stop: what the first of two spaces becomes; ``""`` leaves it.
        sentence_capitals: whether the first letter of a sentence gets a capital.
    """

    capital_words: frozenset[str] = frozenset({"i", "i'm", "i've", "i'll", "i'd"})
    full_stop: str = "."
    sentence_capitals: bool = True

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ConfigError: naming all mistakes.
        """
        mistakes = [
            f"capital_words must be words in small letters, not {word!r}"
            for word in sorted(self.capital_words)
            if not word or word != normalise(word).lower() or any(map(str.isspace, word))
        ]
        if any(char.isspace() or is_word_char(char) for char in self.full_stop):
            mistakes.append(f"full_stop must be a mark without spaces, not {self.full_stop!r}")
        if mistakes:
            raise ConfigError("; ".join(mistakes))


@dataclass(frozen=True)
class _Undo:
    # What the next backspace puts in the place of `inserted`, which ends at the cursor.
    inserted: str
    restored: str
    taps: tuple[Tap | None, ...]
    space: tuple[int, bool] | None
    undone: Undone | None = None


@dataclass(frozen=True)
class _Finished:
    start: int
    end: int
    word: FinishedWord


class Editor:
    """One text field under a keyboard.

    It never changes what the engine offers: slots and corrections are inserted as they are, `shift` is there for the
    engine to shape them.

    Args:
        options: what depends on the language and on taste.
        form: the text form of what is typed; None for one without proper nouns.

    Attributes:
        text: of the field.
        cursor: offset in it, in code points.
        is_private: whether nothing of the field may be learned.
        options: may be replaced between two events.
    """

    def __init__(self, options: EditorOptions | None = None, form: TextForm | None = None) -> None:
        self.options = options or EditorOptions()
        self._form = form or TextForm()
        self.is_private = False
        self._pending: _Finished | None = None  # the last finished word, not yet reported
        self._reported: list[FinishedWord] = []
        self._shift: Literal["auto", "off", "once", "lock"] = "auto"
        self._restart("", 0)

    def _restart(self, text: str, cursor: int) -> None:
        self.text = text
        self._kept: set[int] = set()  # starts of words that are not to be corrected
        self._place(cursor)

    def _place(self, cursor: int) -> None:
        self.cursor = cursor
        self._typed_from = cursor  # what is between here and the cursor was typed without going elsewhere
        self._taps: tuple[Tap | None, ...] = ()  # of the last characters before the cursor
        self._space: tuple[int, bool] | None = None  # the last space and who made it, while nothing before it changes
        self._undo: _Undo | None = None
        self._swiped: tuple[int, int] | None = None  # the word just swiped, which the next backspace takes away
        self._release_shift()

    @property
    def before(self) -> str:
        """The text before the cursor."""
        return self.text[: self.cursor]

    @property
    def word(self) -> str:
        """The whole word under the cursor; ``""`` between words and in front of one."""
        start, end = word_span(self.text, self.cursor)
        return self.text[start:end]

    @property
    def word_ends_here(self) -> bool:
        """Whether no letter of the word under the cursor is behind it."""
        return word_span(self.text, self.cursor)[1] == self.cursor

    @property
    def taps(self) -> tuple[Tap | None, ...]:
        """Where the last characters before the cursor were touched, at least those of the word under it."""
        missing = self.cursor - word_span(self.text, self.cursor)[0] - len(self._taps)
        return (None,) * missing + self._taps

    @property
    def shift(self) -> Literal["off", "on", "lock"]:
        """Which letters the keys show: small ones, capitals for the next one (a sentence's first), capitals."""
        if self._shift == "auto":
            is_on = self.options.sentence_capitals and starts_sentence(line_before(self.text, self.cursor), self._form)
            return "on" if is_on else "off"
        return "on" if self._shift == "once" else self._shift

    @property
    def before_swiped(self) -> str:
        """The text before a word that is swiped now: a space more where one is wanted."""
        return self.before + self._lead

    @property
    def shift_of_swiped(self) -> Literal["off", "on", "lock"]:
        """What `shift` is there."""
        if self._shift == "auto" and self._lead:
            line = line_before(self.before_swiped, self.cursor + 1)
            return "on" if self.options.sentence_capitals and starts_sentence(line, self._form) else "off"
        return self.shift

    @property
    def has_auto_space(self) -> bool:
        """Whether the space before the cursor came with an accepted word, to go again before punctuation."""
        return self._space == (self.cursor - 1, _AUTO)

    def allows(self, correction: Correction) -> bool:
        """Return whether the end of a word typed now would apply a correction.

        It would not where the correction was made for another text or changes nothing, inside a word, in the parts of
        addresses, and for words that were restored, accepted from the bar or edited in the middle.
        """
        start = self.cursor - len(correction.replaced)
        return (
            correction.replaced not in ("", correction.text)
            and self.before.endswith(correction.replaced)
            and self.word_ends_here
            and word_span(self.text, start)[0] == start
            and self.text[max(start - 1, 0) : start] not in _PART_MARKS
            and not any(start <= kept < self.cursor for kept in self._kept)
        )

    def apply(self, event: Event) -> Edit:
        """Bring the field to where an event leaves it, and return what the keyboard has to do for that."""
        self._reported = []
        edit = Edit()
        swiped, self._swiped = self._swiped, None
        if swiped and not (isinstance(event, Backspaced) and self._undo):
            self._finish(*swiped)
        match event:
            case Typed(char, tap, correction):
                edit = self._type(char, tap, correction)
            case Swiped(_, word):
                edit = self._swipe(word)
            case Backspaced():
                edit = self._backspace()
            case ShiftPressed(lock):
                if self.shift == ("lock" if lock else "off"):
                    self._shift = "off" if lock else "once"
                else:
                    self._shift = "lock" if lock else "off"
            case SlotAccepted(word, replaced):
                edit = self._accept_slot(word, replaced)
            case GhostAccepted(ghost, only_word):
                edit = self._accept_ghost(ghost, only_word)
            case CursorMoved(offset):
                cursor = min(max(offset, 0), len(self.text))
                if cursor != self.cursor:
                    start, end = word_span(self.text, self.cursor)
                    self._leave(is_word_left=not start <= cursor <= end)
                    self._place(cursor)
            case TextChanged(text, offset):
                cursor = min(max(offset, 0), len(text))
                if (text, cursor) != (self.text, self.cursor):
                    self._leave(is_word_left=not text)  # an emptied field was sent
                    self._restart(text, cursor)
            case FieldStarted(text, is_private):
                self._leave(is_word_left=True)
                self.is_private, self._shift = is_private, "auto"
                self._restart(text, len(text))
        return replace(edit, finished=tuple(self._reported)) if self._reported else edit

    def _type(self, char: str, tap: Tap | None, offered: Correction | None) -> Edit:
        if not char:
            return Edit()
        char = self._cased(char)
        self._release_shift()
        at, taps = self.cursor, (*self._taps, tap)
        if char == " " and self.has_auto_space:
            self._space, self._undo = (at - 1, _TYPED), None
            return Edit()
        self._keep_if_inside()
        if char == " " and self._ends_sentence():
            full_stop = self.options.full_stop + char
            edit = self._splice(at - 1, at, full_stop)
            self._undo = _Undo(full_stop, "  ", taps, (at, _TYPED))
        elif self.has_auto_space and attaches(line_before(self.text, at - 1), char, self._form):
            edit = self._splice(at - 1, at, char, tap)
            self._undo = _Undo(char, " ", taps[:-1], (at - 1, _AUTO))
        else:
            ended = self._ended_word(char)
            correction = self._correction(ended, offered) if ended else None
            if correction:
                start = at - len(correction.replaced)
                edit = replace(self._splice(start, at, correction.text + char, tap), correction=correction)
                undone = Undone(correction.replaced, correction.text)
                space = (at, _TYPED) if char == " " else None
                self._undo = _Undo(edit.inserted, correction.replaced + char, taps, space, undone)
                self._finish(start, self.cursor)
            else:
                edit = self._splice(at, at, char, tap)
                if ended:
                    self._finish(*ended)
        if char == " ":
            self._space = (self.cursor - 1, _TYPED)
        self._keep_if_inside()
        return edit

    def _backspace(self) -> Edit:
        undo = self._undo
        if undo is None:
            self._keep_if_inside()
            edit = self._splice(cluster_start(self.text, self.cursor), self.cursor, "")
            self._keep_if_inside()
            return edit
        start = self.cursor - len(undo.inserted)
        edit = replace(self._splice(start, self.cursor, undo.restored), undone=undo.undone)
        self._taps, self._space = undo.taps[-_MAX_TAPS:], undo.space
        if undo.undone:
            self._keep(start)
        if undo.restored:
            self._finish(word_span(self.text, start)[0], self.cursor)
        return edit

    def _swipe(self, word: str) -> Edit:
        if not word:
            return Edit()
        self._keep_if_inside()
        at, taps, space = self.cursor, self._taps, self._space
        start, end = word_span(self.text, at)
        # A half-typed word stays as it is, for it cannot be put back; but "i" becomes "I" as before any space.
        own = self._correction((start, end), None) if start < end == at else None
        first = at - len(own.replaced) if own else at
        swiped = self._lead + word
        edit = self._insert_spaced(first, at, (own.text if own else "") + swiped)
        self._undo = _Undo(edit.inserted[at - first :], "", taps, space)
        if start < end == at:
            self._finish(start, end)
        begins = at + len(swiped) - len(word)
        self._swiped = begins, begins + len(word)
        return replace(edit, correction=own)

    def _accept_slot(self, word: str, replaced: str | None) -> Edit:
        if not word:
            return Edit()
        start, end = word_span(self.text, self.cursor)
        if replaced == "":
            if end == self.cursor:
                self._finish(start, end)  # the word under the cursor stays
            start = end = self.cursor
        elif replaced and self.before.endswith(replaced):
            first = self.cursor - len(replaced)
            if word_span(self.text, first)[0] == first and first < start:
                start = first
        lead = " " if start == end and needs_space(line_before(self.text, self.cursor), self._form) else ""
        return self._insert_accepted(start, end, lead + word, start)

    def _accept_ghost(self, ghost: str, only_word: bool) -> Edit:
        first = _FIRST_WORD.match(ghost)
        if first is None:
            return Edit()
        accepted = first.group() if only_word else ghost.rstrip()
        start, end = word_span(self.text, self.cursor)
        return self._insert_accepted(self.cursor, self.cursor if ghost[0].isspace() else end, accepted, start)

    def _insert_accepted(self, start: int, end: int, inserted: str, words_from: int) -> Edit:
        edit = self._insert_spaced(start, end, inserted)
        self._keep(words_from)
        self._finish(words_from, self.cursor - 1)
        return edit

    def _insert_spaced(self, start: int, end: int, inserted: str) -> Edit:
        # With a space behind it, unless something stands there that needs none.
        after = self.text[end : end + 1]
        is_apart = after and after not in LINE_BREAKS and (after.isspace() or attaches(inserted, after, self._form))
        # "a" before "'tis", "3" before ".5": what attaches as a mark would make one word with what is behind it.
        runs_on = word_span(inserted + self.text[end : end + 2], len(inserted))[1] > len(inserted)
        trail = "" if (is_apart and not runs_on) or inserted[-1].isspace() else " "
        edit = self._splice(start, end, inserted + trail)
        if trail:
            self._space = (self.cursor - 1, _AUTO)
        self._release_shift()
        return edit

    @property
    def _lead(self) -> str:
        # What stands between the text before the cursor and a word that is no part of the one under it.
        start, _ = word_span(self.text, self.cursor)
        is_wanted = start < self.cursor or needs_space(line_before(self.text, self.cursor), self._form)
        return " " if is_wanted else ""

    def _splice(self, start: int, end: int, inserted: str, tap: Tap | None = None) -> Edit:
        # Replaces text around the cursor and moves along what is remembered by its place.
        edit = Edit(self.text[start : self.cursor], self.text[self.cursor : end], inserted)
        longer = len(inserted) - (end - start)
        self._kept = {kept + longer if kept >= end else kept for kept in self._kept if not start <= kept < end}
        taps = self._taps[: max(len(self._taps) - (self.cursor - start), 0)]
        self._taps = (*taps, *(None,) * (len(inserted) - 1), *((tap,) if inserted else ()))[-_MAX_TAPS:]
        self.text = self.text[:start] + inserted + self.text[end:]
        self.cursor = start + len(inserted)
        self._typed_from = min(self._typed_from, start)
        self._undo = None
        if self._space and start <= self._space[0]:
            self._space = None
        if self._pending:
            is_left = start >= self._pending.end < self.cursor
            if not is_left or word_span(self.text, self.cursor)[0] == self._pending.start:
                self._pending = None
        return edit

    def _ended_word(self, char: str) -> tuple[int, int] | None:
        # The word before the cursor that `char` ends. A full stop after a digit or a single letter ("3.5", "e.g.") does
        # not tell yet; the space after it does.
        at, first = self.cursor, char[0]
        if is_word_char(first) or first in APOSTROPHES | _ADDRESS_MARKS or word_span(self.text, at)[1] > at:
            return None
        end = at - 1 if first.isspace() and self.text[at - 1 : at] == "." else at
        start = word_span(self.text, end)[0]
        if start == end:
            return None
        is_number = self.text[end - 1].isdecimal()
        is_short = is_number or end - start == 1
        if end < at:
            return (start, end) if is_short and self.text[start - 1 : start] != "." else None
        return None if (is_number and first in NUMBER_MARKS) or (is_short and first == ".") else (start, end)

    def _correction(self, ended: tuple[int, int], offered: Correction | None) -> Correction | None:
        if offered and self.allows(offered):
            return offered
        start, end = ended
        word, rest = self.text[start:end], self.text[end : self.cursor]
        own = Correction(word + rest, capitalise(word) + rest)
        return own if normalise(word) in self.options.capital_words and self.allows(own) else None

    def _keep(self, start: int) -> None:
        self._kept.update(word_start for word_start, _ in words_in(self.text, start, self.cursor))

    def _keep_if_inside(self) -> None:
        start, end = word_span(self.text, self.cursor)
        if end > self.cursor:
            self._kept |= {start, self.cursor}

    def _finish(self, start: int, end: int) -> None:
        # Words between the two offsets that were typed here wait to be reported, each for the next.
        for word_start, word_end in words_in(self.text, start, end):
            is_waiting = self._pending is not None and self._pending.start == word_start
            is_part = self.text[max(word_start - 1, 0) : word_start] in _PART_MARKS
            if word_end > end or word_end <= self._typed_from or is_waiting or is_part or self.is_private:
                continue
            self._report()
            context = line_before(self.text, word_start)
            word = FinishedWord(self.text[word_start:word_end], context, word_start in self._kept)
            self._pending = _Finished(word_start, word_end, word)

    def _leave(self, is_word_left: bool) -> None:
        start, end = word_span(self.text, self.cursor)
        if is_word_left and end == self.cursor:
            self._finish(start, end)
        self._report()

    def _report(self) -> None:
        if self._pending:
            self._reported.append(self._pending.word)
        self._pending = None

    def _release_shift(self) -> None:
        if self._shift != "lock":
            self._shift = "auto"

    def _cased(self, char: str) -> str:
        upper = char.upper()
        return upper if len(char) == len(upper) == 1 and upper != char and self.shift != "off" else char

    def _ends_sentence(self) -> bool:
        # Whether one more space makes the one before the cursor a full stop.
        at = self.cursor - 1
        if not self.options.full_stop or at < 1 or self._space != (at, _TYPED):
            return False
        last = self.text[cluster_start(self.text, at)]
        return unicodedata.category(last)[0] in "LN" or last in _CLOSING
