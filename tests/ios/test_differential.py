"""Random sessions through both engines; `python -m tests.ios.differential` runs more of them."""

from __future__ import annotations

import pytest

from .differential import Report, Swift, compare


@pytest.mark.usefixtures("ask")
def test_every_edit_and_every_bar_of_random_sessions_is_the_same() -> None:
    swift = Swift()
    report = compare(range(60), swift, Report())
    swift.close()
    assert not report.differences, report.differences[:5]
    assert report.near_ties <= 1
    assert report.bars > 600
