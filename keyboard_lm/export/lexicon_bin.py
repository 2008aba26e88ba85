"""A lexicon as one file that is mapped and used as it lies: `lexicon.bin`, for readers without numpy.

Little-endian; every array begins at a multiple of 64 bytes, zeros between them:

    0   8 bytes   "KLMLEXIC"
    8   uint32    format
    12  uint32    A: letters of the alphabet
    16  uint32    N: nodes of the trie
    20  uint32    E: entries
    24  uint32    C: entries with capitals
    28  uint32    L: values of the letter model, (A + 2) cubed or 0
    32  uint64    sum of all 8-byte words of the file, these two taken as 0, modulo 2^64
    40  uint64    sum of the same, each times its place plus 1
    48  uint64    bytes of the file
    64  uint32    (A)      code points of the alphabet
        uint32    (N + 1)  first child of each node
        uint32    (N + 1)  first entry of each node
        float32   (L)      logarithms of the letter model
        uint32    (C)      entries with capitals, ascending
        uint64    (C)      which of their letters are capitals, lowest bit first
        uint8     (N)      number of the letter on the edge to each node
        uint8     (N)      highest frequency of any offered word at or below each node
        uint8     (E)      frequency of each entry
        uint8     (E)      flags of each entry

The two sums tell damage from use: any change of one word changes the first, an exchange of two the second.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.words.letter_model import LetterModel
from keyboard_lm.words.lexicon import Lexicon

LEXICON_BIN_FILE = "lexicon.bin"
LEXICON_BIN_FORMAT = 1
_MAGIC = b"KLMLEXIC"
_ALIGNMENT = 64


def lexicon_bin(lexicon: Lexicon) -> bytes:
    """Return the file; the same lexicon gives the same bytes."""
    logs = LetterModel(lexicon).logs
    cased = lexicon.capitals.nonzero()[0]
    arrays = (
        np.array([ord(letter) for letter in lexicon.alphabet], "<u4"),
        lexicon.first_child.astype("<u4"),
        lexicon.first_entry.astype("<u4"),
        logs.ravel().astype("<f4"),
        cased.astype("<u4"),
        lexicon.capitals.take(cased).astype("<u8"),
        lexicon.letters.astype(np.uint8),
        lexicon.best_frequency.astype(np.uint8),
        lexicon.frequencies.astype(np.uint8),
        lexicon.flags.astype(np.uint8),
    )
    body = b"".join(map(_padded, arrays))
    sizes = len(lexicon.alphabet), len(lexicon.letters), len(lexicon), len(cased), logs.size
    length = _ALIGNMENT + len(body)

    def head(total: int = 0, weighted: int = 0) -> bytes:
        fields = struct.pack("<8s6I3Q", _MAGIC, LEXICON_BIN_FORMAT, *sizes, total, weighted, length)
        return fields.ljust(_ALIGNMENT, b"\0")

    words = np.frombuffer(head() + body, "<u8")
    places = np.arange(1, len(words) + 1, dtype=np.uint64)
    return head(int(words.sum(dtype=np.uint64)), int((words * places).sum(dtype=np.uint64))) + body


def _padded(array: NDArray[np.generic]) -> bytes:
    content = array.tobytes()
    return content + b"\0" * (-len(content) % _ALIGNMENT)
