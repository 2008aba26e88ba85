"""What the bar of the bundled model holds, behaviour by behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import get_args

import pytest

from keyboard_lm.backends import load_backend
from keyboard_lm.device.budget import CallCost
from keyboard_lm.device.turn import Turn, no_calls
from keyboard_lm.keyboard.bar import Answer, Request, Slot
from keyboard_lm.keyboard.events import FieldStarted, Typed
from keyboard_lm.keyboard.language import Language, load_language
from keyboard_lm.keyboard.offers import Source
from keyboard_lm.keyboard.own_words import OwnWords
from keyboard_lm.keyboard.session import Session, SessionOptions
from keyboard_lm.keyboard.suggester import Suggester, SuggesterOptions
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.personal import PersonalStore
from keyboard_lm.touch.layout import Tap, load_layout

CHECKPOINT = Checkpoint.load(bundled_folder())
LANGUAGE = load_language()


def make(store: PersonalStore | None = None, options: SuggesterOptions | None = None, **others: object) -> Suggester:
    network = load_backend("onnx", CHECKPOINT, num_threads=1)
    language = replace(LANGUAGE, **others)  # type: ignore[arg-type]
    return Suggester(network, CHECKPOINT.tokenizer, language, load_layout(), store, options)


@pytest.fixture(scope="module")
def suggester() -> Suggester:
    return make()


def ask(suggester: Suggester, text: str, taps: Sequence[Tap | None] = ()) -> Answer:
    suggester.forget()
    return suggester.answer(Request(text, taps))


def words(answer: Answer) -> list[str]:
    return [slot.text for slot in answer.slots]


def test_after_a_space_the_bar_holds_next_words(suggester: Suggester) -> None:
    answer = ask(suggester, "I am going ")
    assert answer.slots[0].text == "to"
    assert {slot.kind for slot in answer.slots} == {"next_word"}
    assert {slot.replaced for slot in answer.slots} == {""}


def test_the_first_word_has_a_capital(suggester: Suggester) -> None:
    assert all(word[0].isupper() for word in words(ask(suggester, "")))
    assert words(suggester.answer(Request("I am going ", shift="lock")))[0] == "TO"
    assert words(suggester.answer(Request("I am going ", shift="on")))[0] == "To"
    assert words(suggester.answer(Request("", shift="off")))[1].islower()


def test_letters_are_completed(suggester: Suggester) -> None:
    assert words(ask(suggester, "thank you so m"))[0] == "much"
    assert words(ask(suggester, "THANK YOU SO MU"))[0].isupper()
    assert words(ask(suggester, "thank you so Mu"))[0].istitle()


def test_what_a_space_would_replace_keeps_a_slot(suggester: Suggester) -> None:
    answer = ask(suggester, "what is teh")
    assert answer.correction is not None
    assert (answer.correction.replaced, answer.correction.text) == ("teh", "the")
    assert [slot.kind for slot in answer.slots].count("literal") == 1
    assert "the" in words(answer)[:2]


def test_the_literal_takes_no_slot_while_longer_words_are_as_likely() -> None:
    eager, patient = (make(options=SuggesterOptions(least_share=share)) for share in (0.0, 0.2))
    num_longer = 0
    for text in ("looking fo", "what is teh", "i", "we dont", "that is a grea", "the hosp", "see you tomo"):
        early, late = ask(eager, text), ask(patient, text)
        assert late.correction == early.correction  # who types a space has finished the word
        if late.correction is not None:
            is_literal_shown = "literal" in {slot.kind for slot in late.slots}
            assert is_literal_shown or late.correction.text in {slot.text for slot in late.slots}
            num_longer += not is_literal_shown
    assert num_longer
    assert "literal" in {slot.kind for slot in ask(patient, "we dont").slots}  # an apostrophe is put in all the same


def test_a_beginning_that_was_mistyped_is_completed(suggester: Suggester) -> None:
    assert "tomorrow" in words(ask(suggester, "see you tonor"))


def test_a_word_that_is_likely_finished_is_followed_by_the_next(suggester: Suggester) -> None:
    answer = ask(suggester, "I am going")
    assert [slot.kind for slot in answer.slots].count("next_word") >= 1
    assert answer.ghost is not None
    assert answer.ghost.text.startswith(" to")


@pytest.mark.parametrize("text", ["I am going", "thank you", "how are you", "I want to go", "looking forward"])
def test_a_ghost_is_no_more_probable_than_the_word_that_it_begins_with(suggester: Suggester, text: str) -> None:
    answer = ask(suggester, text)
    if answer.ghost is not None and answer.ghost.text.startswith(" "):
        first = answer.ghost.text.split()[0]
        [slot] = [slot for slot in answer.slots if (slot.kind, slot.text) == ("next_word", first)]
        assert answer.ghost.probability <= slot.probability + 1e-9


@pytest.mark.parametrize("text", ["we are in", "are you on", "look for", "the one", "I see"])
def test_before_the_space_a_next_word_has_only_the_share_of_the_finished_word(suggester: Suggester, text: str) -> None:
    behind = {slot.text: slot.probability for slot in ask(suggester, f"{text} ").slots}
    before = ask(suggester, text)
    following = [slot for slot in before.slots if slot.kind == "next_word" and slot.text in behind]
    assert following
    for slot in following:
        assert 0 < slot.probability < 0.98 * behind[slot.text]  # the letters may go on: "in" to "into"


def test_ghost_text_goes_on_exactly_where_the_cursor_is(suggester: Suggester) -> None:
    ghost = ask(suggester, "I am looking forw").ghost
    assert ghost is None or ghost.text.startswith("ard")
    assert ask(suggester, "thank you so m").ghost is not None


def test_a_learned_name_is_completed_protected_and_corrected_to() -> None:
    store = PersonalStore.open(None)
    store.learn(["Siobhan"], ["to"], "accepted")
    suggester = make(store)
    assert "Siobhan" in words(ask(suggester, "talk to Siob"))
    assert ask(suggester, "talk to Siobhan").correction is None
    mended = ask(suggester, "talk to siobhsn").correction
    assert mended is not None
    assert mended.text == "Siobhan"


def test_a_learned_word_is_not_offered_in_the_capitals_of_an_offensive_one() -> None:
    store = PersonalStore.open(None)
    for _ in range(5):
        store.learn(["rn"], ["busy"], "accepted")
    suggester = make(store)
    assert not suggester.is_offensive("rn")
    assert suggester.is_offensive("RN")
    assert "rn" in words(ask(suggester, "busy r"))
    assert not {"Rn", "RN"} & set(words(ask(suggester, "busy R")))


def test_own_words_follow_what_is_learned_and_forgotten() -> None:
    store = PersonalStore.open(None)
    own = OwnWords(store, LANGUAGE, load_layout())
    assert own.find("xiangyi") == []
    store.learn(["Xiangyu", "the"], (), "accepted")
    assert [each.text for each in own.find("xiangyi")] == ["Xiangyu"]
    assert own.find("teh") == []  # a word of the lexicon is left to it
    store.forget("xiangyu")
    assert own.find("xiangyi") == []
    store.learn(["Xiangyu"], (), "accepted")
    assert [each.text for each in own.find("xiangyi")] == ["Xiangyu"]
    store.forget("xiangyu")  # as many words as before, but another
    store.learn(["Oyelaran"], (), "accepted")
    assert own.find("xiangyi") == []
    assert [each.text for each in own.find("oyelarsn")] == ["Oyelaran"]


def test_a_correction_that_was_taken_back_is_not_offered_again() -> None:
    store = PersonalStore.open(None)
    store.block("teh", "the")
    assert ask(make(store), "what is teh").correction is None


def test_emoji_take_the_last_slot_behind_a_finished_word() -> None:
    class Pizza:
        def find(self, word: str, limit: int = 1) -> tuple[str, ...]:
            return ("\U0001f355",) if word == "pizza" else ()

    language_parts: dict[str, object] = {"emoji": Pizza()}
    answer = ask(make(None, None, **language_parts), "I love pizza")
    assert answer.slots[-1] == Slot("\U0001f355", "emoji", 0.0, "pizza")
    off = make(None, SuggesterOptions(emoji=False), **language_parts)
    assert all(slot.kind != "emoji" for slot in ask(off, "I love pizza").slots)


def test_without_a_call_the_lexicon_and_the_writer_answer() -> None:
    store = PersonalStore.open(None)
    store.learn(["thermocline"], (), "accepted")
    suggester = make(store)
    answer = suggester.answer(Request("hi the"), Turn(CallCost(1.0), 0.0))
    assert (answer.stage, answer.num_model_calls) == ("personal_and_lexicon", 0)
    assert {"there", "their", "they"} & set(words(answer))


@pytest.mark.parametrize(
    "text",
    ["I am going ", "what is teh", "thank you so m", "I am going", "", "see you tonor", "I love pizza", "he is omw",
     "you can have al",
     "i", "dont", "see you  at", "thi sis", "i ma", "10pm", "the q", "mary", "I want a teh ibm"],
)  # fmt: skip
def test_what_is_shown_is_what_the_explanation_says_is_shown(text: str) -> None:
    store = PersonalStore.open(None)
    store.shortcuts.add([("omw", "on my way")])
    suggester = make(store)
    slots = ask(suggester, text).slots
    suggester.forget()
    rows = suggester.explain(Request(text))
    shown = [(offer.text, offer.replaced) for offer, fate in rows if fate == "shown"]
    assert sorted(shown) == sorted((slot.text, slot.replaced) for slot in slots)
    worth = [offer.log_joint for offer, _ in rows]
    assert worth == sorted(worth, reverse=True)


def test_a_name_that_begins_a_sentence_is_learned_with_its_capital() -> None:
    session = Session.open(options=SessionOptions(num_threads=1), clock=count(step=3600).__next__)
    for _ in range(6):
        session.apply(FieldStarted())
        for char in "Mary is here.":
            session.apply(Typed(char))
    session.apply(FieldStarted())
    assert "Mary" in session.personal.words(10)
    assert "mary" not in session.personal.words(10)


def test_a_deadline_that_has_passed_leaves_the_network_alone() -> None:
    session = Session.open(options=SessionOptions(num_threads=1), timer=lambda: 100.0)
    session.apply(Typed("h"))
    assert session.suggest(deadline=100.0).num_model_calls == 0
    assert session.suggest(deadline=100.1).num_model_calls > 0


def test_the_language_is_data() -> None:
    assert isinstance(LANGUAGE, Language)
    assert "i'm" in LANGUAGE.editor.capital_words


@pytest.mark.parametrize("text", ["", "hi ", "hi the", "I am go", "what is teh"])
def test_without_the_network_probabilities_are_still_probabilities(suggester: Suggester, text: str) -> None:
    suggester.forget()
    answer = suggester.answer(Request(text), no_calls())
    assert answer.slots
    assert all(0 <= slot.probability <= 1 for slot in answer.slots)
    assert sum(slot.probability for slot in answer.slots) <= 1 + 1e-9


@pytest.mark.parametrize("text", ["it is a thousan", "that is wonderfu", "see you tomorro"])
def test_a_word_that_goes_on_with_the_letters_is_a_completion_wherever_it_comes_from(
    suggester: Suggester, text: str
) -> None:
    typed = text.split()[-1]
    longer = [
        row.offer
        for row in suggester.explain(Request(text))
        if row.offer.text.startswith(typed) and row.offer.text != typed
    ]
    assert {"corrector"} < {offer.source for offer in longer}
    assert {offer.kind for offer in longer} == {"completion"}


def test_every_offer_says_where_it_came_from(suggester: Suggester) -> None:
    found = {
        row.offer.source
        for text in ("I am going", "see you tonor", "hi ", "q")
        for row in suggester.explain(Request(text))
    }
    assert found <= set(get_args(Source))
    assert {"network", "corrector", "mistyped", "continuation"} <= found


def test_where_the_finger_came_down_decides_between_beginnings() -> None:
    # "tonor" for "tomor...": the third letter between n and m.
    suggester, layout = make(), load_layout()

    def log_channel(third: str) -> float:
        taps = [layout.centre(letter) for letter in f"to{third}or"]
        rows = suggester.explain(Request("see you tonor", taps))
        return max(
            row.offer.log_channel for row in rows if row.offer.text == "tomorrow" and row.offer.source == "mistyped"
        )

    assert log_channel("m") > log_channel("n") + 0.5
