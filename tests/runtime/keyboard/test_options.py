"""Every option reaches what it is an option of: with another value the keyboard does something else."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from keyboard_lm.correction.candidates import CandidateOptions
from keyboard_lm.correction.options import CorrectorOptions
from keyboard_lm.decoding.inline import InlineOptions
from keyboard_lm.decoding.search import SearchOptions
from keyboard_lm.keyboard.bar import Request
from keyboard_lm.keyboard.engine import Engine
from keyboard_lm.keyboard.suggester import Suggester, SuggesterOptions

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
