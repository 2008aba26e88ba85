"""The golden files say what the engine does now."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from .make import FOLDER, LAWS, TOLERANCES, lines

HOW = "the engine answers otherwise than the golden files; if that is meant, run: make golden"


def differs(expected: Any, made: Any, path: str = "", tolerance: float = 1e-9) -> str | None:
    """Return where two values differ by more than 1e-5 of a number's size, or a tolerance; None where they do not."""
    if isinstance(expected, float) or isinstance(made, float):
        is_close = isinstance(expected, (int, float)) and isinstance(made, (int, float))
        is_close = is_close and math.isclose(expected, made, rel_tol=1e-5, abs_tol=tolerance)
        return None if is_close else f"{path}: {expected} is now {made}"
    if isinstance(expected, dict) and isinstance(made, dict) and expected.keys() == made.keys():
        named = ((f"{path}.{name}", expected[name], made[name]) for name in expected)
        return next(filter(None, (differs(one, other, where, tolerance) for where, one, other in named)), None)
    if isinstance(expected, list) and isinstance(made, list) and len(expected) == len(made):
        pairs = enumerate(zip(expected, made, strict=True))
        return next(filter(None, (differs(one, other, f"{path}[{i}]", tolerance) for i, (one, other) in pairs)), None)
    return None if expected == made else f"{path}: {expected!r} is now {made!r}"


@pytest.mark.parametrize("law", LAWS)
def test_the_engine_gives_what_the_golden_file_says(law: str) -> None:
    expected = [json.loads(line) for line in (FOLDER / f"{law}.jsonl").read_text(encoding="ascii").splitlines()]
    made = list(lines(law))
    assert len(made) == len(expected), HOW
    for number, (one, other) in enumerate(zip(expected, made, strict=True), 1):
        found = differs(one, other, tolerance=TOLERANCES.get(law, 1e-9))
        assert found is None, f"{law}.jsonl, line {number}{found}\n{HOW}"
