"""Laws of tokenizer training: the sample is weighted, the proper nouns are learnt, the pieces keep words whole."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyboard_lm_training.corpus import tokenizer_training
from keyboard_lm_training.corpus.tokenizer_training import (
    MessageSample,
    TokenizerOptions,
    choose_proper_nouns,
    count_mid_sentence,
    train_pieces,
)

from keyboard_lm.errors import DataError
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.form import TextForm

OPTIONS = TokenizerOptions(vocab_size=500, min_proper_noun_count=3)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 50), st.integers(0, 3), st.integers(1, 50))
def test_a_sample_is_the_smallest_weighted_draws_however_it_is_offered(
    sizes: list[int], size: int, seed: int, at_once: int
) -> None:
    draws = np.random.default_rng(seed).exponential(size=sum(sizes))
    weights = np.repeat(np.arange(len(sizes)) + 1.0, sizes)
    expected = np.sort(np.argsort(draws / weights, kind="stable")[:size])
    sample = MessageSample(size, np.random.default_rng(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer_training, "_DRAWS_AT_ONCE", at_once)
        for number, count in enumerate(sizes):
            sample.add(count, number + 1)
    assert sample.numbers().tolist() == expected.tolist()


def test_a_message_is_drawn_in_proportion_to_its_weight() -> None:
    sample = MessageSample(4000, np.random.default_rng(0))
    for _ in range(100):
        sample.add(500, 0.5)
        sample.add(500, 2.0)
    is_heavy = sample.numbers() % 1000 >= 500
    assert is_heavy.sum() / (~is_heavy).sum() == pytest.approx(4, rel=0.15)


def test_messages_that_are_too_long_are_not_in_the_sample() -> None:
    sample = MessageSample(10, np.random.default_rng(0))
    sample.add(6, 1.0, [0, 1, 2, 3, 4])
    sample.add(3, 1.0, [1])
    assert sample.numbers().tolist() == [5, 6, 8]


def test_capitals_count_only_where_no_sentence_starts() -> None:
    counts = count_mid_sentence(["Went to Paris, Anna. Then Home? no WAY iPhone", "ask Mary's dad"])
    assert counts == {"to": 1, "Paris": 1, "Anna": 1, "Home": 1, "Mary's": 1, "dad": 1}


def test_a_proper_noun_is_capitalised_more_often_than_not() -> None:
    counts = Counter({"Mary": 4, "Mary's": 1, "May": 5, "may": 5, "Home": 2, "home": 90, "Rare": 2, "I": 50, "I'm": 9})
    assert choose_proper_nouns(counts, 100, 3) == ["Mary", "Mary's"]
    assert choose_proper_nouns(counts, 1, 3) == ["Mary"]


@pytest.fixture(scope="module")
def lines(sentences: list[str]) -> list[str]:
    return [*sentences, *["I'm sure you don't know Zelda, do you?", "ask Zelda, not me"] * 4]


@pytest.fixture(scope="module")
def tokenizer(lines: list[str]) -> Tokenizer:
    counts = count_mid_sentence(lines)
    nouns = choose_proper_nouns(counts, OPTIONS.max_proper_nouns, OPTIONS.min_proper_noun_count)
    form = TextForm(nouns)
    return Tokenizer(train_pieces([form.encode(line) for line in lines], OPTIONS), nouns)


def test_contractions_and_punctuation_are_pieces_that_end_words(tokenizer: Tokenizer) -> None:
    for piece in ("don't▁", "I'm▁", ",▁", ".▁", "?▁", "you▁"):
        assert piece in tokenizer.pieces
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.vocab_size) == (1, 2, 500)


def test_a_learnt_name_keeps_its_capital_at_the_start_of_a_sentence(tokenizer: Tokenizer) -> None:
    assert "Zelda" in tokenizer.form.proper_nouns
    assert tokenizer.form.encode("Zelda knows. You know") == "Zelda knows . you know"


def test_every_finished_form_ends_in_a_piece_that_ends_a_word(tokenizer: Tokenizer, lines: list[str]) -> None:
    forms = [tokenizer.form.encode(line) for line in [*lines, "zzz 漢字 😀!!", "über-naïve"]]
    for form, ids in zip(forms, tokenizer.encode_forms(forms), strict=True):
        assert tokenizer.pieces[ids[-1]].endswith("▁")
        assert tokenizer.decode_tokens(ids) == form.split()


def test_too_little_text_for_the_vocabulary_says_so() -> None:
    with pytest.raises(DataError, match="cannot be trained with 9000 pieces on 1 messages") as caught:
        train_pieces(["hello there"], replace(OPTIONS, vocab_size=9000))
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="on 0 messages"):
        train_pieces([], OPTIONS)
