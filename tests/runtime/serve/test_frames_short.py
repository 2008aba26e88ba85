"""The short way of usual frames: whatever the pieces in which bytes arrive, the answers are those of the library."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from keyboard_lm.serve.frames import are_whole, header, whole_text

from .conftest import Start
from .talk import end_of, hear, hello, say

KEYS = [{"type": "typed", "revision": number, "char": char} for number, char in enumerate("see you there ", 1)]


def _sent(content: bytes, opcode: Opcode = Opcode.TEXT, is_last: bool = True) -> bytes:
    return Frame(opcode, content, fin=is_last).serialize(mask=True)


frames = st.lists(
    st.builds(
        lambda size, opcode, is_last: _sent(bytes(size), opcode, is_last),
        st.integers(0, 70_000) | st.sampled_from([0, 125, 126, 65_535, 65_536]),
        st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT]),
        st.booleans(),
    ),
    min_size=1,
    max_size=3,
)


@given(st.integers(0, 70_000))
def test_a_header_is_that_of_the_library(size: int) -> None:
    assert header(size) + bytes(size) == Frame(Opcode.TEXT, bytes(size)).serialize(mask=False)


@given(st.binary(max_size=300) | st.integers(0, 70_000).map(bytes))
def test_a_whole_message_is_read_as_it_was_written(content: bytes) -> None:
    data = _sent(content)
    assert whole_text(data) == (content if len(content) < 1 << 16 else None)
    assert whole_text(data + b"\x81") is None
    assert whole_text(data[:-1]) is None


@given(frames, st.data())
def test_only_whole_messages_are_whole(given_frames: list[bytes], data: st.DataObject) -> None:
    joined = b"".join(given_frames)
    assert are_whole(joined) == all(frame[0] in (0x81, 0x82) for frame in given_frames)
    cut = data.draw(st.integers(1, len(joined)))
    ends = {sum(map(len, given_frames[:number])) for number in range(len(given_frames) + 1)}
    assert not are_whole(joined[:cut]) or cut in ends


@given(st.binary(max_size=40))
def test_noise_is_left_to_the_library(noise: bytes) -> None:
    content = whole_text(noise)
    assert content is None or noise[0] == 0x81
    are_whole(noise)


def _ping(rng: random.Random) -> bytes:
    return _sent(rng.randbytes(4), Opcode.PING)


def _in_two(content: bytes, rng: random.Random) -> bytes:
    cut = rng.randrange(len(content))
    return _sent(content[:cut], is_last=False) + _ping(rng) + _sent(content[cut:], Opcode.CONT)


@pytest.mark.parametrize("seed", range(4))
def test_pieces_pings_and_parts_change_no_answer(start: Start, seed: int) -> None:
    rng, socket = random.Random(seed), hello(start().socket)
    edits: list[dict[str, Any]] = []
    for key in KEYS:
        content = json.dumps(key).encode()
        chance = rng.random()
        stream = _in_two(content, rng) if chance < 0.2 else _sent(content)
        if chance > 0.7:
            stream = rng.choice((_ping(rng) + stream, stream + _ping(rng)))
        cut = rng.randrange(len(stream)) if rng.random() < 0.2 * seed else 0
        socket.socket.sendall(stream[:cut])
        socket.socket.sendall(stream[cut:])
        edits.append(hear(socket, "edit"))
        assert hear(socket, "bar")["revision"] == key["revision"]
    assert [edit["revision"] for edit in edits] == [key["revision"] for key in KEYS]
    assert "".join(edit["inserted"] for edit in edits).lower() == "see you there "


def test_messages_that_arrive_together_keep_their_order(start: Start) -> None:
    socket = hello(start().socket)
    socket.socket.sendall(b"".join(_sent(json.dumps(key).encode()) for key in KEYS))
    assert [hear(socket, "edit")["revision"] for _ in KEYS] == [key["revision"] for key in KEYS]
    while hear(socket, "bar")["revision"] != len(KEYS):
        pass


@pytest.mark.parametrize("short_way", [True, False])
def test_errors_are_the_same_either_way(start: Start, short_way: bool) -> None:
    running = start(short_way=short_way)
    for content, code, closed_with in (
        (b'{"type": "typed", "revision": 7, "char": "a"}', "wrong_revision", 1008),
        (b'{"type": "typed", "revision": 1}', "bad_message", 1008),
        (b'{"type": "hello"}', "bad_message", 1008),
        (b'"\xff"', None, 1007),
        (b'{"type": "typed", "char": "' + b"a" * 20_000, None, 1009),
    ):
        socket = hello(running.socket)
        socket.socket.sendall(_sent(content))
        error, closed = end_of(socket)
        assert (error and error["code"], closed) == (code, closed_with)
    socket = hello(running.socket)
    say(socket, type="learned_asked")
    assert hear(socket)["type"] == "learned"
    say(socket, **KEYS[0])
    assert hear(socket)["type"] == "edit"


def test_a_mistake_of_the_service_ends_one_session(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    running = start()
    socket, other = hello(running.socket), hello(running.socket)
    with monkeypatch.context() as patched:
        patched.setattr("keyboard_lm.serve.keyboards.convert.event_of", lambda message: 1 / 0)
        say(socket, **KEYS[0])
        error, closed = end_of(socket)
    assert (error and error["code"], closed) == ("internal", 1011)
    say(other, **KEYS[0])
    assert hear(other)["type"] == "edit"
