"""Random frames: errors for who sends them, nothing else."""

from __future__ import annotations

import contextlib
import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from keyboard_lm.keyboard.engine import Engine
from keyboard_lm.serve import messages as wire
from keyboard_lm.serve.errors import ServeError
from keyboard_lm.serve.keyboards import Keyboard
from keyboard_lm.serve.service import REMEMBERED_LETTERS, Service
from keyboard_lm.serve.tokens import ANYBODY

from .conftest import Running
from .random_frames import random_frame
from .talk import ask, end_of, hello

ENGINE = Engine.open(num_threads=1, memory=REMEMBERED_LETTERS, remembered_mb=32.0)
SERVICE = Service(ENGINE)
CHARS = st.characters(exclude_categories=["Cs"])
TEXT = st.text(CHARS, max_size=40)


def test_random_frames_end_in_an_error_and_hurt_nobody(running: Running) -> None:
    rng = random.Random(5)
    bystander = hello(running.socket)
    for _ in range(60):
        client = hello(running.socket)
        with contextlib.suppress(ConnectionClosed):  # between the two
            client.send(random_frame(rng, 1))
            client.send("end")
        error, code = end_of(client)
        assert error is None or error["code"] in ("bad_message", "wrong_revision", "field_full")
        assert code in (1007, 1008, 1009), code
    bystander.send(json.dumps({"type": "typed", "revision": 1, "char": "a"}))
    assert ask(running.http + "/readyz")[0] == 200
    metrics = ask(running.http + "/metrics")[1].decode()
    assert 'keyboard_lm_errors_total{code="internal"} 0.0' in metrics


events = st.lists(
    st.one_of(
        st.builds(lambda char: {"type": "typed", "char": char}, st.text(CHARS, min_size=1, max_size=4)),
        st.just({"type": "backspaced"}),
        st.builds(lambda lock: {"type": "shift_pressed", "lock": lock}, st.booleans()),
        st.builds(lambda word, cut: {"type": "slot_accepted", "word": word, "replaced": cut}, TEXT, st.none() | TEXT),
        st.builds(lambda ghost, one: {"type": "ghost_accepted", "ghost": ghost, "only_word": one}, TEXT, st.booleans()),
        st.builds(lambda cursor: {"type": "cursor_moved", "cursor": cursor}, st.integers(0, 2**31 - 1)),
        st.builds(lambda text, at: {"type": "text_changed", "text": text, "cursor": at}, TEXT, st.integers(0, 2048)),
        st.builds(
            lambda text, at: {"type": "field_started", "field": {"text": text, "cursor": at}},
            TEXT,
            st.integers(0, 2048),
        ),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(events)
def test_whatever_fits_the_types_gets_an_edit_and_a_bar(given_events: list[dict[str, Any]]) -> None:
    keyboard = Keyboard(SERVICE, ANYBODY, wire.Hello())
    text = cursor = None
    for revision, event in enumerate(given_events, 1):
        message = msgspec.convert({**event, "revision": revision}, wire.ClientMessage)
        assert isinstance(message, wire.FieldEvent)
        before, at = keyboard.text, keyboard.cursor
        edit = keyboard.apply(message)
        assert edit is not None
        assert edit.revision == keyboard.revision == revision
        if not isinstance(message, wire.CursorPut | wire.TextReplaced | wire.FieldOpened):
            # What a client does with an edit is what the service has done.
            assert before[:at].endswith(edit.deleted_before)
            assert before[at:].startswith(edit.deleted_after)
            start, end = at - len(edit.deleted_before), at + len(edit.deleted_after)
            text, cursor = before[:start] + edit.inserted + before[end:], start + len(edit.inserted)
            assert (text, cursor) == (keyboard.text, keyboard.cursor)
        assert keyboard.bar(0.0).revision == revision
    with pytest.raises(ServeError, match="comes next"):
        keyboard.apply(wire.Backspace(len(given_events) + 7))
    keyboard.close()
