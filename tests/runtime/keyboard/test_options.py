"""Every option reaches what it is an option of: with another value the keyboard does something else."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest

from keyboard_lm.correction.candidates import CandidateOptions
from keyboard_lm.correction.hypotheses import Hypothesis
from keyboard_lm.correction.options import CorrectorOptions
from keyboard_lm.decoding.inline import InlineOptions
from keyboard_lm.decoding.search import SearchOptions
from keyboard_lm.device.budget import CallCost
from keyboard_lm.device.turn import Turn
from keyboard_lm.keyboard.bar import Request
from keyboard_lm.keyboard.engine import Engine
from keyboard_lm.keyboard.meant import MeantSources
from keyboard_lm.keyboard.place import Place
from keyboard_lm.keyboard.suggester import Suggester, SuggesterOptions
from keyboard_lm.text.form import TextForm

TEXTS = ("I am going", "what is teh", "see you tonor", "I love pizza", "thank you so mu", "he is mo", "", "I want to ")
OTHER: dict[str, tuple[Any, ...]] = {
    "num_slots": (2, 5),
    "finished_ratio": (1e9,),
    "least_share": (0.999,),
    "num_mistyped": (0,),
    "search": (SearchOptions(max_rounds=0),),
    "candidates": (CandidateOptions(num_words=1), CandidateOptions(margin=3.0)),
    "corrector": (CorrectorOptions(least_odds=1e9, unknown_ratio=1e9), CorrectorOptions(frequency_mix=0.9)),
    "inline": (None, InlineOptions(threshold=0.01), InlineOptions(min_chars=30)),
    "emoji": (False,),
}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.open(num_threads=1)


def told(suggester: Suggester) -> list[Any]:
    answers = []
    for text in TEXTS:
        suggester.forget()
        answer = suggester.answer(Request(text))
        answers.append((answer.slots, answer.correction, answer.ghost))
    return answers


def made(engine: Engine, options: SuggesterOptions) -> Suggester:
    return engine.suggester(replace(engine.options, suggester=options))


@pytest.mark.parametrize("name", OTHER)
def test_another_value_makes_another_bar(engine: Engine, name: str) -> None:
    usual = told(made(engine, SuggesterOptions()))
    assert usual == told(made(engine, SuggesterOptions()))
    for value in OTHER[name]:
        assert told(made(engine, replace(SuggesterOptions(), **{name: value}))) != usual


def test_every_option_of_the_bar_is_among_them() -> None:
    others = {"swipe"}  # in tests/runtime/swipe
    assert {each.name for each in fields(SuggesterOptions)} == OTHER.keys() | others


def test_what_every_source_yields_is_whole(engine: Engine) -> None:
    suggester = made(engine, SuggesterOptions())
    for text in TEXTS:
        for offer, _ in suggester.explain(Request(text)):
            assert all(isinstance(each, str) for each in (offer.text, offer.word, offer.kind, offer.source))
            assert offer.text
            assert offer.word
            assert text.endswith(offer.replaced)
            assert offer.log_prior <= 0
            assert (offer.source == "emoji") <= (offer.log_joint == -math.inf)  # on no scale with words


def test_the_stage_says_how_far_the_turn_went(engine: Engine) -> None:
    suggester, a_call = made(engine, SuggesterOptions()), CallCost(1.0)
    stages = []
    for budget_ms in (0.0, 1.0, 2.0, 99.0, 0.0):  # no call; the feed; one branch more; all; what is remembered
        stages.append(suggester.answer(Request("see you tonor"), Turn(a_call, budget_ms)).stage)
    suggester.forget()
    suggester.answer(Request("see you "), Turn(a_call, 1.0))
    stages.append(suggester.answer(Request("see you tonor"), Turn(a_call, 0.0)).stage)
    assert stages == ["personal_and_lexicon", "no_branches", "fewer_branches", "full", "full", "cached"]


def test_a_correction_is_likely_where_nothing_that_may_have_been_meant_is_worth_anything() -> None:
    nothing: Any = None
    best = Hypothesis("teh", "the", -math.inf, 0.0, 0.0)
    sources = MeantSources(nothing, nothing, nothing, None, None, 6, 0.2)
    place = Place(Request("teh"), TextForm().split_typed("teh"), Turn(), None, None)
    assert sources.is_likely(place, best, 0.0)
    assert not sources.is_likely(place, best, 1.0)
    assert sources.is_likely(place, best._replace(log_joint=math.log(0.2)), 1.0)
    assert not sources.is_likely(place, best._replace(log_joint=math.log(0.19)), 1.0)
    assert sources.is_likely(place, best._replace(replaced="on teh"), 1.0)  # more than the word: no beginning of one
    apostrophe = Place(Request("dont"), TextForm().split_typed("dont"), Turn(), None, None)
    assert sources.is_likely(apostrophe, best._replace(replaced="dont", text="don't"), 1.0)
