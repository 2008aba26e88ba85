"""The Swift engine against the Python engine, law by law."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest

from keyboard_lm.keyboard.bar import Correction
from keyboard_lm.keyboard.editor import Editor
from keyboard_lm.keyboard.events import (
    Backspaced,
    CursorMoved,
    Event,
    FieldStarted,
    GhostAccepted,
    ShiftPressed,
    SlotAccepted,
    TextChanged,
    Typed,
)
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.touch.layout import Tap

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


def _logits(ask: Ask, checkpoint: Checkpoint) -> list[tuple[np.ndarray, np.ndarray]]:
    # Of contexts and of trees behind them: what Swift says, and what torch says in fp32.
    rng = random.Random(1)
    backend = TorchBackend.load(checkpoint)
    contexts = [[checkpoint.tokenizer.bos_id, *rng.choices(range(300, 8000), k=rng.randint(0, 90))] for _ in range(12)]
    questions = []
    for context in contexts:
        parents = [-1, 0, -1, 1, 2, 0, -1, 6]
        tree = {"law": "tree", "ids": rng.choices(range(300, 8000), k=8), "parents": parents}
        questions += [{"law": "logits", "ids": context}, tree]
    rows = []
    for question, answer in zip(questions, ask(questions), strict=True):
        if question["law"] == "logits":
            expected = backend.prefill(question["ids"])
        else:
            expected = backend.score_tree(question["ids"], question["parents"])
        rows.append((np.atleast_2d(answer["logits"]), np.atleast_2d(expected)))
    return rows


def test_logits_are_those_of_torch_in_fp32(ask: Ask, checkpoint: Checkpoint) -> None:
    for given, expected in _logits(ask, checkpoint):
        assert np.abs(given - expected).max() < 5e-4
        assert (given.argmax(-1) == expected.argmax(-1)).all()


def test_rounded_weights_cost_less_than_a_tenth_of_what_four_bits_do(ask_rounded: Ask, checkpoint: Checkpoint) -> None:
    def logprobs(logits: np.ndarray) -> np.ndarray:
        return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)

    divergences: list[float] = []
    for given, expected in _logits(ask_rounded, checkpoint):
        right, ours = logprobs(expected), logprobs(given)
        divergences += (np.exp(right) * (right - ours)).sum(-1).tolist()
    assert np.mean(divergences) < 0.0015  # 0.015 with four bits: `keyboard-lm parity`


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


def _random_event(rng: random.Random, text: str, pieces: list[str]) -> tuple[Event, dict[str, object]]:
    # One event as the Python engine takes it, and as the question spells it.
    def some(most: int) -> str:
        return "".join(rng.choices(pieces, k=rng.randint(0, most)))

    roll, flag = rng.random(), rng.random() < 0.3
    if roll < 0.55:
        char = rng.choice(pieces)
        if flag and text:
            replaced = text[-rng.randint(1, min(6, len(text))) :]
            better = some(2)
            asked = {"event": "typed", "text": _codes(char), "replaced": _codes(replaced), "better": _codes(better)}
            return Typed(char, None, Correction(replaced, better)), asked
        return Typed(char, Tap(0.5, 1.5)), {"event": "typed", "text": _codes(char), "flag": True}
    if roll < 0.7:
        return Backspaced(), {"event": "backspaced"}
    if roll < 0.74:
        return ShiftPressed(flag), {"event": "shift_pressed", "flag": flag}
    if roll < 0.84:
        word, replaced = some(2), rng.choice([None, "", text[-rng.randint(1, 4) :]])
        asked = {"event": "slot_accepted", "text": _codes(word)}
        return SlotAccepted(word, replaced), asked if replaced is None else {**asked, "replaced": _codes(replaced)}
    if roll < 0.89:
        ghost = some(3)
        return GhostAccepted(ghost, flag), {"event": "ghost_accepted", "text": _codes(ghost), "flag": flag}
    cursor = rng.randint(-1, len(text) + 1)
    if roll < 0.95:
        return CursorMoved(cursor), {"event": "cursor_moved", "cursor": cursor}
    changed = some(4)
    if roll < 0.98:
        return TextChanged(changed, cursor), {"event": "text_changed", "text": _codes(changed), "cursor": cursor}
    return FieldStarted(changed, flag), {"event": "field_started", "text": _codes(changed), "flag": flag}


def test_a_field_is_the_same_after_every_event(ask: Ask, checkpoint: Checkpoint) -> None:
    rng = random.Random(3)
    pieces = [
        *(
            "a",
            "b",
            "teh",
            "I",
            "i",
            "i'm",
            "e.g.",
            "1",
            "3.5",
            "10:30",
            "ß",
            "İ",
            "é",
            "你",
            "שלום",
            "क्षि",
            " ",
            " ",
            " ",
        ),
        *(
            "\n",
            "\t",
            "\u2028",
            "\u00a0",
            "'",
            "’",
            '"',
            "(",
            ")",
            "-",
            "@",
            "/",
            "#",
            "_",
            "⁀",
            ".",
            ",",
            "!",
            "?",
            ". ",
        ),
        *(
            "👩\u200d👧",
            "👍🏽",
            "🇩🇪",
            "❤\ufe0f",
            "1\ufe0f\u20e3",
            "\ufe0f",
            "\u200d",
            "\u0301",
            "\r\n",
            "\x1f",
            "\ud800",
            "한",
        ),
    ]
    sessions, expected = [], []
    for _ in range(400):
        editor = Editor(form=checkpoint.tokenizer.form)
        asked, states = [], []
        for _ in range(25):
            event, question = _random_event(rng, editor.text, pieces)
            edit = editor.apply(event)
            asked.append(question)
            correction, undone = edit.correction, edit.undone
            states.append(
                {
                    "text": _codes(editor.text),
                    "cursor": editor.cursor,
                    "shift": editor.shift,
                    "word": _codes(editor.word),
                    "auto_space": editor.has_auto_space,
                    "taps": [tap is not None for tap in editor.taps],
                    "deleted_before": _codes(edit.deleted_before),
                    "deleted_after": _codes(edit.deleted_after),
                    "inserted": _codes(edit.inserted),
                    "correction": [_codes(correction.replaced), _codes(correction.text)] if correction else [],
                    "undone": [_codes(undone.literal), _codes(undone.corrected)] if undone else [],
                    "finished": [[_codes(word.word), _codes(word.context), word.is_meant] for word in edit.finished],
                }
            )
        sessions.append({"law": "editor", "events": asked})
        expected.append(states)
    for asked, states, answer in zip(sessions, expected, ask(sessions), strict=True):
        for number, (state, given) in enumerate(zip(states, answer["states"], strict=True)):
            assert given == state, asked["events"][: number + 1]
