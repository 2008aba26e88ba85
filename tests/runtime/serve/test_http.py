"""Stateless HTTP: the engine's answer for the engine's request, to whom it is meant for."""

from __future__ import annotations

import asyncio
import fcntl
import http.client
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.exceptions import InvalidStatus

from keyboard_lm.keyboard.bar import Request
from keyboard_lm.keyboard.engine import Engine
from keyboard_lm.serve import messages as wire
from keyboard_lm.serve.app import create_app
from keyboard_lm.serve.convert import answer_given
from keyboard_lm.serve.correct import corrected
from keyboard_lm.serve.errors import ServeError
from keyboard_lm.serve.lanes import num_shared
from keyboard_lm.serve.service import ServeOptions, Service
from keyboard_lm.serve.tokens import Tokens, add_token, remove_token

from .conftest import Running, Start
from .talk import ask, end_of, hear, hello, open_socket, say


def test_a_text_that_goes_on_is_answered_as_by_the_engine(running: Running, sentences: list[str]) -> None:
    suggester = Engine.open(num_threads=1).suggester()
    for text in sentences[:3]:
        for end in range(len(text[:30])):
            wanted = answer_given(suggester.answer(Request(text[:end])), end)
            status, given = ask(running.http + "/v1/suggest", {"text": text[:end], "revision": end})
            assert status == 200
            for field in ("slots", "correction", "ghost", "stage", "revision"):
                assert given[field] == json.loads(msgspec.json.encode(getattr(wanted, field))), (text[:end], field)


def test_a_warm_prefix_costs_no_second_prefill(running: Running) -> None:
    ask(running.http + "/v1/suggest", {"text": "what is the best way to go "})
    assert ask(running.http + "/v1/suggest", {"text": "what is the best way to go "})[1]["num_model_calls"] == 0
    longer = "what is the best way to go t"
    cold = Engine.open(num_threads=1).suggester().answer(Request(longer)).num_model_calls
    assert ask(running.http + "/v1/suggest", {"text": longer})[1]["num_model_calls"] == cold - 1


def test_a_caller_gets_no_lane_that_another_has_warmed(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    tokens = [add_token(path, name, ("suggest",)) for name in ("one", "other")]
    running = start(ServeOptions(tokens=path))
    calls = [
        ask(running.http + "/v1/suggest", {"text": "what is the "}, Authorization=f"Bearer {token}")[1]
        for token in (tokens[0], tokens[0], tokens[1])
    ]
    assert [answer["num_model_calls"] for answer in calls] == [
        calls[0]["num_model_calls"],
        0,
        calls[0]["num_model_calls"],
    ]
    assert calls[0]["num_model_calls"] > 0


def test_a_text_is_corrected_as_if_it_had_been_typed(running: Running) -> None:
    status, given = ask(running.http + "/v1/correct", {"text": "what is teh best wya , e.g. zorblax3?"})
    assert (status, given["text"]) == (200, "what is the best way , e.g. zorblax3?")
    for each in given["corrections"]:
        assert "what is teh best wya"[each["start"] :].startswith(each["replaced"])
    assert ask(running.http + "/v1/correct", {"text": ""}) == (200, {"text": "", "corrections": []})


def test_corrections_put_together_give_the_corrected_text(engine: Engine) -> None:
    suggester = engine.suggester()
    text = "i wil se you tomorow at teh sta tion, its goign to be fun"
    steps = corrected(text)
    question = next(steps)
    try:
        while True:
            question = steps.send(suggester.answer(question))
    except StopIteration as stop:
        made: wire.Corrected = stop.value
    pieces, end = [], 0
    for each in made.corrections:
        assert text[each.start : each.start + len(each.replaced)] == each.replaced
        pieces += [text[end : each.start], each.text]
        end = each.start + len(each.replaced)
    assert "".join([*pieces, text[end:]]) == made.text != text


def test_num_shared_is_what_two_texts_begin_with() -> None:
    assert [num_shared("abc", other) for other in ("", "x", "a", "ab", "abd", "abcd")] == [0, 0, 1, 2, 2, 3]


BAD: list[tuple[str, Any, int, str]] = [
    ("/v1/suggest", b"no json", 400, "bad_message"),
    ("/v1/suggest", {"text": 1}, 400, "bad_message"),
    ("/v1/suggest", {"text": "a" * 2049}, 400, "bad_message"),
    ("/v1/suggest", {"text": "a", "taps": [{"x": 1e300, "y": 0}]}, 400, "bad_message"),
    ("/v1/suggest", {"text": "a", "language": "xx"}, 400, "unknown_language"),
    ("/v1/suggest", {"text": "a", "layout": "none"}, 400, "unknown_layout"),
    ("/v1/swipe", {"text": "a", "path": []}, 400, "bad_message"),
    ("/v1/swipe", {"text": "", "path": [{"x": 0, "y": 0, "t_ms": -1}]}, 400, "bad_message"),
    ("/v1/suggest", b"x" * 10_000_000, 413, "too_large"),
    ("/v1/tokens", {}, 403, "forbidden"),
    ("/nothing", None, 404, "unknown_path"),
]


@pytest.mark.parametrize(("path", "body", "status", "code"), BAD)
def test_bad_input_is_one_clear_error(running: Running, path: str, body: Any, status: int, code: str) -> None:
    try:
        got, error = ask(running.http + path, body)
    except OSError:
        assert status == 413  # the service has answered and closed before all was sent
        return
    assert (got, error["code"]) == (status, code)
    assert error["message"]


def test_a_body_of_unknown_length_has_a_limit_too(running: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    try:
        connection.request("POST", "/v1/suggest", iter([b"x" * 10_000] * 20), encode_chunked=True)
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert ask(running.http + "/healthz")[0] == 200


def test_pages_of_other_sites_are_not_let_in(start: Start) -> None:
    running = start(ServeOptions(allow_origins=("https://app.example",), allow_hosts=("kiosk",)))
    url, body = running.http + "/v1/suggest", {"text": "a"}
    own = f"http://127.0.0.1:{running.port}"
    assert ask(url, body, Origin=own)[0] == ask(url, body, Origin="https://app.example")[0] == 200
    assert ask(url, body, Origin="https://evil.example")[1]["code"] == "forbidden"
    assert ask(url, body, Host="evil.example")[1]["code"] == "forbidden"  # a name that was made to lead here
    assert ask(url, body, Host="kiosk")[0] == 200
    with pytest.raises(InvalidStatus):
        open_socket(running.socket, origin="https://evil.example")
    open_socket(running.socket, origin="https://app.example").close()


def test_tokens_open_what_their_scopes_say(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    full = add_token(path, "full", ("suggest", "session", "sign", "metrics"))
    small = add_token(path, "small", ("suggest",))
    assert full not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    running = start(ServeOptions(tokens=path))
    url, body = running.http + "/v1/suggest", {"text": "a"}
    assert ask(url, body)[0] == ask(url, body, Authorization="Bearer klm_wrong")[0] == 401
    assert ask(url, body, Authorization=f"Bearer {small}")[0] == 200
    assert ask(running.http + "/metrics", Authorization=f"Bearer {small}")[0] == 403
    assert ask(running.http + "/metrics", Authorization=f"Bearer {full}")[0] == 200
    for token, wanted in (("klm_wrong", ("bad_token", 1008)), (small, ("forbidden", 1008))):
        socket = open_socket(running.socket)
        say(socket, type="hello", token=token)
        error, code = end_of(socket)
        assert error is not None
        assert (error["code"], code) == wanted
    status, signed = ask(running.http + "/v1/tokens", {"user": "anna"}, Authorization=f"Bearer {full}")
    assert status == 200
    hello(running.socket, token=signed["token"]).close()
    assert ask(url, body, Authorization=f"Bearer {signed['token']}")[0] == 403  # no more than was asked for
    changed = signed["token"][:-2] + ("AA" if signed["token"][-2:] != "AA" else "BB")
    assert ask(url, body, Authorization=f"Bearer {changed}")[0] == 401
    remove_token(path, "full")
    time.sleep(1.1)
    socket = open_socket(running.socket)
    say(socket, type="hello", token=signed["token"])
    assert end_of(socket)[1] == 1008  # with its maker it is gone


def test_a_signed_token_ends(tmp_path: Path) -> None:
    path, now = tmp_path / "tokens.json", 1000.0
    token = add_token(path, "app", ("session", "sign"))
    tokens = Tokens(path, lambda: now)
    given = tokens.sign(tokens.caller(token), wire.TokenRequest("anna", ("session",), 60))
    assert (tokens.caller(given.token).user, tokens.caller(given.token).subject) == ("anna", "app/anna")
    now += 60
    with pytest.raises(ServeError, match="not valid"):
        tokens.caller(given.token)


def test_nobody_signs_for_more_than_they_may(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    tokens = [add_token(path, "app", ("session", "sign")), add_token(path, "small", ("session",))]
    known = Tokens(path)
    with pytest.raises(ServeError, match="personal"):
        known.sign(known.caller(tokens[0]), wire.TokenRequest("anna", ("session", "personal")))
    with pytest.raises(ServeError, match="sign"):
        known.sign(known.caller(tokens[1]), wire.TokenRequest("anna", ("session",)))


def test_a_personal_file_is_exported_forgotten_and_cleared(start: Start, tmp_path: Path) -> None:
    running = start(ServeOptions(learn=tmp_path))
    url = running.http + "/v1/personal"
    socket = hello(running.socket, learning="file")
    for revision, char in enumerate("we meet here ", 1):
        say(socket, type="typed", revision=revision, char=char)
        hear(socket, "edit")
    say(socket, type="field_started", revision=14)
    hear(socket, "edit")
    status, lines = ask(url)
    assert status == 200
    assert b"meet" in lines
    assert ask(url + "/forget", {"word": "meet"}) == (200, {"was_known": True})
    assert b"meet" not in ask(url)[1]
    assert b"here" in ask(url)[1]
    assert ask(url, method="DELETE")[0] == 204
    assert b"here" not in ask(url)[1]
    assert not list(tmp_path.glob("tmp*"))


def test_a_personal_file_has_one_writer(start: Start, tmp_path: Path) -> None:
    running = start(ServeOptions(learn=tmp_path))
    assert running.service.personal is not None
    lock = running.service.personal.path("/").with_suffix(".lock")
    with lock.open("w") as held:  # as another process would
        fcntl.flock(held, fcntl.LOCK_EX)
        socket = open_socket(running.socket)
        say(socket, type="hello", learning="file")
        error, code = end_of(socket)
        assert error is not None
        assert (error["code"], code) == ("personal_busy", 1013)
        assert ask(running.http + "/v1/personal")[0] == 503
    hello(running.socket, learning="file").close()


def test_a_service_that_keeps_no_files_says_so(running: Running) -> None:
    assert ask(running.http + "/v1/personal")[0] == 403
    socket = open_socket(running.socket)
    say(socket, type="hello", learning="file")
    assert hear(socket, "welcome")["learning"] == "memory"


def test_it_is_ready_until_it_ends(running: Running) -> None:
    assert ask(running.http + "/healthz")[0] == ask(running.http + "/readyz")[0] == 200
    running.service.is_ending = True
    assert ask(running.http + "/readyz")[0] == 503
    socket = open_socket(running.socket)
    say(socket, type="hello")
    assert end_of(socket)[1] == 1013


def test_what_is_offered_is_there(running: Running) -> None:
    offered = ask(running.http + "/v1/offered")[1]
    assert offered["layouts"]
    for layout in offered["layouts"]:
        status, keys = ask(f"{running.http}/v1/layouts/{layout}")
        assert status == 200
        assert sum(len(row["keys"]) for row in keys["rows"]) >= 26
    assert ask(running.http + "/v1/layouts/none")[0] == 400


def test_another_app_can_mount_it(engine: Engine) -> None:
    app = Starlette(routes=[Mount("/keyboard", create_app(Service(engine)))])
    sent: list[Any] = []
    scope = {
        "type": "http", "method": "POST", "path": "/keyboard/v1/suggest", "raw_path": b"", "root_path": "",
        "query_string": b"", "headers": [(b"host", b"localhost")], "http_version": "1.1", "scheme": "http",
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"text": "see you "}'}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 200
    assert json.loads(sent[1]["body"])["slots"]
