"""The golden files say what the engine does now."""

from __future__ import annotations

import pytest

from .comparison import FIRM, differs, first_difference
from .make import LAWS, NEEDS, TOLERANCES, lines, written

HOW = "the engine answers otherwise than the golden files; if that is meant, run: make golden"


@pytest.mark.parametrize("law", LAWS)
def test_the_engine_gives_what_the_golden_file_says(law: str) -> None:
    for module in NEEDS.get(law, ()):
        pytest.importorskip(module, reason=f"the law '{law}' is computed with {module}")
    found = first_difference(written(law), list(lines(law)), TOLERANCES.get(law, 1e-9))
    assert found is None, f"{law}.jsonl, line{found}\n{HOW}"


def test_nearly_all_bars_of_the_networks_weights_are_firm() -> None:
    cases = written("bars_model")[1:]
    assert sum(not case[FIRM] for case in cases) <= 0.01 * len(cases)


def test_what_differs_is_told_by_its_place_and_only_beyond_the_tolerance() -> None:
    assert differs({"a": [1, 2.0]}, {"a": [1, 2.00001]}) is None
    assert differs({"a": [1, 2.0]}, {"a": [1, 2.1]}) == ".a[1]: 2.0 is now 2.1"
    assert differs({"a": [1, 2.0]}, {"a": [1, 2.1]}, tolerance=0.2) is None
    assert all((differs({"a": 1}, {"b": 1}), differs([1], [1, 2]), differs("1", 1), differs(None, 1.0)))
    assert differs({"a": 1, FIRM: False}, {"a": 2, FIRM: True}) is None
    assert first_difference([1, 2], [1, 3]) == " 2: 2 is now 3"
