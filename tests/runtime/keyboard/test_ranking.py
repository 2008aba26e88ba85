"""The door to the bar: one filter, one mixing, one order, whatever the source."""

from __future__ import annotations

import math
from itertools import permutations
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyboard_lm.keyboard.bar import Kind
from keyboard_lm.keyboard.offers import Offer, Source
from keyboard_lm.keyboard.ranking import OfferFilter, Ranking, Refusal
from keyboard_lm.personal import PersonalStore
from keyboard_lm.text.case import fold

WORDS = st.sampled_from(["the", "The", "THE", "then", "damn", "Damn", "go", "Go on", "a damn"])
OFFERS = st.builds(
    Offer,
    text=WORDS, word=WORDS, kind=st.sampled_from(get_args(Kind)), source=st.sampled_from(get_args(Source)),
    log_prior=st.integers(-20, 0).map(float), log_channel=st.integers(-20, 0).map(float), replaced=st.just("t"),
)  # fmt: skip
FILTER = OfferFilter(lambda word: fold(word) == "damn", lambda offer: offer.word == "THE")


def ranked(offers: list[Offer]) -> list[Offer]:
    ranking = Ranking(FILTER, None)
    ranking.add(offers)
    return ranking.best()


@given(st.lists(OFFERS, max_size=12))
def test_nothing_unfit_gets_in_from_any_source(offers: list[Offer]) -> None:
    best = ranked(offers)
    assert not any("damn" in fold(each.text) or "damn" in fold(each.word) or each.word == "THE" for each in best)


@given(st.lists(OFFERS, max_size=12))
def test_of_those_of_the_same_letters_the_best_is_left_and_the_order_is_that_of_worth(offers: list[Offer]) -> None:
    best = ranked(offers)
    fit = [each for each in offers if FILTER.refusal(each) is None]
    assert len({fold(each.text) for each in best}) == len(best) == len({fold(each.text) for each in fit})
    for each in best:
        assert each.log_joint == max(one.log_joint for one in fit if fold(one.text) == fold(each.text))
    assert best == sorted(best, key=lambda each: (-each.log_joint, each.text))


def test_equal_offers_stand_in_the_order_of_their_texts_whatever_came_first() -> None:
    offers = [Offer(text, text, "completion", "network", -1.0) for text in ("b", "a", "c")]
    assert {tuple(each.text for each in ranked(list(order))) for order in permutations(offers)} == {("a", "b", "c")}


@given(st.lists(OFFERS, max_size=12))
def test_what_is_not_taken_is_told_with_its_reason(offers: list[Offer]) -> None:
    refused: list[tuple[Offer, Refusal]] = []
    ranking = Ranking(FILTER, None, refused)
    ranking.add(offers)
    assert sorted([*ranking.best(), *(offer for offer, _ in refused)]) == sorted(offers)
    for offer, refusal in refused:
        assert refusal == (FILTER.refusal(offer) or "another spelling of it is likelier")


def test_the_writers_own_share_is_mixed_in_once_and_not_into_what_the_corrector_has_weighed() -> None:
    store = PersonalStore.open(None)
    for _ in range(20):
        store.learn(["the"], (), "accepted")
    view = store.view(())
    assert view is not None
    for source in get_args(Source):
        ranking = Ranking(FILTER, view)
        ranking.add([Offer("the", "the", "completion", source, math.log(0.1), -1.0)])
        expected = view.mix(0.1, "the") if source in ("network", "own words", "mistyped") else 0.1
        assert math.exp(ranking.best()[0].log_prior) == pytest.approx(expected)
        assert ranking.total() == pytest.approx(expected * math.exp(-1.0))
