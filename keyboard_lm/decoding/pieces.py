"""The tokenizer's pieces arranged for finding words by their beginning."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.network.tokenizer import WORD_END, Tokenizer
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import META_SPACE, is_word, is_word_part

_LAST = "\U0010ffff"  # sorts after every character of a word
Places = slice | NDArray[np.intp]
_NEVER_FIRST = _NEVER_LAST = frozenset("'.,:")  # these stand only inside words


class PieceSet:
    """Some pieces in the order of their folded text, so that those with a common beginning lie side by side.

    Args:
        pieces: id, text without the word end, and whether the piece may begin a word.

    Attributes:
        ids: piece ids, (N,).
        texts: their texts, as cased.
        keys: the folded texts, sorted.
        may_begin: whether a word may begin with the piece, (N,).
        group_starts: index of the first piece of each group of equal keys, (G,).
        starts: the same and the number of pieces, as a list.
        largest_group: most pieces of one group.
        places_of: of each key, where the pieces of its group begin and end.
        longest: length of the longest text.
    """

    def __init__(self, pieces: Iterable[tuple[int, str, bool]]) -> None:
        rows = sorted([(fold(text), text, piece_id, begins) for piece_id, text, begins in pieces])
        keys, texts, ids, begins = zip(*rows, strict=True) if rows else ((), (), (), ())
        self.keys: tuple[str, ...] = keys
        self.texts: tuple[str, ...] = texts
        self.ids: NDArray[np.intp] = np.array(ids, np.intp)
        self.may_begin: NDArray[np.bool_] = np.array(begins, np.bool_)
        starts = [i for i, (key, before) in enumerate(zip(keys, (None, *keys), strict=False)) if key != before]
        self.group_starts: NDArray[np.intp] = np.array(starts, np.intp)
        sizes = np.diff(self.group_starts, append=len(keys))
        self.largest_group = int(sizes.max(initial=1))
        self.starts = [*starts, len(keys)]  # as `group_starts`; one element of a list is had sooner
        self.places_of = {keys[start]: (start, stop) for start, stop in pairwise(self.starts)}
        self.longest = max(map(len, self.keys), default=0)
        self.starting_with = lru_cache(maxsize=4096)(self._starting_with)
        self.beginning_or_begun = lru_cache(maxsize=4096)(self._beginning_or_begun)

    @cached_property
    def are_words(self) -> tuple[bool, ...]:
        """Whether the key of each piece is a word, (N,)."""
        return tuple(map(is_word, self.keys))

    @cached_property
    def group_is_word(self) -> NDArray[np.bool_]:
        """The same of each group, (G,)."""
        return np.array([self.are_words[start] for start in self.starts[:-1]], np.bool_)

    def _starting_with(self, prefix: str) -> slice:
        """Return where the pieces lie whose folded text starts with `prefix` (folded)."""
        if not prefix:
            return slice(0, len(self.keys))
        if len(prefix) > self.longest:
            return slice(0, 0)
        first = bisect_left(self.keys, prefix)
        return slice(first, bisect_left(self.keys, prefix + _LAST, first))

    def group(self, key: str) -> slice:
        """Return where the pieces lie whose folded text is `key`; an empty slice where there is none."""
        return slice(*self.places_of.get(key, (0, 0)))

    def _beginning_or_begun(self, prefix: str) -> tuple[list[int], NDArray[np.intp]]:
        """Return the places of the pieces whose folded text starts with `prefix` or is a beginning of it."""
        spans = [
            self.starting_with(prefix),
            *(self.group(prefix[:n]) for n in range(min(len(prefix), self.longest + 1))),  # 0: a bare space
        ]
        places = [place for span in spans for place in range(span.start, span.stop)]
        return places, np.array(places, np.intp)

    def differs_at(self, places: Places, place: int, char: str) -> NDArray[np.bool_] | None:
        """Return which of some pieces have another character than `char` at a place, (N,); None where none can."""
        if not 0 <= place < self.longest:
            return None
        column = self._chars[places, place]
        differs: NDArray[np.bool_] = (column != ord(char)) & (column != 0)
        return differs

    @cached_property
    def _chars(self) -> NDArray[np.uint32]:
        # Code points of the texts, (N, longest), 0 behind their ends.
        return np.array(self.texts, f"<U{self.longest}").view(np.uint32).reshape(len(self.texts), self.longest)

    def groups_in(self, span: slice) -> slice:
        """Return which of the `group_starts` lie inside a span that `starting_with` gave."""
        return slice(bisect_left(self.starts, span.start), bisect_left(self.starts, span.stop))


class PieceTable:
    """The pieces a word can be written with: no control piece, no punctuation, no emoji, no mark.

    With prefix-space pieces (see `keyboard_lm.decoding.word_boundary`) all of them leave a word open, and the end of
    the word finishes it.

    Attributes:
        ends: pieces that finish a word (the bare word end among them); one that may begin a word is a whole one.
        opens: pieces that leave a word open.
        byte_ids: the piece of each byte value, (256,); -1 where the tokenizer has none.
        ends_token: whether a form token or a message ends with the piece, (V,).
        shows_ends: whether the last piece of a word shows that it has ended.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        finishing, open_ended = [], []
        skipped = tokenizer.control_ids | tokenizer.byte_ids
        self.shows_ends = not tokenizer.is_prefix_space
        if not self.shows_ends:
            finishing.append((tokenizer.vocab_size, "", False))
        shows_ends = self.shows_ends
        ends = [piece.endswith(WORD_END) for piece in tokenizer.pieces]
        for piece_id, piece in enumerate(tokenizer.pieces):
            text = piece.removesuffix(WORD_END) if shows_ends else piece.removeprefix(META_SPACE)
            is_plain = text.isalpha()  # most are
            if piece_id in skipped or not (is_plain or not text or is_word_part(text)):
                continue
            if not shows_ends:
                if META_SPACE not in text:
                    open_ended.append((piece_id, text, text[:1] not in _NEVER_FIRST))
            elif not ends[piece_id]:
                open_ended.append((piece_id, text, text[0] not in _NEVER_FIRST))
            elif is_plain or not text or text[-1] not in _NEVER_LAST:
                finishing.append((piece_id, text, is_word(text)))
        self.ends, self.opens = PieceSet(finishing), PieceSet(open_ended)
        self.ends_token: NDArray[np.bool_] = np.array(ends)
        self.ends_token[tokenizer.eos_id] = True
        self.byte_ids = np.full(256, -1, np.intp)
        for piece_id in tokenizer.byte_ids:
            self.byte_ids[int(tokenizer.pieces[piece_id][3:5], 16)] = piece_id

    def can_continue(self, rest: str) -> bool:
        """Return whether any piece starts with `rest` (folded, not empty), or `rest` with any open piece."""
        spans = (self.ends.starting_with(rest), self.opens.starting_with(rest))
        if any(span.start < span.stop for span in spans):
            return True
        lengths = range(1, min(len(rest), self.opens.longest) + 1)
        return any(group.start < group.stop for group in (self.opens.group(rest[:n]) for n in lengths))
