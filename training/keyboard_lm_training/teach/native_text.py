"""Windows of our pieces as another tokenizer's tokens, and which places of either tell the same next word.

Our pieces end where a form token ends (a word, a mark); another tokenizer's tokens mostly begin with the space before a
word. Where both have a border at the same character of the text, what comes next is the same for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.form import META_SPACE

INSIDE, SENTENCE_START, MESSAGE_START = range(3)
NUM_KINDS = 3


@dataclass(frozen=True)
class NativeWindow:
    """One window in the other tokenizer's tokens.

    Attributes:
        ids: (N,) tokens, the one in front of a text first.
        places: (M,) indices into the window's targets: target `places[j]` begins a form token.
        tokens: (M,) how many tokens of `ids` stand before it; `ids[tokens[j]]` is the one that follows.
        kinds: (M,) `INSIDE`, `SENTENCE_START` or `MESSAGE_START`.
    """

    ids: NDArray[np.int64]
    places: NDArray[np.int64]
    tokens: NDArray[np.int64]
    kinds: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Border:
    # A character of the text before which a form token may begin, and the target there.
    place: int
    offset: int
    kind: int


class NativeText:
    """Translates windows.

    Args:
        tokenizer: of the pieces; its spaces are suffixes.
        native: the other one, a `tokenizers.Tokenizer` whose tokens know their characters.
        bos_id: the native token in front of a text.
    """

    def __init__(self, tokenizer: Tokenizer, native: Any, bos_id: int) -> None:
        self._tokenizer, self._native, self._bos_id = tokenizer, native, bos_id
        self._pieces = tokenizer.pieces
        self._bytes = {i: bytes([int(self._pieces[i][3:5], 16)]) for i in tokenizer.byte_ids}

    def translate(self, windows: NDArray[np.int64]) -> list[NativeWindow]:
        """Return windows (B, T + 1), each with `<s>` first, as native ones.

        Every message ends with a line break. A document that begins inside a window begins with `bos_id` again. Of a
        word that the window cuts, its beginning is left out.
        """
        texts: list[list[tuple[str, list[_Border]]]] = [self._documents(window) for window in windows]
        encoded = iter(self._native.encode_batch([text for row in texts for text, _ in row], add_special_tokens=False))
        return [self._joined([(next(encoded), borders) for _, borders in row]) for row in texts]

    def _documents(self, window: NDArray[np.int64]) -> list[tuple[str, list[_Border]]]:
        bos, eos = self._tokenizer.bos_id, self._tokenizer.eos_id
        documents: list[tuple[str, list[_Border]]] = []
        text: list[str] = []
        length = 0
        borders: list[_Border] = []
        message: list[tuple[int, str]] = []  # (index of the first piece, form token)
        word, word_start = bytearray(), 0
        for index, piece_id in enumerate(window.tolist()):
            if piece_id == bos:
                if text:
                    borders.append(_Border(index - 1, length, MESSAGE_START))  # the end of the text is foretold here
                    documents.append(("".join(text), borders))
                text, length, borders, message, word = [], 0, [], [], bytearray()
                continue
            if piece_id == eos:
                written = [*self._written([*message, (index, "")], length, borders), "\n"]
                text += written
                length += sum(map(len, written))
                message, word = [], bytearray()
                continue
            if not word:
                word_start = index
            known = self._bytes.get(piece_id)
            piece = self._pieces[piece_id]
            word += known if known is not None else piece.replace(META_SPACE, "").encode()
            if known is None and piece.endswith(META_SPACE):
                if not word:  # a word end without a word, which no text has
                    continue
                message.append((word_start, word.decode("utf-8", "replace")))
                word = bytearray()
        written = self._written(message, length, borders)
        documents.append(("".join([*text, *written]), borders))
        return documents

    def _written(self, message: list[tuple[int, str]], offset: int, borders: list[_Border]) -> list[str]:
        # The message as text; adds the border before each of its form tokens.
        written = []
        is_first = True
        forms = self._tokenizer.form.written(token for _, token in message if token)
        for (index, _), (text, starts) in zip(message, forms, strict=False):  # the message's end is not always in sight
            kind = MESSAGE_START if is_first else SENTENCE_START if starts else INSIDE
            borders.append(_Border(index - 1, offset, kind))
            written.append(text)
            offset += len(text)
            is_first = False
        return written

    def _joined(self, documents: list[tuple[Any, list[_Border]]]) -> NativeWindow:
        ids: list[int] = []
        found: list[tuple[int, int, int]] = []
        for number, (encoding, borders) in enumerate(documents):
            ids.append(self._bos_id)
            before = len(ids)
            ends = {0: 0} | {end: i for i, (_, end) in enumerate(encoding.offsets, 1)}
            length = len(encoding.ids)
            is_last = number == len(documents) - 1
            for border in borders:
                count = ends.get(border.offset)
                if count is not None and (count < length or not is_last):
                    found.append((border.place, before + count, border.kind))
            ids += encoding.ids
        columns = np.array(found, np.int64).reshape(-1, 3)
        return NativeWindow(np.array(ids, np.int64), columns[:, 0], columns[:, 1], columns[:, 2])
