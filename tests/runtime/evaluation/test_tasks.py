"""Every metric on a toy model or a scripted keyboard, worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyboard_lm.evaluation.autocorrect import Autocorrect, ReplayedAutocorrect
from keyboard_lm.evaluation.completion import Completion
from keyboard_lm.evaluation.cost import time_keystrokes
from keyboard_lm.evaluation.engine import Bar, Correction, Taps, finished
from keyboard_lm.evaluation.estimate import Counts, estimate
from keyboard_lm.evaluation.inline import Inline
from keyboard_lm.evaluation.next_word import NextWord
from keyboard_lm.evaluation.predictor import Suggestions
from keyboard_lm.evaluation.predictor_engine import PredictorEngine
from keyboard_lm.evaluation.replay import ReplayedUnit
from keyboard_lm.evaluation.savings import KEY_S, LOOK_S, KeystrokeSavings
from keyboard_lm.evaluation.task import Conditions, Subject, Task
from keyboard_lm.evaluation.typist import TypedUnit, Typist
from keyboard_lm.evaluation.words import words_of

TOKENS = ["I", "i", "am", "is", "us", "US", "don't", ".", "a.m.", "-"]
NETWORK = {
    "": {"I▁": 0.5, "am▁": 0.25},
    "I▁": {"us▁": 0.25, "US▁": 0.125, "is▁": 0.125, ".▁": 0.25, "am▁": 0.0625},
    "I▁ am▁": {"don't▁": 0.5, ".▁": 0.25},
    "I▁ am▁ .▁": {"i▁": 0.5},
    "i▁": {"us▁": 0.5},
}


class ScriptedTypist:
    """Types each word as a table says."""

    def __init__(self, typed: dict[str, str] | None = None) -> None:
        self._typed = typed or {}

    def type_units(self, text: str, rng: np.random.Generator) -> list[TypedUnit]:
        return [self._unit(word.start, word.end, word.text) for word in words_of(text)]

    def type_word(self, word: str, rng: np.random.Generator) -> TypedUnit:
        return self._unit(0, len(word), word)

    def _unit(self, start: int, end: int, word: str) -> TypedUnit:
        typed = self._typed.get(word, word)
        return TypedUnit(start, end, word, typed, (None,) * len(typed), ())


class ScriptedEngine:
    """Answers as a table says; an empty bar otherwise."""

    def __init__(self, bars: dict[str, Bar]) -> None:
        self._bars = bars
        self.asked: list[str] = []

    def start_field(self) -> None:
        self.asked.append("<field>")

    def bar(self, text: str, num_slots: int, taps: Taps = ()) -> Bar:
        self.asked.append(text)
        found = self._bars.get(text, Bar(()))
        return Bar(found.slots[:num_slots], found.correction, found.ghost, found.num_model_calls)


def measure(
    task: Task[Any],
    engine: Any,
    messages: Sequence[Any],
    typed: dict[str, str] | None = None,
    slots: tuple[int, ...] = (1, 3),
    fold_case: bool = False,
) -> Counts:
    conditions = Conditions(cast(Typist, ScriptedTypist(typed)), slots, fold_case)
    return task.measure(Subject(engine), messages, conditions, np.random.default_rng(0))


@pytest.fixture
def model(toy_tokenizer: Any) -> PredictorEngine:
    """The toy model over six words as a keyboard."""
    tokenizer = toy_tokenizer(TOKENS)
    return PredictorEngine(tokenizer.network(NETWORK), tokenizer.as_tokenizer())


@pytest.mark.parametrize(
    ("message", "words", "folded", "cased"),
    [
        ("I am don't", 3, (2, 3, 3), (2, 3, 3)),  # ranks 1, 3 (us and US are one word), 1
        ("I us", 2, (2, 2, 2), (2, 2, 2)),
        ("I US", 2, (2, 2, 2), (1, 1, 1)),  # offered as "us", its likelier form
        ("i us", 2, (2, 2, 2), (1, 1, 1)),  # "I" is offered; then 0.5 after "i"
        ("I am. I", 3, (2, 3, 3), (2, 3, 3)),  # the full stop is context, and gives "i" its capital
        ("Am", 1, (0, 1, 1), (0, 1, 1)),  # offered with a sentence's capital
        ("zebra I", 2, (0, 0, 0), (0, 0, 0)),  # nothing is known after "zebra"
        ("at 3.5 a.m. naïve :D", 7, (0, 0, 0), (0, 0, 0)),  # at 3 5 a m naïve D
        ("... 😂 -", 0, (0, 0, 0), (0, 0, 0)),
    ],
)
def test_next_word_hits(
    model: PredictorEngine, message: str, words: int, folded: tuple[int, ...], cased: tuple[int, ...]
) -> None:
    counts = measure(NextWord(), model, [message])
    assert counts["words"] == words
    assert tuple(counts[f"folded{rank}"] for rank in (1, 3, 5)) == folded
    assert tuple(counts[f"cased{rank}"] for rank in (1, 3, 5)) == cased


def test_tasks_that_share_bars_count_what_each_counts_alone(model: PredictorEngine) -> None:
    tasks, messages = (NextWord(), Completion(), KeystrokeSavings()), ["I am don't", "I am us", "us am I"]
    alone = [measure(task, model, messages) for task in tasks]
    asked: list[str] = []
    suggest = model._predictor.suggest

    def counted(text: str) -> Suggestions:
        asked.append(text)
        return suggest(text)

    model._predictor.suggest = counted  # type: ignore[method-assign]
    with model.remembering():
        assert [measure(task, model, messages) for task in tasks] == alone
    assert len(asked) == len(set(asked))
    num_asked = len(asked)
    measure(NextWord(), model, messages)
    assert len(asked) > num_asked  # nothing is kept behind it


@pytest.mark.parametrize("before", ["", "I ", "I am. ", "us am "])
@pytest.mark.parametrize("letters", ["", "a", "A", "am", "u", "U", "d", "don'", "x", "i"])
def test_what_a_bar_may_not_offer_is_not_on_it(model: PredictorEngine, before: str, letters: str) -> None:
    offered = {slot.casefold() for slot in model.bar(before + letters, 5).slots}
    for word in ("i", "am", "us", "don't", "x"):
        assert model.may_offer(before + letters, word) or word not in offered


def test_a_bar_that_cannot_hold_the_word_is_not_asked_for(model: PredictorEngine) -> None:
    asked: list[str] = []
    bar = model.bar

    def counted(text: str, num_slots: int, taps: Taps = ()) -> Bar:
        asked.extend([text] * bool(num_slots))
        return bar(text, num_slots, taps)

    model.bar = counted  # type: ignore[method-assign]
    counts = measure(Autocorrect(), model, ["I am us"], {"am": "a", "us": "ud"})
    assert (counts["right"], counts["wrong"], counts["shown"]) == (1, 2, 1)
    assert asked == ["I a"]
    counts = measure(Completion(), model, ["I am us"], {"am": "sm"})
    assert (counts["typo_second_prefixes"], counts["typo_second_hits"]) == (1, 0)
    assert "I s" not in asked


def test_a_message_is_a_field_of_its_own(model: PredictorEngine) -> None:
    assert measure(NextWord(), model, ["i us", "I am"])["folded5"] == 4


def test_completion_counts_every_proper_prefix_by_its_share_of_the_word(model: PredictorEngine) -> None:
    # a|m is half a word; d, do, don, don' are 20, 40, 60 and 80 %; u|s is not known after "I am"
    counts = measure(Completion(), model, ["I am don't", "I am us"])
    assert (counts["prefixes"], counts["typo_second_prefixes"]) == (7, 0)
    hits = {quarter: counts[f"{quarter}_hits"] for quarter in ("first", "second", "third", "last")}
    assert hits == {"first": 1, "second": 3, "third": 1, "last": 1}
    assert counts["second_prefixes"] == 4
    figures = estimate([counts], Completion().metrics(()), 0)
    assert figures["top3"].value == pytest.approx(100 * 6 / 7)
    assert figures["second_top3"].value == pytest.approx(75)


def test_a_prefix_with_a_typo_is_counted_apart() -> None:
    engine = ScriptedEngine({"t": Bar(("the",)), "te": Bar(("tea", "The")), "h": Bar(("hi",))})
    counts = measure(Completion(), engine, ["the"], {"the": "teh"})
    assert (counts["prefixes"], counts["first_hits"], counts["second_hits"], counts["third_hits"]) == (2, 0, 1, 0)
    assert (counts["typo_third_prefixes"], counts["typo_third_hits"]) == (1, 1)  # "te"; "t" is right, "teh" is whole
    figures = estimate([counts], Completion().metrics(()), 0)
    assert figures["typo_top3"].value == figures["typo_third_top3"].value == 100


def test_savings_of_the_toy_model(model: PredictorEngine) -> None:
    # 3 slots: I, am (third), don't, a key each. 1 slot: I; "us" is offered, so a, then am; don't.
    counts = measure(KeystrokeSavings(), model, ["I am don't"])
    assert (counts["chars"], counts["keys0"], counts["keys1"], counts["keys3"]) == (10, 10, 4, 3)
    assert (counts["looks1"], counts["looks3"], counts["taken1"], counts["taken3"]) == (4, 3, 3, 3)
    figures = estimate([counts], KeystrokeSavings().metrics((1, 3)), 0)
    assert (figures["savings1"].value, figures["savings3"].value) == pytest.approx((60, 70))
    assert figures["speed3"].value == pytest.approx(10 / (3 * KEY_S + 3 * LOOK_S))
    assert figures["break_even3"].value == pytest.approx(1000 * KEY_S * 7 / 3)
    assert figures["speed_unaided"].value == pytest.approx(1 / KEY_S)


@pytest.mark.parametrize(
    ("message", "keys"),
    [
        ("I am.", 3),  # the slot's space is taken back by the full stop, which is a key
        ("I us", 2),
        ("I!", 2),  # taking "I" saves nothing where no space follows
        ("?! -", 4),
        ("I  am", 3),  # the slot brings one of the two spaces; after two the toy knows the same words
    ],
)
def test_keys_with_three_slots(model: PredictorEngine, message: str, keys: int) -> None:
    assert measure(KeystrokeSavings(), model, [message])["keys3"] == keys


class JoiningTypist(ScriptedTypist):
    """Misses the space between the first two words."""

    def type_units(self, text: str, rng: np.random.Generator) -> list[TypedUnit]:
        first, second, *rest = super().type_units(text, rng)
        taps = (*first.taps, *second.taps)
        both = text[first.start : second.end]
        return [TypedUnit(first.start, second.end, both, first.typed + second.typed, taps, (), (first, second)), *rest]


@pytest.mark.parametrize(
    ("bars", "keys", "looks"),
    [
        ({}, 13, 6),  # "inthe", 3 backspaces, " the", a blank; looks: at in+the until its blank is left, at at, i
        ({"i": Bar(("in",))}, 6, 5),  # i, the slot with its space, then the, a blank
        ({"i": Bar(("in",)), "in t": Bar(("the",))}, 4, 4),  # the second word is typed by itself
        ({"inth": Bar(("in the",))}, 5, 5),
    ],
)
def test_a_missed_space_does_not_keep_the_first_word_from_being_taken(
    bars: dict[str, Bar], keys: int, looks: int
) -> None:
    conditions = Conditions(cast(Typist, JoiningTypist()), (3,))
    counts = KeystrokeSavings().measure(
        Subject(ScriptedEngine(bars)), ["in the "], conditions, np.random.default_rng(0)
    )
    assert (counts["keys3"], counts["looks3"]) == (keys, looks)


def test_a_text_without_capitals_takes_words_in_any_case(model: PredictorEngine) -> None:
    assert measure(KeystrokeSavings(), model, ["i am"], fold_case=True)["keys3"] == 2
    assert measure(KeystrokeSavings(), model, ["i am"], fold_case=False)["keys3"] == 4


def test_a_typo_is_corrected_by_the_space_or_deleted_and_typed_again() -> None:
    # Unaided: 7 keys and "eh" deleted, "he" typed. With a bar the correction mends it; one that is wrong costs more.
    message, typed = "the cat", {"the": "teh"}
    mends = ScriptedEngine({"teh": Bar((), Correction("teh", "the"))})
    counts = measure(KeystrokeSavings(), mends, [message], typed)
    assert (counts["keys0"], counts["keys3"]) == (11, 7)
    assert measure(KeystrokeSavings(), mends, ["the"], typed)["keys3"] == 3 + 2 + 2  # nothing finishes the word
    spoils = ScriptedEngine({"teh": Bar((), Correction("teh", "tech"))})
    assert measure(KeystrokeSavings(), spoils, [message], typed)["keys3"] == 7 + 3 + 2  # -ech, +he
    shown = ScriptedEngine({"te": Bar(("the",))})
    assert measure(KeystrokeSavings(), shown, [message], typed)["keys3"] == 2 + 1 + 3


@settings(max_examples=50)
@given(st.lists(st.text("Iamus.' d-ont", max_size=20), max_size=3))
def test_a_bar_never_costs_a_perfect_typist_keys(toy_tokenizer: Any, messages: list[str]) -> None:
    tokenizer = toy_tokenizer(TOKENS)
    engine = PredictorEngine(tokenizer.random_network(1), tokenizer.as_tokenizer())
    counts = measure(KeystrokeSavings(), engine, messages, slots=(1, 3, 5))
    assert counts["chars"] == counts["keys0"] >= counts["keys1"] >= counts["keys3"] >= counts["keys5"]


def test_a_slot_stands_in_place_of_the_word_under_the_cursor_alone() -> None:
    stray = ScriptedEngine({"t ": Bar(("the",)), "t he": Bar(("the",))})  # taken, they would make "t the"
    counts = measure(KeystrokeSavings(), stray, ["the cat"], {"the": "t he"})
    assert counts["taken3"] == 0
    assert measure(Autocorrect(), stray, ["the cat"], {"the": "t he"})["shown"] == 0


def test_case_alone_is_no_error_where_case_is_ignored() -> None:
    recording = [ReplayedUnit("", "Monday", "monday"), ReplayedUnit("", "the", "the")]
    counts = measure(ReplayedAutocorrect(), ScriptedEngine({}), recording, fold_case=True)
    assert (counts["right"], counts["wrong"]) == (2, 0)


def test_mending_nothing_is_an_f_of_zero() -> None:
    documents = [{"right": 5, "wrong": 2, "mended": 0, "broken": 1, "rewritten": 1, "shown": 0}] * 3
    assert estimate(documents, Autocorrect().metrics(()), 0)["f"].value == 0


def test_autocorrect_counts_what_was_mended_and_what_was_broken() -> None:
    engine = ScriptedEngine(
        {
            "teh": Bar(("the",), Correction("teh", "the")),  # mended
            "the ct": Bar(("cat", "cut")),  # wrong, not mended, but shown
            "the cat st": Bar(("at",), Correction("st", "at")),  # wrong, made wrong otherwise
            "the cat sat on": Bar((), Correction("on", "in")),  # right, broken
            "the cat sat on its": Bar((), Correction("its", "it's")),  # right, broken, its letters kept
        }
    )
    typed = {"the": "teh", "cat": "ct", "sat": "st"}
    counts = measure(Autocorrect(), engine, ["the cat sat on its mat so it ran"], typed)
    assert counts == {"right": 6, "wrong": 3, "mended": 1, "broken": 2, "rewritten": 1, "shown": 2}
    figures = estimate([counts], Autocorrect().metrics(()), 0)
    assert figures["precision"].value == pytest.approx(100 / 3)
    assert figures["recall"].value == pytest.approx(100 / 3)
    assert figures["f"].value == pytest.approx(100 / 3)
    assert figures["damage"].value == pytest.approx(100 / 3)
    assert figures["rewritten"].value == pytest.approx(100 / 6)


def test_a_correction_may_reach_back_over_a_space_but_must_fit_the_text() -> None:
    bars = {
        "so t he": Bar((), Correction("t he", "the")),
        "so": Bar(("sol",)),
        "as": Bar((), Correction("no", "know")),
        "i": Bar(()),
    }
    results = {text: finished(ScriptedEngine(bars), text) for text in bars}
    assert results == {"so t he": "so the", "so": "so", "as": "as", "i": "i"}


def test_what_should_have_stayed_costs_one_backspace_where_the_keyboard_has_that() -> None:
    class Undoing(ScriptedEngine):
        def finished(self, text: str, taps: Taps = ()) -> str:
            self._before = text
            return f"{text}x" if text == "go" else text

        def undone(self) -> str:
            return self._before

    counts = measure(KeystrokeSavings(), Undoing({}), ["go on"], slots=(1,))
    assert counts["keys1"] - counts["keys0"] == 1


def test_recorded_typing_is_measured_after_its_own_context() -> None:
    engine = ScriptedEngine({"on teh": Bar((), Correction("teh", "the"))})
    recording = [ReplayedUnit("on ", "the", "teh", (None,) * 3), ReplayedUnit("", "a", "a", (None,))]
    counts = measure(ReplayedAutocorrect(), engine, recording)
    assert counts == {"right": 1, "wrong": 1, "mended": 1, "broken": 0, "rewritten": 0, "shown": 1}


def test_ghost_text_is_right_only_as_a_whole() -> None:
    # Before "a": wrong. Before "m": right, taken; 9 characters for one key, and two words that were not begun.
    engine = ScriptedEngine({"I ": Bar((), ghost="an apple"), "I a": Bar((), ghost="m at home")})
    counts = measure(Inline(), engine, ["I am at home."])
    assert (counts["keys"], counts["shown"], counts["right"]) == (5, 2, 1)
    assert (counts["chars_saved"], counts["words_saved"], counts["chars"], counts["words"]) == (8, 2, 13, 4)
    one_letter = ScriptedEngine({"": Bar((), ghost="o")})
    counts = measure(Inline(), one_letter, ["ok"])
    assert (counts["right"], counts["chars_saved"], counts["keys"]) == (1, 0, 2)


def test_every_keystroke_is_timed_and_its_model_calls_counted() -> None:
    engine = ScriptedEngine({"a": Bar((), num_model_calls=2), "ab": Bar((), num_model_calls=1)})
    ticks = iter(range(1000))
    found = time_keystrokes(engine, [["ab"], ["c", "d"]], 6, clock=lambda: next(ticks) / 1000)
    assert engine.asked == ["<field>", "", "a", "ab", "<field>", "", "c", "<field>", ""]
    assert found.durations_ms == pytest.approx((1.0,) * 6)
    assert found.model_calls == 3
