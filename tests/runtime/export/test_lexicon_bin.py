"""What `lexicon.bin` holds, read as its header says."""

from __future__ import annotations

import struct

import numpy as np

from keyboard_lm.export.lexicon_bin import lexicon_bin
from keyboard_lm.words.letter_model import LetterModel
from keyboard_lm.words.lexicon import Entry, build_lexicon

WORDS = [Entry("a", 200), Entry("Kraków", 30), Entry("it's", 90), Entry("shit", 50, True), Entry("im", 0, False, True)]


def _array(content: bytes, offset: int, kind: str, num: int) -> tuple[np.ndarray, int]:
    array = np.frombuffer(content, kind, num, offset)
    return array, offset + -(-array.nbytes // 64) * 64


def test_every_array_lies_where_the_header_says() -> None:
    lexicon = build_lexicon(WORDS)
    content = lexicon_bin(lexicon)
    magic, form, letters, nodes, entries, cased, logs, _, _, size = struct.unpack_from("<8s6I3Q", content)
    assert (magic, form, size) == (b"KLMLEXIC", 1, len(content))
    assert (letters, nodes, entries) == (len(lexicon.alphabet), len(lexicon.letters), len(lexicon))
    expected = [
        ("<u4", list(map(ord, lexicon.alphabet))),
        ("<u4", lexicon.first_child),
        ("<u4", lexicon.first_entry),
        ("<f4", LetterModel(lexicon).logs.ravel()),
        ("<u4", lexicon.capitals.nonzero()[0]),
        ("<u8", lexicon.capitals[lexicon.capitals > 0]),
        ("u1", lexicon.letters),
        ("u1", lexicon.best_frequency),
        ("u1", lexicon.frequencies),
        ("u1", lexicon.flags),
    ]
    assert (cased, logs) == (1, len(expected[3][1]))
    offset = 64
    for kind, values in expected:
        array, offset = _array(content, offset, kind, len(values))
        assert np.array_equal(array, values)
    assert offset == size


def test_the_sums_are_those_of_all_other_words() -> None:
    content = lexicon_bin(build_lexicon(WORDS))
    words = list(struct.unpack(f"<{len(content) // 8}Q", content))
    sums, words[4:6] = words[4:6], [0, 0]
    assert sums == [sum(words) % 2**64, sum(place * word for place, word in enumerate(words, 1)) % 2**64]


def test_the_same_words_give_the_same_bytes() -> None:
    assert lexicon_bin(build_lexicon(WORDS)) == lexicon_bin(build_lexicon(reversed(WORDS)))
