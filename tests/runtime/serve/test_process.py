"""A service in a process of its own: how it ends, what it leaves behind, and what it never writes down."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from websockets.exceptions import ConnectionClosed

from keyboard_lm.personal import PersonalStore
from keyboard_lm.serve.client import RemoteKeyboard
from keyboard_lm.serve.messages import Field, FieldOpened, Hello

from .talk import ask, end_of, hello, open_socket, say

SECRETS = ("zorblaxian", "quuxwort", "hunter2pass")


@dataclass
class Process:
    """A service, its address and the file that all its output goes to."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/session"


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Process]:
    """Run `keyboard-lm serve`; killed at the end if it is still there."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    output = folder / "output.txt"
    with output.open("ab") as file:
        command = [sys.executable, "-m", "keyboard_lm", "serve", "--port", str(port), *options]
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline
            try:
                if ask(f"http://127.0.0.1:{port}/readyz")[0] == 200:
                    break
            except OSError:
                time.sleep(0.1)
        yield Process(process, port, output)
    finally:
        process.kill()
        process.wait()


def _learned(folder: Path) -> set[str]:
    [file] = folder.glob("*.sqlite")
    with PersonalStore.open(file) as store:
        return set(store.words(None))


def _type(keyboard: RemoteKeyboard, text: str) -> None:
    for char in text:
        keyboard.type(char)
        keyboard.bar()


def test_term_closes_in_order_and_learns_the_last_word(tmp_path: Path) -> None:
    learned = tmp_path / "learned"
    with serving(tmp_path, "--learn", str(learned)) as service:
        others = [hello(service.socket) for _ in range(3)]
        keyboard = RemoteKeyboard(service.socket, Hello(learning="file"), patience_s=0.1)
        _type(keyboard, "we meet here ")
        busy = threading.Thread(target=_hammer, args=(hello(service.socket),), daemon=True)
        busy.start()
        begun = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert [end_of(other)[1] for other in others] == [1012] * 3
        assert service.process.wait(timeout=30) in (0, -signal.SIGTERM)
        assert time.monotonic() - begun < 10
        busy.join(10)
    assert _learned(learned) == {"we", "meet", "here"}


def _hammer(client: object) -> None:
    try:
        for revision in range(1, 10_000):
            say(client, type="typed", revision=revision, char="a")  # type: ignore[arg-type]
    except ConnectionClosed:
        pass


def test_a_service_killed_under_load_loses_no_learned_word_but_the_last(tmp_path: Path) -> None:
    learned = tmp_path / "learned"
    with serving(tmp_path, "--learn", str(learned)) as service:
        keyboard = RemoteKeyboard(service.socket, Hello(learning="file"), patience_s=0.1)
        busy = threading.Thread(target=_hammer, args=(hello(service.socket),), daemon=True)
        busy.start()
        _type(keyboard, "we meet here today ")
        service.process.kill()
        service.process.wait()
        assert {"we", "meet", "here"} <= _learned(learned)
    with serving(tmp_path, "--learn", str(learned)) as service:  # the lock of the killed one holds nobody off
        hello(service.socket, learning="file").close()


def test_nothing_that_was_typed_is_written_down(tmp_path: Path) -> None:
    learned = tmp_path / "learned"
    with serving(tmp_path, "--learn", str(learned)) as service:
        private = Hello(field=Field(is_private=True), learning="file")
        with RemoteKeyboard(service.socket, private) as keyboard:
            _type(keyboard, " ".join(SECRETS) + " ")
            keyboard.send(FieldOpened(keyboard.revision + 1))
        with RemoteKeyboard(service.socket) as keyboard:
            _type(keyboard, " ".join(SECRETS) + " ")
        text = " ".join(SECRETS)
        for body in ({"text": text}, {"text": text, "layout": SECRETS[0]}, {"text": text, SECRETS[1]: 1}):
            ask(service.http + "/v1/suggest", body)
            ask(service.http + "/v1/correct", body)
        ask(service.http + f"/v1/{SECRETS[0]}?{SECRETS[1]}", text.encode())
        errors = []
        for message in (json.dumps({"type": SECRETS[0], "char": text}), text, text.encode("utf-16"), "\ud800" in text):
            client = open_socket(service.socket)
            say(client, type="hello", field={"text": text})
            client.send(message if isinstance(message, str | bytes) else b"\xff" + text.encode())
            errors.append(end_of(client)[0])
        assert all(secret not in json.dumps(errors) for secret in SECRETS)
        counted = ask(service.http + "/metrics")[1]
        service.process.send_signal(signal.SIGTERM)
        service.process.wait(timeout=30)
        written = [service.output, *learned.rglob("*")]
        contents = [counted, *(file.read_bytes() for file in written if file.is_file())]
    assert b"keyboard_lm_events_total" in counted
    assert not [secret for secret in SECRETS for content in contents if secret.encode() in content.lower()]


def test_an_address_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "keyboard_lm", "serve", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "cannot be listened on" in done.stderr
    assert len(done.stderr.splitlines()) == 1
