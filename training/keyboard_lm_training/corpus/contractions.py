"""Contractions written without their apostrophe (``dont``, ``im``), mended in text that a keyboard learns from."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from keyboard_lm_training.language_data.tables import table_rows

# Words of their own that chat hardly ever means: mended unless what stands before them makes a noun of them.
_NEARLY_ALWAYS = ("cant", "wont")
_BEFORE_A_NOUN = "a|an|the|this|that|of|and|my|his|her|its|our|your|their|is|was|were|as|than|de"


@cache
def _meant() -> dict[str, str]:
    table = resources.files("keyboard_lm").joinpath("languages", "en", "contractions.tsv").read_text(encoding="utf-8")
    rows = table_rows(table.splitlines())
    return {row["typed"]: row["meant"] for row in rows if row["ambiguous"] != "yes" or row["typed"] in _NEARLY_ALWAYS}


@cache
def _pattern() -> re.Pattern[str]:
    words = _meant()
    sure = "|".join(sorted(words.keys() - set(_NEARLY_ALWAYS)))
    doubtful = "|".join(word for word in _NEARLY_ALWAYS if word in words)
    bounded = r"(?<![\w'’.@/#-])(?:{0})(?![\w'’@/-]|\.\w)"
    return re.compile(
        rf"(?P<before>(?:\b(?:{_BEFORE_A_NOUN})|['’]s?)\s+)?(?:{bounded.format(f'(?P<sure>{sure})')}"
        rf"|{bounded.format(f'(?P<doubtful>{doubtful})')})",
        re.IGNORECASE,
    )


def mend_contractions(text: str) -> str:
    """Return an English text whose contractions have their apostrophe.

    Only letters that are no word of their own are mended (``dont``, not ``its`` or ``well``), and ``cant`` and ``wont``
    where no noun can stand. Capitals stay: ``Dont``, ``DONT``; ``im`` gets the one it lacks.
    """

    def mended(match: re.Match[str]) -> str:
        before = match["before"] or ""
        typed = match["sure"] or match["doubtful"]
        if match["doubtful"] and before:
            return match[0]
        meant = _meant()[typed.lower()]
        if len(typed) > 2 and typed.isupper():
            meant = meant.upper()
        elif typed[0].isupper():
            meant = meant[0].upper() + meant[1:]
        return before + meant

    return _pattern().sub(mended, text)
