"""Frames that a client may send by mistake or on purpose."""

from __future__ import annotations

import json
import random
from typing import Any

TYPES = (
    "hello", "typed", "swiped", "backspaced", "shift_pressed", "slot_accepted", "ghost_accepted", "cursor_moved",
    "text_changed", "field_started", "learned_asked", "word_forgotten", "all_forgotten",
)  # fmt: skip
FIELDS = (
    "revision", "char", "tap", "path", "lock", "word", "replaced", "ghost", "only_word", "cursor", "text", "field",
    "limit", "token", "language", "layout", "learning", "num_slots",
)  # fmt: skip


def random_value(rng: random.Random, depth: int = 0) -> Any:
    """Return something that JSON can hold."""
    choice = rng.randrange(9 if depth < 3 else 6)
    if choice == 0:
        return rng.choice((None, True, False))
    if choice == 1:
        return rng.choice((0, 1, 2, -1, 7, 2**31, 2**53, -(2**70), 10**400))
    if choice == 2:
        return rng.choice((0.5, -1e308, 1e308, 3.0))
    if choice <= 5:
        alphabet = ("abc ", "\x00\x1f", "é🇩🇪👩\u200d👧", "\ud800", '"\\', "'.,@\n")
        return "".join(rng.choices(rng.choice(alphabet), k=rng.choice((0, 1, 3, 40, 3000))))
    if choice == 6:
        return [random_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice((*FIELDS, "x", "y", "t_ms")): random_value(rng, depth + 1) for _ in range(rng.randrange(4))}


def random_frame(rng: random.Random, revision: int) -> str | bytes:
    """Return noise, broken JSON, other JSON, or a message of which some fields are wrong."""
    choice = rng.randrange(6)
    if choice == 0:
        return rng.randbytes(rng.randrange(200))
    if choice == 1:
        return json.dumps(random_value(rng))
    message: dict[str, Any] = {"type": rng.choice(TYPES), "revision": revision}
    for field in rng.sample(FIELDS, rng.randrange(5)):
        message[field] = random_value(rng)
    text = json.dumps(message)
    if choice == 2:
        cut = rng.randrange(len(text))
        return text[:cut] + rng.choice(("", "\x00", "}", "[" * 900, "\u00e9")) + text[cut + rng.randrange(3) :]
    return text.encode() if choice == 3 else text
