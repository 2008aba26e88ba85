"""The Swift engine against the Python engine, law by law."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest

from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder

from .conftest import Ask

torch = pytest.importorskip("torch", reason="the network's reference is torch in fp32")

from keyboard_lm.backends.torch import TorchBackend  # noqa: E402
from keyboard_lm.evaluation.predictor import Predictor  # noqa: E402


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint.load(bundled_folder())


def _codes(text: str) -> list[int]:
    return list(map(ord, text))


def test_text_form_is_the_same_on_every_string(ask: Ask, hostile_texts: list[str], checkpoint: Checkpoint) -> None:
    form = checkpoint.tokenizer.form
    found = ask([{"law": "text_form", "text": _codes(text)} for text in hostile_texts])
    for text, answer in zip(hostile_texts, found, strict=True):
        typed, encoded = form.split_typed(text), form.encode(text)
        assert answer == {
            "form": _codes(encoded),
            "restored": _codes(form.decode(encoded)),
            "messages": [[_codes(token) for token in message] for message in typed.messages],
            "partial": _codes(typed.partial),
            "starts_sentence": typed.starts_sentence,
            "space_before": typed.space_before,
        }, text


def test_piece_ids_are_the_same_on_every_string(ask: Ask, hostile_texts: list[str], checkpoint: Checkpoint) -> None:
    tokenizer = checkpoint.tokenizer
    found = ask([{"law": "tokens", "text": _codes(text)} for text in hostile_texts])
    for text, answer in zip(hostile_texts, found, strict=True):
        assert answer["ids"] == tokenizer.encode_tokens(tokenizer.form.encode(text).split()), text


def test_logits_are_those_of_torch_in_fp32(ask: Ask, checkpoint: Checkpoint) -> None:
    rng = random.Random(1)
    backend = TorchBackend.load(checkpoint)
    contexts = [[checkpoint.tokenizer.bos_id, *rng.choices(range(300, 8000), k=rng.randint(0, 90))] for _ in range(12)]
    questions = []
    for context in contexts:
        parents = [-1, 0, -1, 1, 2, 0, -1, 6]
        tree = {"law": "tree", "ids": rng.choices(range(300, 8000), k=8), "parents": parents}
        questions += [{"law": "logits", "ids": context}, tree]
    found = list(ask(questions))
    for question, answer in zip(questions, found, strict=True):
        if question["law"] == "logits":
            expected = backend.prefill(question["ids"])
        else:
            expected = backend.score_tree(question["ids"], question["parents"])
        given = np.array(answer["logits"])
        assert np.abs(given - expected).max() < 5e-4
        assert (given.argmax(-1) == expected.argmax(-1)).all()


def test_words_of_the_model_are_the_same(ask: Ask, checkpoint: Checkpoint, hostile_texts: list[str]) -> None:
    predictor = Predictor(TorchBackend.load(checkpoint), checkpoint.tokenizer)
    rng = random.Random(2)
    texts = [text[: rng.randint(0, len(text))] for text in rng.sample(hostile_texts[:1500], 150)]
    for text, answer in zip(texts, ask([{"law": "predictor", "text": _codes(text)} for text in texts]), strict=True):
        expected = predictor.suggest(text).items
        near = [abs(a.probability - b.probability) < 1e-3 * a.probability for a, b in pairwise(expected)]
        if not any(near):
            assert answer["texts"] == [item.text for item in expected], text
        assert answer["probabilities"] == pytest.approx([item.probability for item in expected], rel=1e-2, abs=1e-5)
