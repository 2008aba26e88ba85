"""Cases of single characters and of how strings of them are cut into tokens: all of Unicode 14, all short strings.

    python -m tests.golden.text_laws

writes anew which code points `characters` looks at, on a Python of that Unicode (3.11): later ones know more, and what
they say of those that were there before stays.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from keyboard_lm.text.case import fold
from keyboard_lm.text.form import TextForm, capitalise, is_word_part, normalise, token_kind
from keyboard_lm.text.typing_rules import is_word_char

Case = dict[str, Any]
ASSIGNED_FILE = Path(__file__).parent / "unicode14.json"
UNICODE = "14.0.0"
_BLOCK = 256
_UNASSIGNED = frozenset({"Cn", "Cs", "Co"})  # surrogates and private use, too: no text of anybody's
# One for each class that the scanner, the spacing or the sentence rules tell apart.
SYMBOLS = (
    *("a", "I", "\u00e9", "\u4f60", "3", "'", ".", ",", ":", "?", "-", "/", "(", ")", '"', "@", "%"),
    *(" ", "\u2019", "\u0301", "\u2764", "\ufe0f", "\u200d", "\U0001f44d"),
)


def characters() -> Iterator[Case]:
    """Yield, for each 256 code points, a digest of the class, case and normal form of those in Unicode 14."""
    ranges = json.loads(ASSIGNED_FILE.read_text(encoding="ascii"))
    codes = (code for first, end in ranges for code in range(first, end))
    blocks: dict[int, list[list[Any]]] = {}
    for code in codes:
        char = chr(code)
        row = [
            code, token_kind(char), is_word_part(char), is_word_char(char), fold(char), capitalise(char),
            normalise(f"a{char}b"),
        ]  # fmt: skip
        blocks.setdefault(code // _BLOCK, []).append(row)
    for block, rows in sorted(blocks.items()):
        yield {"first": block * _BLOCK, "num": len(rows), "sha256": _sha(rows)}


def scanner(form: TextForm) -> Iterator[Case]:
    """Yield, for each beginning of one or two symbols, a digest of the forms of strings of up to four."""
    for first in SYMBOLS:
        yield {"begins": first, "num": 1, "sha256": _sha([form.encode(first)])}
    for first, second in product(SYMBOLS, repeat=2):
        ends = ["", *SYMBOLS, *("".join(pair) for pair in product(SYMBOLS, repeat=2))]
        forms = [form.encode(first + second + end) for end in ends]
        yield {"begins": first + second, "num": len(forms), "sha256": _sha(forms)}


def _sha(rows: list[Any]) -> str:
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def main() -> None:
    if unicodedata.unidata_version != UNICODE:
        raise SystemExit(f"this Python knows Unicode {unicodedata.unidata_version}; take one that knows {UNICODE}")
    ranges: list[list[int]] = []
    for code in range(0x110000):
        if unicodedata.category(chr(code)) in _UNASSIGNED:
            continue
        if ranges and ranges[-1][1] == code:
            ranges[-1][1] = code + 1
        else:
            ranges.append([code, code + 1])
    ASSIGNED_FILE.write_text(json.dumps(ranges, separators=(",", ":")) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
