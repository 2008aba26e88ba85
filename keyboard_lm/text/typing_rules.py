"""What the text around a cursor says: which word is there, and what space and case come next."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from keyboard_lm.text.form import JOIN, TextForm, is_word_part, normalise
from keyboard_lm.text.graphemes import is_break

APOSTROPHES = frozenset("'\u2019\u02bc\uff07")
NUMBER_MARKS = frozenset(".,:")
LINE_BREAKS = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
_MAX_LINE = 256  # how far back the rules for spaces look
_MAX_TAIL = 64  # how far back those for capitals look
_CLOSERS = APOSTROPHES | frozenset("\u060c\u061b\u061f\u06d4\u0964\u0965\u201d\u00bb")  # besides the text form's
_OPENING = "([{\"'\u2018\u201c\u00ab\u00bf\u00a1"  # what may stand before a sentence's first word
_KEY_CAP = "\u20e3"


@lru_cache(maxsize=4096)
def is_word_char(char: str) -> bool:
    """Return whether a character is one that words are made of, whatever is beside it."""
    return char not in APOSTROPHES and char not in NUMBER_MARKS and is_word_part(char)


@lru_cache(maxsize=4)  # one key asks several times about one place
def word_span(text: str, cursor: int) -> tuple[int, int]:
    """Return where the word around a cursor begins and ends; twice the cursor between words and in front of one.

    Words are those of the text form: apostrophes between letters belong to them, or right before the cursor, where a
    letter may follow; points, commas and colons between digits too.
    """
    start = end = cursor
    while start and _is_in_word(text, start - 1, cursor):
        start -= 1
    while start < cursor and not is_break(text, start):
        start += 1  # marks on an emoji
    if start == cursor:
        return cursor, cursor
    while end < len(text) and _is_in_word(text, end, cursor):
        end += 1
    return (cursor, cursor) if _KEY_CAP in text[start:end] else (start, end)


def _is_in_word(text: str, index: int, cursor: int) -> bool:
    char = text[index]
    if is_word_char(char):
        return True
    if index == 0 or not (char in APOSTROPHES or char in NUMBER_MARKS):
        return False
    left, right = text[index - 1], text[index + 1 : index + 2]
    if char in APOSTROPHES:
        return is_word_char(left) and (index + 1 == cursor or is_word_char(right))
    return left.isdecimal() and right.isdecimal()


def words_in(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where each word begins and ends that begins between two offsets (`start` not being inside one)."""
    while start < end:
        first, last = word_span(text, start + 1)
        if first < last:
            yield first, last
        start = max(last, start + 1)


def line_before(text: str, cursor: int) -> str:
    """Return the text before a cursor on its line, as far back as the rules look."""
    return (text[max(cursor - _MAX_LINE, 0) : cursor] + "x").splitlines()[-1][:-1]


def starts_sentence(line: str, form: TextForm) -> bool:
    """Return whether a letter after `line` gets the capital of a sentence."""
    tail = line[-_MAX_TAIL:]
    cut = "x" if len(tail) == _MAX_TAIL else ""  # some word: before it nothing matters
    tail = tail.rstrip(_OPENING)
    return (not tail or tail[-1].isspace()) and form.starts_sentence_after(cut + tail)


def needs_space(line: str, form: TextForm) -> bool:
    """Return whether the text form puts a space between the end of `line` and a word that comes next."""
    if not line or line[-1].isspace():
        return False
    tokens = form.encode_tokens(normalise(line + "x"))
    return len(tokens) > 1 and (tokens[-2].endswith(JOIN) or tokens[-1].startswith(JOIN))


def attaches(line: str, char: str, form: TextForm) -> bool:
    """Return whether the text form puts no space between the word that `line` ends in and a mark that comes next."""
    if is_word_char(char[0]):
        return False
    if char[0] in _CLOSERS:
        return True
    mark, tokens = normalise(char), form.encode_tokens(normalise(line + char))
    return bool(mark) and tokens[-1].endswith(mark) and not tokens[-1].startswith(JOIN)
