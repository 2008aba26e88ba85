"""Hashes of word shingles, for many documents at once.

The hash is the one that rensa gives a token (rustc-hash 2 on bytes), so signatures do not depend on who computed it:
slicing each shingle out of its document and handing it over takes five times as long as the arithmetic here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SHINGLE_WORDS = 5
_SPACE = 0x20
_BLANKS = bytes.maketrans(b"\t\n\v\f\r\x1c\x1d\x1e\x1f", b" " * 9)  # what str.split takes for white space in ASCII
_WORD, _BLOCK = 8, 16  # bytes
_MAX_BYTES = 1 << 10  # of a shingle hashed here; longer ones, of which there are few, would make many short rounds

_SEED_0, _SEED_1 = np.uint64(0x243F6A8885A308D3), np.uint64(0x13198A2E03707344)
_MULTIPLIER, _FACTOR = np.uint64(0xA4093822299F31D0), np.uint64(0xF1357AEA2E62A9C5)
_ROTATION = 26
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ShingleHashes:
    """The shingles of some documents.

    Attributes:
        hashes: of all shingles, document after document.
        offsets: where each document's begin, and the end of the last: (documents + 1,).
    """

    hashes: Hashes
    offsets: npt.NDArray[np.uint64]


def shingle_hashes(texts: Sequence[str], hash_tokens: Callable[[Sequence[bytes]], Sequence[int]]) -> ShingleHashes:
    """Return the hashes of each document's shingles; a document of fewer words than a shingle has is one.

    Args:
        texts: case folded; any white space separates words. A text without words has one shingle, which is empty.
        hash_tokens: hashes the tokens that are too short or too long for the arithmetic here.
    """
    parts = [text.encode().translate(_BLANKS) if text.isascii() else _spaced(text) for text in texts]
    data = np.frombuffer(b" ".join(parts), np.uint8)
    spaces = np.flatnonzero(data == _SPACE)
    if len(spaces) and (spaces[0] == 0 or spaces[-1] == len(data) - 1 or (np.diff(spaces) == 1).any()):
        parts = [_spaced(text) for text in texts]
        data = np.frombuffer(b" ".join(parts), np.uint8)
        spaces = np.flatnonzero(data == _SPACE)
    starts, ends = np.concatenate([[0], spaces + 1]), np.concatenate([spaces, [len(data)]])
    # Words, then shingles, of each document.
    sizes = np.array([len(part) + 1 for part in parts])
    first_words = np.searchsorted(starts, np.cumsum(sizes) - sizes)
    num_words = np.diff(first_words, append=len(starts))
    num_shingles = np.maximum(num_words - (SHINGLE_WORDS - 1), 1)
    offsets = np.concatenate([[0], np.cumsum(num_shingles)])
    first = np.arange(offsets[-1]) + np.repeat(first_words - offsets[:-1], num_shingles)
    last = first + np.repeat(np.minimum(num_words, SHINGLE_WORDS) - 1, num_shingles)
    return ShingleHashes(_token_hashes(data, starts[first], ends[last], hash_tokens), offsets.astype(np.uint64))


def _spaced(text: str) -> bytes:
    return " ".join(text.split()).encode()


def _token_hashes(
    data: npt.NDArray[np.uint8], starts: Places, ends: Places, hash_tokens: Callable[[Sequence[bytes]], Sequence[int]]
) -> Hashes:
    """Return the hash of each stretch ``data[start:end]``: (stretches,)."""
    sizes = ends - starts
    is_odd = (sizes < _WORD) | (sizes > _MAX_BYTES)
    if not is_odd.any():
        return _hashed(data, starts, sizes)
    hashes = np.empty(len(starts), np.uint64)
    odd, usual = np.flatnonzero(is_odd), np.flatnonzero(~is_odd)
    hashes[odd] = hash_tokens([data[starts[i] : ends[i]].tobytes() for i in odd])
    if len(usual):
        hashes[usual] = _hashed(data, starts[usual], sizes[usual])
    return hashes


def _hashed(data: npt.NDArray[np.uint8], starts: Places, sizes: Places) -> Hashes:
    """Hash stretches of at least 8 bytes.

    Blocks of 16 bytes are mixed in from the front, as long as more than 16 bytes are left; then the last 16 (of a
    stretch of up to 16 bytes: its first and its last 8, which may overlap).
    """
    words = np.ndarray(len(data) - _WORD + 1, "<u8", data, 0, (1,))  # the 8 bytes from each place on
    state_0, state_1 = np.full(len(starts), _SEED_0), np.full(len(starts), _SEED_1)
    rows, at = np.flatnonzero(sizes > _BLOCK), 0
    while len(rows):
        places = starts[rows] + at
        mixed = _mixed(state_0[rows] ^ words[places], words[places + _WORD] ^ _MULTIPLIER)
        state_0[rows], state_1[rows] = state_1[rows], mixed
        at += _BLOCK
        rows = rows[sizes[rows] > at + _BLOCK]
    ends = starts + sizes
    state_0 ^= words[np.where(sizes > _BLOCK, ends - _BLOCK, starts)]
    state_1 ^= words[ends - _WORD]
    hashes = (_mixed(state_0, state_1) ^ sizes.astype(np.uint64)) * _FACTOR
    rotated: Hashes = (hashes << np.uint64(_ROTATION)) | (hashes >> np.uint64(64 - _ROTATION))
    return rotated


def _mixed(left: Hashes, right: Hashes) -> Hashes:
    """Return the upper half of the 128-bit products, exclusive or the lower."""
    left_low, left_high, right_low, right_high = left & _LOW, left >> _HALF, right & _LOW, right >> _HALF
    cross = left_low * right_high
    middle = ((left_low * right_low) >> _HALF) + (cross & _LOW) + left_high * right_low  # fits: (2^32 - 1)(2^32 + 1)
    mixed: Hashes = (left_high * right_high + (cross >> _HALF) + (middle >> _HALF)) ^ (left * right)
    return mixed
