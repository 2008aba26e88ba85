"""Whether what the engine says now is what a golden file says."""

from __future__ import annotations

import math
from typing import Any

FIRM = "is_firm"
"""Of a case of the network's own weights: whether the bar stays the same where all logits are a little different. Where
it does not, rounding decides, and two engines may differ."""


def differs(expected: Any, made: Any, path: str = "", tolerance: float = 1e-9) -> str | None:
    """Return where two values differ by more than 1e-5 of a number's size, or a tolerance; None where they do not."""
    if isinstance(expected, float) or isinstance(made, float):
        is_close = isinstance(expected, (int, float)) and isinstance(made, (int, float))
        is_close = is_close and math.isclose(expected, made, rel_tol=1e-5, abs_tol=tolerance)
        return None if is_close else f"{path}: {expected} is now {made}"
    if isinstance(expected, dict) and isinstance(made, dict) and expected.keys() == made.keys():
        if FIRM in expected and not expected[FIRM]:
            return None
        named = ((f"{path}.{name}", expected[name], made[name]) for name in expected if name != FIRM)
        return next(filter(None, (differs(one, other, where, tolerance) for where, one, other in named)), None)
    if isinstance(expected, list) and isinstance(made, list) and len(expected) == len(made):
        pairs = enumerate(zip(expected, made, strict=True))
        return next(filter(None, (differs(one, other, f"{path}[{i}]", tolerance) for i, (one, other) in pairs)), None)
    return None if expected == made else f"{path}: {expected!r} is now {made!r}"


def first_difference(expected: list[Any], made: list[Any], tolerance: float = 1e-9) -> str | None:
    """Return where two files differ, line by line; None where they do not."""
    if len(made) != len(expected):
        return f" 1: {len(made) - 1} cases instead of {len(expected) - 1}"
    for number, (one, other) in enumerate(zip(expected, made, strict=True), 1):
        if found := differs(one, other, tolerance=tolerance):
            return f" {number}{found}"
    return None
