"""Damage to a package: bytes flipped or cut off, protobuf fields dropped, doubled or changed with all lengths right."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keyboard_lm_coreml.package.protobuf import MalformedError, fields

MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
MANIFEST = "Manifest.json"

Files = Mapping[str, bytes]
_NUMBERS = (0, 1, 2, 3, 5, 7, 63, 64, 255, 4096, 1 << 20, (1 << 31) - 1, 1 << 31, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)
_MAX_DEPTH = 40


@dataclass(frozen=True)
class Damage:
    """A damaged package: what was done to it, and its files."""

    kind: str
    files: Files


def damage(files: Files, rng: random.Random) -> Damage:
    """Damage one file of a package in one way, or in several."""
    kind = rng.choice(list(_KINDS))
    name = MODEL
    if kind in ("flip", "cut", "insert"):
        name = rng.choices((MODEL, WEIGHTS, MANIFEST), (6, 3, 1))[0]
    content = files[name]
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        content = _KINDS[kind](content, rng)
    return Damage(f"{kind} {name.rsplit('/', 1)[-1]}", {**files, name: content})


def _flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _insert(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.randbytes(rng.randrange(1, 20)) + content[at:]


def _drop(content: bytes, rng: random.Random) -> bytes:
    return _edit(content, rng, lambda parts, i: parts.pop(i))


def _double(content: bytes, rng: random.Random) -> bytes:
    return _edit(content, rng, lambda parts, i: parts.insert(rng.randrange(len(parts) + 1), parts[i]))


def _swap(content: bytes, rng: random.Random) -> bytes:
    def edit(parts: list[tuple[int, int | bytes]], i: int) -> None:
        j = rng.randrange(len(parts))
        parts[i], parts[j] = (parts[i][0], parts[j][1]), (parts[j][0], parts[i][1])

    return _edit(content, rng, edit)


def _change(content: bytes, rng: random.Random) -> bytes:
    def edit(parts: list[tuple[int, int | bytes]], i: int) -> None:
        number, value = parts[i]
        if isinstance(value, int):
            parts[i] = number, rng.choice((*_NUMBERS, value + 1, max(value - 1, 0)))
        else:
            parts[i] = number, _flip(value, rng)

    return _edit(content, rng, edit)


def _grow(content: bytes, rng: random.Random) -> bytes:
    # Numbers only: shapes, types, offsets, sizes.
    def edit(parts: list[tuple[int, int | bytes]], i: int) -> None:
        numbers = [j for j, (_, value) in enumerate(parts) if isinstance(value, int)]
        if numbers:
            j = rng.choice(numbers)
            parts[j] = parts[j][0], rng.choice(_NUMBERS)

    return _edit(content, rng, edit)


_KINDS: Mapping[str, Callable[[bytes, random.Random], bytes]] = {
    "flip": _flip, "cut": _cut, "insert": _insert, "drop": _drop, "double": _double, "swap": _swap, "change": _change,
    "grow": _grow,
}  # fmt: skip


def _edit(content: bytes, rng: random.Random, edit: Callable[[list[tuple[int, int | bytes]], int], object]) -> bytes:
    """Edit a message somewhere inside: go down at random as long as what is there can be read as a message."""
    depth = rng.randrange(1, 14)

    def descend(message: bytes, depth: int) -> bytes:
        parts = _parts(message)
        if not parts:
            return message
        nested = [i for i, (_, value) in enumerate(parts) if isinstance(value, bytes) and _parts(value)]
        if depth > 0 and nested:
            i = rng.choice(nested)
            number, value = parts[i]
            assert isinstance(value, bytes)
            parts[i] = number, descend(value, depth - 1)
        else:
            edit(parts, rng.randrange(len(parts)))
        return encoded(parts)

    return descend(content, min(depth, _MAX_DEPTH))


def _parts(message: bytes) -> list[tuple[int, int | bytes]] | None:
    try:
        parts = [(n, v if isinstance(v, int) else bytes(v)) for n, v in fields(memoryview(message))]
    except MalformedError:
        return None
    return parts if encoded(parts) == message else None  # texts that look like messages mostly do not come back


def encoded(parts: list[tuple[int, int | bytes]]) -> bytes:
    """Return a message of these fields; numbers become varints."""
    return b"".join(
        _varint(number << 3) + _varint(value)
        if isinstance(value, int)
        else _varint(number << 3 | 2) + _varint(len(value)) + value
        for number, value in parts
    )


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        if not value:
            return bytes([*out, low])
        out.append(low | 0x80)
