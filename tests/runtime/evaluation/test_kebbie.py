"""The kebbie adapter, asked as kebbie 0.5.1 asks (kebbie/oracle.py, tester)."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator, Mapping
from multiprocessing import get_start_method
from pathlib import Path
from types import ModuleType

import pytest

from keyboard_lm.errors import ConfigError, KeyboardLMError
from keyboard_lm.evaluation import kebbie as adapter
from keyboard_lm.evaluation.engine import Bar, Correction, Taps
from keyboard_lm.evaluation.kebbie import KebbieCorrector, corrector
from keyboard_lm.evaluation.model_subject import ModelSubject
from keyboard_lm.touch.layout import Tap

Q, S, C = (16.0, 36.0), (64.0, 108.0), (128.0, 180.0)  # centres of keys in kebbie's layout en-US


class StubEngine:
    """Answers from a table and writes down what it was asked."""

    made = 0

    def __init__(self, bars: Mapping[str, Bar]) -> None:
        StubEngine.made += 1
        self.bars = bars
        self.fields: list[list[str]] = []
        self.taps: list[Taps] = []

    def start_field(self) -> None:
        self.fields.append([])

    def bar(self, text: str, num_slots: int, taps: Taps = ()) -> Bar:
        self.fields[-1].append(text)
        self.taps.append(taps)
        return self.bars.get(text, Bar(("the", "of", "and")[:num_slots]))


BARS = {
    "I saw teh": Bar(("ten", "tech", "the"), Correction("teh", "the")),
    "I saw t he": Bar(("he", "her"), Correction("t he", "the")),
    "I saw a bout": Bar(("boat",), Correction("a bout", "about")),
    "I am well-kno": Bar(("known", "knob")),
    "I saw rock-": Bar(("solid",)),
}


def make_stub() -> StubEngine:
    return StubEngine(BARS)


@pytest.fixture
def stub() -> StubEngine:
    return make_stub()


@pytest.fixture
def asked(stub: StubEngine, monkeypatch: pytest.MonkeyPatch) -> KebbieCorrector:
    asked = KebbieCorrector(make_stub)
    monkeypatch.setattr(asked, "_make_engine", lambda: stub)
    return asked


@pytest.mark.parametrize(
    ("context", "word", "candidates"),
    [
        ("", "I", ["I", "the", "of", "and"]),
        ("I saw ", "the", ["the", "of", "and"]),  # it stays, and is not said twice
        ("I saw ", "teh", ["the", "ten", "tech"]),
        ("I saw ", "t he", ["the", "t he", "t her"]),  # a tap slipped to the space bar; slots replace "he" alone
        ("I saw a ", "bout", ["I saw about", "boat"]),  # kebbie's contexts are right: to change one is never right
        ("I am ", "well-kno", ["well-kno", "well-known", "well-knob"]),
    ],
)
def test_the_first_correction_is_what_a_space_leaves(
    asked: KebbieCorrector, context: str, word: str, candidates: list[str]
) -> None:
    assert asked.auto_correct(context, [None] * len(word), word) == candidates


def test_completions_are_all_of_what_was_typed(asked: KebbieCorrector) -> None:
    assert asked.auto_complete("I am ", [None] * 8, "well-kno") == ["well-known", "well-knob"]
    assert asked.auto_complete("I saw ", [None] * 5, "rock-") == ["rock-solid"]
    assert asked.auto_complete("", [S], "s") == ["the", "of", "and"]


def test_next_words_are_the_slots_after_the_space(asked: KebbieCorrector, stub: StubEngine) -> None:
    assert asked.predict_next_word("I saw ") == ["the", "of", "and"]
    assert stub.fields == [["I saw "]]


def test_no_swipe_is_resolved(asked: KebbieCorrector) -> None:
    assert asked.resolve_swipe("I saw ", [Q, S]) == []


def test_every_sentence_is_a_field_of_its_own(asked: KebbieCorrector, stub: StubEngine) -> None:
    for sentence in ("I saw", "I", "I"):
        context = ""
        for word in sentence.split():
            asked.auto_correct(context, [None] * len(word), word)
            context += f"{word} "
    assert stub.fields == [["I", "I saw"], ["I"], ["I"]]


@pytest.mark.parametrize(
    ("keystrokes", "word", "taps"),
    [
        ([Q, None, C], "qSc", (Tap(0.5, 0.5), None, Tap(4.0, 2.5))),  # capitals are not in the letter layer
        ([S, None, Q, C], "s-qc", (Tap(0.5, 0.5), Tap(4.0, 2.5))),  # of the word under the cursor alone
        ([Q, None, None], "q-S", ()),
        ([Q], "qs", ()),  # not one for each character: no telling which is which
    ],
)
def test_keystrokes_become_taps(
    asked: KebbieCorrector, stub: StubEngine, keystrokes: adapter.Keystrokes, word: str, taps: Taps
) -> None:
    asked.auto_complete("", keystrokes, word)
    assert stub.taps == [taps]


def test_without_a_key_size_there_are_no_taps(stub: StubEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = KebbieCorrector(make_stub, key_size=None)
    monkeypatch.setattr(asked, "_make_engine", lambda: stub)
    asked.auto_complete("", [Q], "q")
    assert stub.taps == [()]


def test_a_copy_in_another_process_makes_an_engine_of_its_own_when_asked() -> None:
    made = StubEngine.made
    first = KebbieCorrector(make_stub)
    first.predict_next_word("I ")
    second = pickle.loads(pickle.dumps(first))
    assert StubEngine.made == made + 1
    assert second.predict_next_word("I ") == second.predict_next_word("I am ") == ["the", "of", "and"]
    assert StubEngine.made == made + 2


def test_what_makes_the_engine_must_be_picklable() -> None:
    with pytest.raises(ConfigError, match="top level"):
        KebbieCorrector(lambda: make_stub())


def test_a_missing_model_is_an_error_of_the_first_question(tmp_path: Path) -> None:
    # In the initializer of kebbie's pool it would be one without end.
    asked = KebbieCorrector(ModelSubject(tmp_path / "none", "onnx").engine)
    with pytest.raises(KeyboardLMError):
        asked.predict_next_word("I ")


def test_a_checkpoint_answers(tiny_checkpoint: Path) -> None:
    asked = pickle.loads(pickle.dumps(KebbieCorrector(ModelSubject(tiny_checkpoint, "onnx").engine)))
    assert len(asked.predict_next_word("I ")) == 3
    assert asked.auto_correct("I ", [None] * 3, "lik")[0] == "lik"  # a model alone corrects nothing
    assert all(word.startswith("lik") for word in asked.auto_complete("I ", [None] * 3, "lik"))


@pytest.fixture
def fresh_class() -> Iterator[None]:
    adapter._kebbie_class.cache_clear()
    yield
    adapter._kebbie_class.cache_clear()


@pytest.mark.usefixtures("fresh_class")
def test_without_kebbie_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kebbie", None)
    with pytest.raises(KeyboardLMError, match="run: pip install kebbie") as raised:
        corrector(make_stub)
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("fresh_class")
def test_a_corrector_and_its_copies_are_kebbies(monkeypatch: pytest.MonkeyPatch) -> None:
    kebbie = ModuleType("kebbie")
    kebbie.__dict__["Corrector"] = base = type("Corrector", (), {"auto_correct": None, "profiled_auto_correct": 1})
    monkeypatch.setitem(sys.modules, "kebbie", kebbie)
    for asked in (corrector(make_stub), pickle.loads(pickle.dumps(corrector(make_stub, key_size=None)))):
        assert isinstance(asked, base)
        assert isinstance(asked, KebbieCorrector)
        assert asked.auto_correct("", [None], "I")[0] == "I"
    assert asked._key_size is None


@pytest.mark.usefixtures("fresh_class")
@pytest.mark.skipif(get_start_method() != "fork", reason="kebbie's processes would not see the list of typos")
def test_kebbie_itself_runs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kebbie = pytest.importorskip("kebbie")
    monkeypatch.setattr(kebbie.noise_model, "CACHE_DIR", str(tmp_path))
    (tmp_path / "en.json").write_text("{}")  # no list of common typos, so that nothing is downloaded
    results = kebbie.evaluate(corrector(make_stub), dataset={"texts": ["Is the end of the day", "of the"]}, n_proc=1)
    assert results["next_word_prediction"]["score"] == {"accuracy": 0.5, "top3_accuracy": 0.67, "n": 6}
    assert results["auto_correction"]["score"]["n"] == 8
