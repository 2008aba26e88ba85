"""Figures and their intervals."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyboard_lm.evaluation.estimate import Metric, difference, estimate, ratio

RATE = Metric("rate", "rate", ratio("hits", "words", scale=1))
DOCUMENTS = st.lists(
    st.builds(lambda words, hits: {"words": words, "hits": min(words, hits)}, st.integers(5, 9), st.integers(0, 5)),
    min_size=2,
    max_size=20,
)


@settings(max_examples=30)
@given(DOCUMENTS, st.integers(0, 5))
def test_an_interval_depends_only_on_the_documents_and_the_seed(documents: list[dict[str, int]], seed: int) -> None:
    found = estimate(documents, [RATE], seed)["rate"]
    assert found == estimate(documents, [RATE], seed)["rate"]
    assert found.low <= found.high
    assert found.value == pytest.approx(sum(d["hits"] for d in documents) / sum(d["words"] for d in documents))
    if len({(d["hits"], d["words"]) for d in documents}) == 1:
        assert found.low == pytest.approx(found.value) == found.high


def test_an_interval_is_as_wide_as_the_normal_approximation_says() -> None:
    documents = [{"hits": float(i < 400), "words": 1.0} for i in range(1000)]
    found = estimate(documents, [RATE], 0)["rate"]
    assert 2 * found.margin == pytest.approx(2 * 1.96 * math.sqrt(0.4 * 0.6 / 1000), rel=0.1)


def test_one_document_has_a_figure_but_no_interval() -> None:
    found = estimate([{"hits": 1, "words": 4}], [RATE], 0)["rate"]
    assert found.value == 0.25
    assert math.isnan(found.low)
    assert math.isnan(found.margin)


def test_nothing_to_divide_by_is_no_figure() -> None:
    assert math.isnan(estimate([{"hits": 0, "words": 0}] * 3, [RATE], 0)["rate"].value)
    with pytest.raises(ValueError, match="no document"):
        estimate([], [RATE], 0)


@settings(max_examples=30)
@given(DOCUMENTS)
def test_nothing_differs_from_itself(documents: list[dict[str, int]]) -> None:
    found = difference(documents, documents, [RATE], 0)["rate"]
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_a_constant_gain_is_certain_when_paired_however_much_documents_differ() -> None:
    before = [{"hits": hits, "words": 10} for hits in (0, 9, 1, 8, 2, 7)]
    after = [{"hits": document["hits"] + 1, "words": 10} for document in before]
    found = difference(before, after, [RATE], 0)["rate"]
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    with pytest.raises(ValueError, match="paired"):
        difference(before, after[1:], [RATE], 0)


def test_texts_are_drawn_by_themselves() -> None:
    # Each text's documents are alike, so only how many came from which text could vary.
    easy, hard = [{"hits": 9, "words": 10}] * 4, [{"hits": 1, "words": 10}] * 6
    apart = estimate([*easy, *hard], [RATE], 0, [4, 6])["rate"]
    assert (apart.value, apart.low, apart.high) == pytest.approx((0.42, 0.42, 0.42))
    assert estimate([*easy, *hard], [RATE], 0)["rate"].margin > 0.1
    changed = difference([*easy, *hard], [*hard[:4], *hard], [RATE], 0, [4, 6])["rate"]
    assert (changed.value, changed.low, changed.high) == pytest.approx((-0.32, -0.32, -0.32))
    with pytest.raises(ValueError, match="texts of 5"):
        estimate([*easy, *hard], [RATE], 0, [5])


def test_texts_of_one_document_have_no_interval_together() -> None:
    assert math.isnan(estimate([{"hits": 1, "words": 4}] * 2, [RATE], 0, [1, 1])["rate"].low)
