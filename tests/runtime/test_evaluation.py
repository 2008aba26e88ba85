"""The evaluation on a toy network, every number worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyboard_lm.errors import DataError
from keyboard_lm.evaluation.bits_per_byte import BitsPerByteEvaluator, MessageCost, text_cost
from keyboard_lm.evaluation.intervals import bootstrap
from keyboard_lm.evaluation.next_word import LineHits, NextWordEvaluator, next_word_accuracy
from keyboard_lm.evaluation.texts import read_documents, sample, text_files

TOKENS = ["I", "i", "am", "is", "us", "US", "don't", ".", "a.m.", "-"]
NETWORK = {
    "": {"I▁": 0.5, "am▁": 0.25},
    "I▁": {"us▁": 0.25, "US▁": 0.125, "is▁": 0.125, ".▁": 0.25, "am▁": 0.0625},
    "I▁ am▁": {"don't▁": 0.5, ".▁": 0.25},
    "I▁ am▁ .▁": {"i▁": 0.5},
    "i▁": {"us▁": 0.5},
}


@pytest.fixture
def next_word(toy_tokenizer: Any) -> NextWordEvaluator:
    tokenizer = toy_tokenizer(TOKENS)
    return NextWordEvaluator(tokenizer.network(NETWORK), tokenizer.as_tokenizer())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("I am don't", LineHits(3, (2, 3, 3), (2, 3, 3))),  # ranks 1, 3 (us and US are one word), 1
        ("I us", LineHits(2, (2, 2, 2), (2, 2, 2))),
        ("I US", LineHits(2, (2, 2, 2), (1, 1, 1))),  # offered as "us", its likelier form
        ("i us", LineHits(2, (2, 2, 2), (1, 1, 1))),  # "I" is offered; then 0.5 after "i"
        ("I am. I", LineHits(3, (2, 3, 3), (1, 2, 2))),  # the full stop is context; "i" is offered for "I"
        ("Am", LineHits(1, (0, 1, 1), (0, 1, 1))),  # a sentence's first capital aside
        ("zebra I", LineHits(2, (0, 0, 0), (0, 0, 0))),  # nothing is known after "zebra"
        ("at 3.5 a.m. naïve :D", LineHits(8, (0,) * 3, (0,) * 3)),  # at 3 5 a m na ve d
        ("... 😂 -", LineHits(0, (0,) * 3, (0,) * 3)),
        ("", LineHits(0, (0,) * 3, (0,) * 3)),
    ],
)
def test_hits_of_a_line(next_word: NextWordEvaluator, line: str, expected: LineHits) -> None:
    assert next_word.line(line) == expected


def test_the_context_of_a_line_is_that_line_alone(next_word: NextWordEvaluator) -> None:
    first = next_word.line("I am don't")
    next_word.line("i us")
    assert next_word.line("I am don't") == first


def test_accuracy_is_hits_over_words(toy_tokenizer: Any) -> None:
    lines = [LineHits(4, (1, 2, 3), (0, 1, 2)), LineHits(1, (0, 0, 0), (0, 0, 0)), LineHits(0, (0,) * 3, (0,) * 3)]
    accuracy = next_word_accuracy(lines, np.random.default_rng(0))
    assert accuracy is not None
    assert (accuracy.num_lines, accuracy.num_words) == (2, 5)
    assert [interval.rate for interval in accuracy.folded] == [0.2, 0.4, 0.6]
    assert [interval.rate for interval in accuracy.cased] == [0.0, 0.2, 0.4]
    assert next_word_accuracy(lines[2:], np.random.default_rng(0)) is None


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from(["I", "am", "us", "US", "don't", ".", "zebra"]), max_size=12).map(" ".join))
def test_a_short_cache_still_measures_every_word(toy_tokenizer: Any, line: str) -> None:
    tokenizer = toy_tokenizer(TOKENS)
    hits = NextWordEvaluator(tokenizer.random_network(1, capacity=30), tokenizer.as_tokenizer()).line(line)
    assert hits.num_words == sum(word != "." for word in line.split())


def costs(toy_tokenizer: Any, *messages: str, capacity: int = 4096) -> list[MessageCost]:
    tokenizer = toy_tokenizer(TOKENS)
    return BitsPerByteEvaluator(tokenizer.network(NETWORK, capacity), tokenizer.as_tokenizer()).document(messages)


def test_bits_of_messages_by_hand(toy_tokenizer: Any) -> None:
    # I 1/2, am 1/16, . 1/4, </s> 1/2: 1 + 4 + 2 + 1 bits; then the toy starts afresh: I 1/2, us 1/4, </s> 1
    found = costs(toy_tokenizer, "I am.", "I us")
    assert [(cost.num_bytes, cost.num_words) for cost in found] == [(len("I am.\n"), 2), (len("I us\n"), 2)]
    assert [cost.bits for cost in found] == pytest.approx([8, 3])


def test_blank_messages_cost_nothing_and_bytes_are_of_normalised_text(toy_tokenizer: Any) -> None:
    (cost,) = costs(toy_tokenizer, "", " \x00", "  I  am.\x07")
    assert (cost.num_bytes, cost.num_words) == (len("I am.\n"), 2)
    assert costs(toy_tokenizer) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text("Iamus.' -", max_size=30), max_size=6))
def test_chains_give_what_token_by_token_decoding_gives(toy_tokenizer: Any, messages: list[str]) -> None:
    tokenizer = toy_tokenizer(TOKENS)
    found = BitsPerByteEvaluator(tokenizer.random_network(2), tokenizer.as_tokenizer()).document(messages)
    network = tokenizer.random_network(2)
    logits = network.prefill([tokenizer.bos_id])
    expected = 0.0
    for message in messages:
        if tokens := tokenizer.form.encode(message).split():
            for piece_id in [*tokenizer.encode_tokens(tokens), tokenizer.eos_id]:
                expected += math.log2(np.exp(logits.astype(float)).sum()) - logits[piece_id] / math.log(2)
                logits = network.decode([piece_id])
    assert sum(cost.bits for cost in found) == pytest.approx(expected, rel=1e-5)


def test_a_short_cache_is_refilled_with_its_later_half(toy_tokenizer: Any) -> None:
    tokenizer = toy_tokenizer(TOKENS)
    network = tokenizer.random_network(1, capacity=16)
    windows: list[tuple[int, ...]] = []
    prefill = network.prefill

    def recorded(ids: list[int]) -> Any:
        windows.append(tuple(ids))
        return prefill(ids)

    network.prefill = recorded
    found = BitsPerByteEvaluator(network, tokenizer.as_tokenizer()).document(["I am us."] * 10)
    assert len(found) == 10
    assert windows[0] == (1,)
    assert all(window[0] == 1 and len(window) == 8 for window in windows[1:])


def test_perplexity_is_per_white_space_word(toy_tokenizer: Any) -> None:
    cost = text_cost(costs(toy_tokenizer, "I am.", "I us"), np.random.default_rng(0))
    assert cost is not None
    assert (cost.num_lines, cost.num_bytes, cost.num_words) == (2, 11, 4)
    assert cost.bits_per_byte.rate == pytest.approx(11 / 11)
    assert cost.word_perplexity == pytest.approx(2 ** (11 / 4))
    assert text_cost([], np.random.default_rng(0)) is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(5, 9)), min_size=1, max_size=20), st.integers(0, 5))
def test_an_interval_holds_its_rate_and_depends_only_on_the_seed(lines: list[tuple[int, int]], seed: int) -> None:
    numerators, denominators = zip(*lines, strict=True)
    first = bootstrap(numerators, denominators, np.random.default_rng(seed), 50)
    assert first == bootstrap(numerators, denominators, np.random.default_rng(seed), 50)
    assert first.low <= first.high
    assert first.rate == pytest.approx(sum(numerators) / sum(denominators))
    if len(set(lines)) == 1:
        assert first.low == pytest.approx(first.rate) == first.high


def test_an_interval_covers_what_the_normal_approximation_does() -> None:
    hits = [1.0] * 400 + [0.0] * 600
    interval = bootstrap(hits, [1.0] * 1000, np.random.default_rng(0))
    half = 1.96 * math.sqrt(0.4 * 0.6 / 1000)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)
    with pytest.raises(ValueError, match="denominator"):
        bootstrap([1.0], [0.0], np.random.default_rng(0))


def test_blank_lines_separate_documents_and_without_any_each_line_is_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\none\r\ntwo\n\n \nthree", encoding="utf-8-sig")
    assert read_documents(path) == [["one", "two"], ["three"]]
    path.write_text("one\ntwo\n")
    assert read_documents(path) == [["one"], ["two"]]


def test_a_sample_is_taken_from_all_over_the_file() -> None:
    lines = [[str(number)] for number in range(10)]
    assert sample(lines, 3) == [["0"], ["4"], ["8"]]
    assert sample(lines, 10) == sample(lines, 99) == lines
    assert sample([["a"] * 10, ["b"] * 10], 4) == [["a"] * 4]


def test_unusable_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        text_files(tmp_path / "none")
    with pytest.raises(DataError, match=r"no \.txt"):
        text_files(tmp_path)
    (tmp_path / "b.txt").write_text(" \n\n")
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    assert [path.name for path in text_files(tmp_path)] == ["a.txt", "b.txt"]
    with pytest.raises(DataError, match="not UTF-8 at byte 4"):
        read_documents(tmp_path / "a.txt")
    with pytest.raises(DataError, match="no text"):
        read_documents(tmp_path / "b.txt")
    with pytest.raises(DataError, match="cannot be read"):
        read_documents(tmp_path)
