"""Where the characters that a reader sees begin: what one press of backspace deletes.

Extended grapheme clusters (Unicode Standard Annex 29) from the properties that the standard library has. Not known are
conjuncts of Indic scripts (rule GB9c; each consonant is a cluster of its own) and the few spacing marks of Myanmar and
Tai Tham that are none by exception; the pictographs are whole blocks. The version of Unicode is that of Python.
"""

from __future__ import annotations

import re
import unicodedata

_JOINER = "\u200d"
_PICTOGRAPH = re.compile(
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u2300-\u23ff\u24c2\u25a0-\u27bf\u2934\u2935\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff\U0001fc00-\U0001fffd]"
)
_EXTENDS = re.compile("[\u200c\u200d\u0e33\u0eb3\uff9e\uff9f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
_PREPENDS = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd]")
_FLAG_LETTER = re.compile("[\U0001f1e6-\U0001f1ff]")
_CONTROL_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def is_break(text: str, index: int) -> bool:
    """Return whether a cluster begins at `index` (or the text ends there)."""
    if not 0 < index < len(text):
        return True
    before, after = text[index - 1], text[index]
    if after < "\u0300" and before < "\u0300":
        return (before, after) != ("\r", "\n")
    if _is_control(before) or _is_control(after):
        return True
    if _extends(after) or _PREPENDS.match(before):
        return False
    if before == _JOINER and _PICTOGRAPH.match(after):
        base = index - 2
        while base > 0 and text[base] != _JOINER and _extends(text[base]):
            base -= 1
        return base < 0 or not _PICTOGRAPH.match(text[base])
    if _FLAG_LETTER.match(before) and _FLAG_LETTER.match(after):
        first = index
        while first and _FLAG_LETTER.match(text[first - 1]):
            first -= 1
        return (index - first) % 2 == 0
    return not _is_one_syllable(ord(before), ord(after))


def cluster_start(text: str, end: int) -> int:
    """Return where the cluster begins that ends at `end`, whatever comes after; 0 at the beginning."""
    start = max(end - 1, 0)
    while not is_break(text, start):
        start -= 1
    return start


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in _CONTROL_CATEGORIES and not (_EXTENDS.match(char) or _PREPENDS.match(char))


def _extends(char: str) -> bool:
    return unicodedata.category(char)[0] == "M" or _EXTENDS.match(char) is not None


def _is_one_syllable(before: int, after: int) -> bool:
    # Hangul: leading consonants, vowels, trailing consonants; precomposed syllables end in a vowel or a consonant.
    syllable = 0xAC00 <= before <= 0xD7A3
    is_vowel, is_trailing = _in(after, 0x1160, 0x11A7, 0xD7B0, 0xD7C6), _in(after, 0x11A8, 0x11FF, 0xD7CB, 0xD7FB)
    if _in(before, 0x1100, 0x115F, 0xA960, 0xA97C):
        return is_vowel or 0xAC00 <= after <= 0xD7A3 or _in(after, 0x1100, 0x115F, 0xA960, 0xA97C)
    if _in(before, 0x1160, 0x11A7, 0xD7B0, 0xD7C6) or (syllable and (before - 0xAC00) % 28 == 0):
        return is_vowel or is_trailing
    return (syllable or _in(before, 0x11A8, 0x11FF, 0xD7CB, 0xD7FB)) and is_trailing


def _in(code: int, first: int, last: int, more_first: int, more_last: int) -> bool:
    return first <= code <= last or more_first <= code <= more_last
