"""Random sessions through both engines; `python -m tests.ios.differential` runs more of them."""

from __future__ import annotations

import pytest

from .differential import Sessions, Swift, compare, model_sessions


@pytest.mark.usefixtures("ask")
def test_every_edit_and_every_bar_of_random_sessions_is_the_same() -> None:
    swift = Swift()
    report = compare(range(60), Sessions(), swift)
    swift.close()
    assert not report.differences, report.differences[:5]
    assert len(report.ties) <= 1
    assert report.bars > 600
    assert report.swipes > 30


@pytest.mark.usefixtures("ask")
def test_bars_on_the_bundled_weights_are_those_of_torch() -> None:
    pytest.importorskip("torch", reason="the network's reference is torch in fp32")
    swift = Swift()
    report = compare(range(12), model_sessions(), swift)
    swift.close()
    assert not report.differences, report.differences[:5]
    assert len(report.ties) <= 1
    assert report.bars > 200
