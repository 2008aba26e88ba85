"""The cost of a text under a toy network, every bit worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyboard_lm.evaluation.estimate import estimate
from keyboard_lm.evaluation.language_model import LanguageModelScorer, MessageCost
from keyboard_lm.evaluation.language_model_task import LanguageModel
from keyboard_lm.evaluation.predictor_engine import PredictorEngine
from keyboard_lm.evaluation.task import Subject

TOKENS = ["I", "i", "am", "is", "us", "US", "don't", ".", "a.m.", "-"]
NETWORK = {
    "": {"I▁": 0.5, "am▁": 0.25},
    "I▁": {"us▁": 0.25, "is▁": 0.125, ".▁": 0.25, "am▁": 0.0625},
    "I▁ am▁": {".▁": 0.25},
    "I▁ am▁ .▁": {"i▁": 0.5},
}


def costs(toy_tokenizer: Any, *messages: str, capacity: int = 4096) -> list[MessageCost]:
    tokenizer = toy_tokenizer(TOKENS)
    return LanguageModelScorer(tokenizer.network(NETWORK, capacity), tokenizer.as_tokenizer()).document(messages)


def test_bits_of_messages_by_hand(toy_tokenizer: Any) -> None:
    # I 1/2, am 1/16, . 1/4, </s> 1/2: 1 + 4 + 2 + 1 bits; then the toy starts afresh: I 1/2, us 1/4, </s> 1
    found = costs(toy_tokenizer, "I am.", "I us")
    assert [(cost.num_bytes, cost.num_words) for cost in found] == [(len("I am.\n"), 2), (len("I us\n"), 2)]
    assert [cost.bits for cost in found] == pytest.approx([8, 3])


def test_blank_messages_cost_nothing_and_bytes_are_of_normalised_text(toy_tokenizer: Any) -> None:
    (cost,) = costs(toy_tokenizer, "", " \x00", "  I  am.\x07")
    assert (cost.num_bytes, cost.num_words) == (len("I am.\n"), 2)
    assert costs(toy_tokenizer) == []


@settings(max_examples=30)
@given(st.lists(st.text("Iamus.' -", max_size=30), max_size=6))
def test_chains_give_what_token_by_token_decoding_gives(toy_tokenizer: Any, messages: list[str]) -> None:
    tokenizer = toy_tokenizer(TOKENS)
    found = LanguageModelScorer(tokenizer.random_network(2), tokenizer.as_tokenizer()).document(messages)
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
    found = LanguageModelScorer(network, tokenizer.as_tokenizer()).document(["I am us."] * 10)
    assert len(found) == 10
    assert windows[0] == (1,)
    assert all(window[0] == 1 and len(window) == 8 for window in windows[1:])


def test_figures_are_bits_over_bytes_and_perplexity_over_white_space_words(toy_tokenizer: Any) -> None:
    tokenizer = toy_tokenizer(TOKENS)
    network = tokenizer.network(NETWORK)
    scorer = LanguageModelScorer(network, tokenizer.as_tokenizer())
    task = LanguageModel()
    subject = Subject(PredictorEngine(network, tokenizer.as_tokenizer()), scorer)
    counts = task.measure(subject, ("I am.", "I us"), None, np.random.default_rng(0))  # type: ignore[arg-type]
    assert counts == pytest.approx({"bits": 11, "bytes": 11, "words": 4})
    figures = estimate([counts], task.metrics(()), 0)
    assert figures["bits_per_byte"].value == pytest.approx(1)
    assert figures["word_perplexity"].value == pytest.approx(2 ** (11 / 4))
    with pytest.raises(ValueError, match="no language model"):
        task.measure(Subject(subject.engine), ("I",), None, np.random.default_rng(0))  # type: ignore[arg-type]
