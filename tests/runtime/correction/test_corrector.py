"""Tests for keyboard_lm.correction.corrector."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from keyboard_lm.backends.protocol import Logits
from keyboard_lm.correction.candidates import Candidate, CandidateSearch
from keyboard_lm.correction.corrector import Corrector
from keyboard_lm.correction.gate import FEATURES
from keyboard_lm.correction.options import CorrectorOptions
from keyboard_lm.decoding.context import Boundary, ContextCache
from keyboard_lm.errors import ConfigError
from keyboard_lm.text.form import TypedText
from keyboard_lm.touch.channel import Channel
from keyboard_lm.touch.layout import Tap, load_layout
from keyboard_lm.words.letter_model import LetterModel
from keyboard_lm.words.lexicon import Entry, build_lexicon

_FREQUENCIES = {
    "the": 222, "a": 208, "I": 196, "in": 210, "form": 130, "from": 190, "he": 190, "lot": 140, "I'm": 180,
    "London": 140, "then": 150, "tech": 90, "hello": 120, "see": 140, "cat": 120, "it's": 170, "its": 150,
}  # fmt: skip
_OFFENSIVE, _MISWRITTEN = ("shit",), ("im", "alot")
_WORDS = [
    *(Entry(text, frequency) for text, frequency in _FREQUENCIES.items()),
    *(Entry(text, 100, is_offensive=True) for text in _OFFENSIVE),
    *(Entry(text, 0, is_miswritten=True) for text in _MISWRITTEN),
    Entry("bdgjkpquvwxyz-", 1),
]
_PIECES = ["the", "a", "I", "in", "form", "from", "he", "lot", "I'm", "London", "shit", "it's", "its", "im", "hello"]
_PROBABILITIES = {
    "the▁": 0.2, "a▁": 0.1, "I▁": 0.1, "in▁": 0.1, "form▁": 0.01, "from▁": 0.02, "he▁": 0.02, "lot▁": 0.02,
    "I'm▁": 0.05, "London▁": 0.01, "shit▁": 0.1, "it's▁": 0.02, "its▁": 0.01, "im▁": 0.02, "hello▁": 0.01,
}  # fmt: skip


class _Setup:
    """A corrector over a network that says the same after every context."""

    def __init__(self, tokenizer: Any, backend_type: Any, probabilities: Mapping[str, float], **options: Any) -> None:
        row = np.full(len(tokenizer.pieces), 1e-3)  # letters, and the word end: 1e-6 for a word of one letter
        for piece, probability in probabilities.items():
            row[tokenizer.pieces.index(piece)] = probability
        row[0] = 1e-9
        logits: Logits = np.log(row / row.sum()).astype(np.float32)
        self.backend = backend_type(lambda ids: logits, len(row))
        self._cache = ContextCache(self.backend)
        self._tokenizer = tokenizer
        protected = options.pop("protected", ())
        lexicon = build_lexicon(_WORDS)
        search = CandidateSearch(lexicon, Channel(load_layout(), lexicon.alphabet))
        self.corrector = Corrector(
            search, tokenizer, CorrectorOptions(**options), is_protected=lambda word: word in protected
        )

    def boundary(self, typed: TypedText) -> Boundary:
        return self._cache.at((self._tokenizer.bos_id, *self._tokenizer.encode_tokens(typed.messages[-1])))

    def after_space(self, text: str, *taps: Tap | None) -> str:
        best = self.corrector.judge(text, self.boundary, taps).correction
        if best is None:
            return text
        assert text.endswith(best.replaced)
        return text[: len(text) - len(best.replaced)] + best.text


@pytest.fixture
def make(toy_tokenizer: Any, toy_backend: Any) -> Any:
    def make(probabilities: Mapping[str, float] = _PROBABILITIES, **options: Any) -> _Setup:
        return _Setup(toy_tokenizer(_PIECES, ["London"]), toy_backend, probabilities, **options)

    return make


@pytest.mark.parametrize(
    ("typed", "corrected"),
    [
        ("see teh", "see the"),
        ("Teh", "The"),
        ("teh", "the"),
        ("see hte", "see the"),
        ("see ths", "see the"),
        ("see im", "see I'm"),
        ("i", "I"),
        ("see i", "see I"),
        ("in london", "in London"),
        ("In london", "In London"),
        ("see inthe", "see in the"),
        ("see alot", "see a lot"),
        ("see t he", "see the"),
        ("(teh", "(the"),
        ("see-teh", "see-the"),
    ],
)
def test_errors_are_mended(make: Any, typed: str, corrected: str) -> None:
    assert make().after_space(typed) == corrected


@pytest.mark.parametrize(
    "typed",
    [
        "see the", "see form", "London", "see London", "see a", "see I", "see he", "see it's",  # known
        "TEH", "see TEH", "see tEh", "teH",  # capitals throughout or inside
        "THE \u0130\u0130",  # capitals without a small letter of one character
        "teh1", "2teh", "3rd",  # digits
        "www.teh", "teh@", "me@teh", "http://teh", "a/teh", "#teh", "teh.teh",  # addresses
        "see x", "see q",  # single letters
        "see the ", "", " ", "...", "see teh'", "teh?",  # no word before the cursor, or one not finished
    ],
)  # fmt: skip
def test_what_is_right_or_protected_stays(make: Any, typed: str) -> None:
    assert make().after_space(typed) == typed


def test_no_offensive_word_is_made_however_probable(make: Any) -> None:
    setup = make({**_PROBABILITIES, "shit▁": 0.5})
    for typed in ("see shti", "see shjt", "see sh it", "see shiit", "Shti"):
        verdict = setup.corrector.judge(typed, setup.boundary)
        assert all("shit" not in each.text.lower() for each in verdict.hypotheses)


def test_an_offensive_word_that_was_typed_stays(make: Any) -> None:
    assert make().after_space("see shit") == "see shit"


def test_the_literal_stays_when_the_ratio_is_small(make: Any) -> None:
    assert make(unknown_ratio=1e9, known_ratio=1e9).after_space("see teh") == "see teh"


def test_a_known_word_needs_a_larger_ratio(make: Any) -> None:
    likely = {**_PROBABILITIES, "from▁": 0.3, "form▁": 0.0001}
    assert make(likely, known_ratio=0.1).after_space("see form") == "see from"
    assert make(likely, known_ratio=100.0).after_space("see form") == "see form"
    assert make(_PROBABILITIES, known_ratio=0.5).after_space("see form") == "see form"


def test_words_of_the_user_stay(make: Any) -> None:
    assert make(protected=("teh",)).after_space("see teh") == "see teh"


def test_taps_between_keys_decide_between_words(make: Any) -> None:
    setup = make({**_PROBABILITIES, "in▁": 0.01, "its▁": 0.01})
    layout = load_layout()
    near = [layout.centre(key) for key in "thr"]
    assert near[2] is not None
    towards_e = (near[0], near[1], Tap(near[2].x - 0.45, near[2].y))
    assert setup.after_space("see thr", *towards_e) == "see the"
    (best, *_), (sure, *_) = setup.corrector.judge("see thr", setup.boundary, towards_e).hypotheses, (
        setup.corrector.judge("see thr", setup.boundary, near).hypotheses
    )  # fmt: skip
    assert best.log_joint > sure.log_joint


def test_posteriors_sum_to_one_and_fall(make: Any) -> None:
    setup = make()
    found = setup.corrector.judge("see teh", setup.boundary).hypotheses
    shares = [each.posterior for each in found]
    assert sum(shares) == pytest.approx(1.0)
    assert shares == sorted(shares, reverse=True)
    assert any(each.is_literal for each in found)


def test_the_posterior_is_that_of_the_products(make: Any) -> None:
    setup = make(frequency_mix=0.0)
    found = {each.text: each for each in setup.corrector.judge("see teh", setup.boundary).hypotheses}
    total = sum(_PROBABILITIES.values()) + 1e-3 * (len(setup._tokenizer.pieces) - len(_PROBABILITIES) - 1)
    letters = LetterModel(build_lexicon(_WORDS)).log_probability("teh")
    literal = np.log(setup.corrector.options.unknown_rate) + letters  # whatever the network has seen
    corrected = np.log(_PROBABILITIES["the▁"] / total * 0.003)
    assert found["teh"].log_joint == pytest.approx(literal, abs=1e-3)
    assert found["the"].log_joint == pytest.approx(corrected, abs=1e-3)


def test_one_judgement_takes_one_call_besides_the_context(make: Any) -> None:
    setup = make()
    setup.corrector.judge("see teh", setup.boundary)
    assert len(setup.backend.tree_sizes) <= 1


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown_ratio.*frequency_mix"):
        CorrectorOptions(unknown_ratio=0, frequency_mix=1)


class _Following(_Setup):
    """A network that gives a word to `after` another one."""

    def __init__(self, tokenizer: Any, backend_type: Any, after: Mapping[str, str], **options: Any) -> None:
        super().__init__(tokenizer, backend_type, {**_PROBABILITIES, "London▁": 1e-4}, **options)
        plain = self.backend._next_logits(())

        def next_logits(ids: tuple[int, ...]) -> Logits:
            logits = plain.copy()
            last = tokenizer.pieces[ids[-1]]
            if last in after:
                logits[tokenizer.pieces.index(after[last])] += 12.0
            return logits

        self.backend._next_logits = next_logits


def test_the_next_word_can_show_what_the_one_before_was(toy_tokenizer: Any, toy_backend: Any) -> None:
    tokenizer = toy_tokenizer(_PIECES, ["London"])
    setup = _Following(tokenizer, toy_backend, {"from▁": "London▁"}, reconsider_margin=1e3)
    assert setup.after_space("see form") == "see form"  # a word, and not improbable enough
    assert setup.after_space("see form London") == "see from London"
    assert setup.after_space("see form the") == "see form the"
    never = _Following(tokenizer, toy_backend, {"from▁": "London▁"}, reconsider_ratio=1e300)
    never.after_space("see form")
    assert never.after_space("see form London") == "see form London"


def test_a_word_that_was_not_judged_in_its_turn_is_not_thought_of_again(toy_tokenizer: Any, toy_backend: Any) -> None:
    setup = _Following(toy_tokenizer(_PIECES, ["London"]), toy_backend, {"from▁": "London▁"})
    assert setup.after_space("see form London") == "see form London"
    setup.after_space("see form")
    setup.corrector.forget()
    assert setup.after_space("see form London") == "see form London"


def test_without_the_network_the_frequencies_decide(make: Any) -> None:
    setup = make()
    setup.corrector._boundary_of = lambda typed: None
    assert setup.after_space("see teh") == "see the"
    assert setup.after_space("see form") == "see form"
    assert setup.after_space("see xqzv") == "see xqzv"


def test_more_words_can_be_meant(make: Any) -> None:
    def prior(probability: float, word: str) -> float:
        return 0.1 if word == "Xiangyu" else probability

    def more(typed: str, taps: Sequence[Tap | None]) -> list[Candidate]:
        return [Candidate(0, "Xiangyu", -3.0, -math.inf)]

    setup = make()
    best = setup.corrector.judge("see xiangyi", setup.boundary, (), prior, more).correction
    assert best is not None
    assert best.text == "Xiangyu"


@pytest.mark.parametrize(
    "typed",
    ["SEE LONDON", "SEE THE", "SEE I", "I LONDON", "see London", "SEE FORM", "SEE IM", "IN IT'S", "i", "see im"],
)
def test_no_word_is_corrected_to_itself(make: Any, typed: str) -> None:
    setup = make()
    made = setup.corrector.judge(typed, setup.boundary).correction
    assert made is None or made.text != made.replaced


def test_capitals_throughout_are_mended_behind_a_word_of_them_and_not_behind_a_letter(make: Any) -> None:
    setup = make()
    assert setup.after_space("SEE TEH") == "SEE THE"
    for start in ("", "I ", "A ", "see ", "3 ", "SEE\n", "- "):
        assert setup.after_space(f"{start}TEH") == f"{start}TEH"


@pytest.mark.parametrize(
    ("text", "is_capitalised", "has_context"),
    [("teh", False, False), ("Teh", False, False), ("see teh", False, True), ("see Teh", True, True)],
)
def test_evidence_says_where_letters_stand(make: Any, text: str, is_capitalised: bool, has_context: bool) -> None:
    setup = make()
    typed = setup.corrector._form.split_typed(text)
    found = [each for each in setup.corrector.judge(text, setup.boundary).hypotheses if not each.is_literal]
    evidence = setup.corrector.evidence(typed.partial, found, typed)
    assert (evidence.is_capitalised, evidence.is_name, evidence.has_context) == (
        is_capitalised, is_capitalised, has_context,
    )  # fmt: skip
    assert evidence.log_prior + evidence.log_channel == pytest.approx(found[0].log_joint)
    assert evidence.num_letters == 3
    assert len(evidence.features()) == len(FEATURES)
