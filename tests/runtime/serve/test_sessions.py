"""A socket session gives what a `Session` in process gives, and never more than the newest bar."""

from __future__ import annotations

import contextlib
import gc
import json
import random
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from keyboard_lm.keyboard import events
from keyboard_lm.keyboard.engine import Engine
from keyboard_lm.keyboard.session import Session
from keyboard_lm.serve import messages as wire
from keyboard_lm.serve.client import RemoteKeyboard
from keyboard_lm.serve.convert import bar, edit_made, event_of
from keyboard_lm.serve.keyboards import Keyboard
from keyboard_lm.serve.service import ServeOptions
from keyboard_lm.serve.socket import Connection
from keyboard_lm.touch.layout import load_layout

from .conftest import Running, Start
from .talk import end_of, hear, hello, open_socket, say


def _script(sentences: list[str], seed: int, num: int) -> list[wire.FieldEvent]:
    """Return what somebody may do to a keyboard; slots are taken by place, see `_play`."""
    rng, layout, made = random.Random(seed), load_layout(), []
    chars = iter("".join(rng.choices(sentences, k=num)))
    for revision in range(1, num + 1):
        chance = rng.random()
        if chance < 0.06:
            made.append(wire.Backspace(revision))
        elif chance < 0.09:
            made.append(wire.SlotTapped(revision, str(rng.randrange(3))))
        elif chance < 0.10:
            made.append(wire.ShiftKey(revision))
        elif chance < 0.11:
            made.append(wire.CursorPut(revision, rng.randrange(40)))
        elif chance < 0.12:
            made.append(wire.FieldOpened(revision, wire.Field("See you at ")))
        elif chance < 0.13:
            made.append(wire.TextReplaced(revision, "I dont know wat", 15))
        else:
            char = next(chars)
            centre = layout.centre(char)
            tap = wire.Place(centre.x + rng.gauss(0, 0.3), centre.y + rng.gauss(0, 0.3)) if centre else None
            made.append(wire.KeyTyped(revision, char, tap))
    return made


@pytest.mark.parametrize("short_way", [True, False])
def test_closed_sessions_are_gone_without_a_collection(start: Start, short_way: bool) -> None:
    running = start(short_way=short_way)
    hello(running.socket).close()  # one that fills what is shared
    gc.collect()
    gc.disable()
    try:
        sockets = [hello(running.socket, learning="memory") for _ in range(4)]
        kinds = Connection, Keyboard, Session
        left = [weakref.ref(each) for each in gc.get_objects() if isinstance(each, kinds)]
        assert len(left) >= 3 * len(sockets)
        for socket in sockets:
            say(socket, type="typed", revision=1, char="a")
            hear(socket, "bar")
        sockets[0].close()
        sockets[1].send("no message")
        sockets[2].send("x" * 20_000)
        say(sockets[3], type="typed", revision=9, char="a")
        for socket in sockets[1:]:
            end_of(socket)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and any(each() is not None for each in left):
            time.sleep(0.05)
        assert [each() for each in left if each() is not None] == []
    finally:
        gc.enable()


def _taken(event: wire.FieldEvent, shown: wire.Bar) -> wire.FieldEvent:
    if isinstance(event, wire.SlotTapped):
        slots = shown.slots or (wire.SlotShown("well", "next_word", 0.0, ""),)
        slot = slots[int(event.word) % len(slots)]
        return wire.SlotTapped(event.revision, slot.text, slot.replaced)
    return event


@pytest.mark.parametrize(("seed", "short_way"), [(0, True), (1, True), (0, False)])
def test_edits_and_bars_are_those_of_a_session_in_process(
    start: Start, sentences: list[str], seed: int, short_way: bool
) -> None:
    running = start(short_way=short_way)
    session = Session.on(Engine.open(num_threads=1))  # the service's belongs to the service's thread
    session.apply(events.FieldStarted())
    with RemoteKeyboard(running.socket, wire.Hello(learning="memory")) as keyboard:
        for event in _script(sentences, seed, 250):
            shown = bar(replace(session.suggest(), host_ms=0.0), event.revision - 1)
            given = keyboard.bar()
            assert isinstance(given, wire.Bar)
            assert _untimed(given) == shown
            event = _taken(event, given)
            made = keyboard.send(event)
            assert made == edit_made(session.apply(event_of(event)), event.revision, session.shift)
            assert (keyboard.text, keyboard.cursor) == (session.text, session.cursor)
    session.close()


def _untimed(given: wire.Bar) -> wire.Bar:
    return wire.Bar(
        given.revision, given.slots, given.correction, given.ghost, given.stage, given.num_model_calls,
        given.device_ms, 0.0,
    )  # fmt: skip


def test_every_event_gets_its_edit_and_only_the_newest_its_bar(running: Running) -> None:
    socket = hello(running.socket)
    text = "what is the best way to get there "
    with socket.send_context():  # all in one write, so that none is answered before the next is there
        for revision, char in enumerate(text, 1):
            socket.protocol.send_text(json.dumps({"type": "typed", "revision": revision, "char": char}).encode())
    edits, bars = [], []
    while not bars or bars[-1] != len(text):
        message = hear(socket)
        (edits if message["type"] == "edit" else bars).append(message["revision"])
        if message["type"] == "bar":
            assert message["revision"] == max(edits)  # what was newest when it was sent
    assert edits == list(range(1, len(text) + 1))
    assert bars == sorted(set(bars))
    assert len(bars) < len(text) / 2


def test_a_lost_connection_goes_on_with_the_field(running: Running) -> None:
    with RemoteKeyboard(running.socket, sleep=lambda seconds: None) as keyboard:
        for place, char in enumerate("see you tomorow at the station "):
            if place % 7 == 3:
                assert keyboard._socket is not None
                keyboard._socket.socket.shutdown(2)  # as a network that goes away
            keyboard.type(char)
        assert keyboard.num_connections > 3
        assert keyboard.text == "See you tomorrow at the station "
        assert keyboard.bar().revision == keyboard.revision == 31


def test_a_field_that_grows_too_long_goes_on_with_its_end(start: Start) -> None:
    running = start(field_chars=1100)
    long = "word " * 405
    with RemoteKeyboard(running.socket, wire.Hello(field=wire.Field(long))) as keyboard:
        for char in "we meet at the station, and then go on to the next one, where it is; " * 2:
            keyboard.type(char)
        assert keyboard.bar().revision == keyboard.revision > 138  # the end of the field was said once more
        assert keyboard.text.startswith(long + "we meet at the station, and then go on")
        keyboard.send(wire.CursorPut(keyboard.revision + 1, len(keyboard.text) - 2))
        keyboard.backspace()
        assert keyboard.text.endswith("i; ")


def test_events_on_their_way_to_a_full_field_are_sent_again(start: Start) -> None:
    socket = hello(start(field_chars=3).socket, field={"text": "abcd"})
    for revision in (1, 2, 3):
        say(socket, type="typed", revision=revision, char="e")
    assert hear(socket)["code"] == "field_full"
    say(socket, type="text_changed", revision=1, text="d", cursor=1)
    for revision in (2, 3):
        say(socket, type="typed", revision=revision, char="e")
    assert [hear(socket, "edit")["revision"] for _ in range(3)] == [1, 2, 3]


def test_a_swipe_is_an_event_like_a_key(running: Running) -> None:
    layout = load_layout()
    centres = [layout.centre(char) for char in "hello"]
    path = [{"x": c.x, "y": c.y, "t_ms": 120.0 * i} for i, c in enumerate(centres) if c is not None]
    socket = hello(running.socket)
    say(socket, type="swiped", revision=1, path=path)
    edit = hear(socket, "edit")
    assert edit["inserted"].strip().isalpha()
    assert {slot["kind"] for slot in hear(socket, "bar")["slots"]} == {"swiped"}
    say(socket, type="backspaced", revision=2)
    assert hear(socket, "edit")["revision"] == 2


def test_what_a_private_field_holds_is_not_learned(start: Start, tmp_path: Path) -> None:
    running = start(ServeOptions(learn=tmp_path))
    with RemoteKeyboard(running.socket, wire.Hello(field=wire.Field(is_private=True), learning="file")) as keyboard:
        _write(keyboard, "zorblax zorblax quux ")
        keyboard.send(wire.FieldOpened(keyboard.revision + 1, wire.Field()))
        assert keyboard.learned().num_words == 0
        _write(keyboard, "we meet here ")
        keyboard.send(wire.FieldOpened(keyboard.revision + 1, wire.Field()))
        assert set(keyboard.learned().words) == {"we", "meet", "here"}
    assert not any(b"zorblax" in file.read_bytes() for file in tmp_path.iterdir())


def test_without_learning_nothing_is_learned(running: Running) -> None:
    with RemoteKeyboard(running.socket) as keyboard:
        _write(keyboard, "we meet here ")
        keyboard.send(wire.FieldOpened(keyboard.revision + 1, wire.Field()))
        assert keyboard.learned() == wire.Learned((), 0, "off")


def test_the_writer_looks_at_what_was_learned_and_takes_it_back(start: Start, tmp_path: Path) -> None:
    running = start(ServeOptions(learn=tmp_path))
    with RemoteKeyboard(running.socket, wire.Hello(learning="file")) as keyboard:
        _write(keyboard, "we meet here ")
    with RemoteKeyboard(running.socket, wire.Hello(learning="file")) as keyboard:
        assert set(keyboard.learned().words) == {"we", "meet", "here"}
        assert set(keyboard.learned(wire.WordForgotten("meet")).words) == {"we", "here"}
        assert keyboard.learned(wire.AllForgotten()).num_words == 0


def test_two_sessions_of_a_user_learn_into_one_file(start: Start, tmp_path: Path) -> None:
    running = start(ServeOptions(learn=tmp_path))
    wanted = wire.Hello(learning="file")
    with RemoteKeyboard(running.socket, wanted) as one, RemoteKeyboard(running.socket, wanted) as other:
        _write(one, "we meet here ")
        one.send(wire.FieldOpened(one.revision + 1, wire.Field()))
        assert other.learned().num_words == 3
    assert len(list(tmp_path.glob("*.sqlite"))) == 1


def _write(keyboard: RemoteKeyboard, text: str) -> None:
    for char in text:
        keyboard.type(char)
        keyboard.backspace()
        keyboard.type(char)


BAD: list[tuple[dict[str, Any] | str | bytes, str, int]] = [
    ("no json", "bad_message", 1008),
    ('"a string"', "bad_message", 1008),
    ("", "bad_message", 1008),
    (b"\xff\xfe\x00", "bad_message", 1008),
    ({"type": "no_such_type"}, "bad_message", 1008),
    ({"type": "typed", "revision": 1}, "bad_message", 1008),
    ({"type": "typed", "revision": 1, "char": "a" * 33}, "bad_message", 1008),
    ({"type": "typed", "revision": 1, "char": "a", "extra": 1}, "bad_message", 1008),
    ({"type": "typed", "revision": 7, "char": "a"}, "wrong_revision", 1008),
    ({"type": "text_changed", "revision": 1, "text": "a" * 2049, "cursor": 0}, "bad_message", 1008),
    ({"type": "hello"}, "bad_message", 1008),
]
BAD_HELLOS: list[tuple[dict[str, Any], str]] = [
    ({"type": "hello", "language": "xx"}, "unknown_language"),
    ({"type": "hello", "layout": "../../etc"}, "unknown_layout"),
    ({"type": "typed", "revision": 1, "char": "a"}, "no_hello"),
]


def test_bad_input_is_one_clear_error_and_nobody_else_notices(running: Running) -> None:
    bystander = hello(running.socket)
    for message, code, close in BAD:
        socket = hello(running.socket)
        socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
        error, closed = end_of(socket)
        assert error is not None, message
        assert (error["code"], closed) == (code, close), message
    for first, code in BAD_HELLOS:
        socket = open_socket(running.socket)
        say(socket, **first)
        error, closed = end_of(socket)
        assert error is not None
        assert (error["code"], closed) == (code, 1008)
        assert error["message"]
    socket = hello(running.socket)
    socket.send(json.dumps({"type": "text_changed", "text": "x" * 20_000}))
    assert end_of(socket)[1] == 1009
    say(bystander, type="typed", revision=1, char="h")
    assert hear(bystander, "bar")["revision"] == 1


def test_who_says_nothing_is_sent_away(start: Start) -> None:
    running = start(hello_s=0.2, idle_s=0.4)
    error, code = end_of(open_socket(running.socket))
    assert error is not None
    assert (error["code"], code) == ("no_hello", 1008)
    error, code = end_of(hello(running.socket))
    assert error is not None
    assert (error["code"], code) == ("idle", 4408)


def test_there_are_so_many_places(start: Start) -> None:
    running = start(sessions=3, sessions_per_user=2)
    kept = [hello(running.socket), hello(running.socket)]
    socket = open_socket(running.socket)
    say(socket, type="hello")
    error, code = end_of(socket)
    assert error is not None
    assert (error["code"], code) == ("too_many_sessions", 1013)
    assert error["retry_ms"] > 0
    kept.pop().close()
    kept.append(hello(running.socket))  # a place that was left is free again


@pytest.mark.parametrize("short_way", [True, False])
def test_a_client_that_sends_without_end_and_never_reads_holds_up_nobody(start: Start, short_way: bool) -> None:
    running = start(send_s=1.0, short_way=short_way)
    flood = hello(running.socket)
    frames = [json.dumps({"type": "typed", "revision": number, "char": "a"}) for number in range(1, 2_000)]
    sender = threading.Thread(target=_flood, args=(flood, frames), daemon=True)
    sender.start()
    with RemoteKeyboard(running.socket) as keyboard:
        for char in "we meet ":
            keyboard.type(char)
            assert keyboard.bar().revision == keyboard.revision
        assert len(running.service.turns) <= 2
    flood.socket.shutdown(2)
    sender.join(20)


def _flood(client: ClientConnection, frames: list[str]) -> None:
    with contextlib.suppress(ConnectionClosed, OSError):
        for frame in frames:
            client.send(frame)
