"""Whether a socket session is a `Session`, and what a key costs there: the same keys through both, one after the other.

    python tests/benchmarks/serving/parity.py [--num 20000]

Every key is told to a `Session` in this process and to one behind a socket; edits and bars have to be the same bytes
(but for the time that a bar took). In one message of four the text is asked for over stateless HTTP, too. CPU time is
that of the thread here, and of the whole process of the service there; the client's own is nobody's.

A key wakes a keyboard up, and on a machine with other work what comes first after that runs from cold caches. The
service is woken by each key; in process that is so in every second message, where the thread sleeps for a moment before
the key. Both are reported: `woken` compares like with like, `awake` is a loop that does nothing but answer.
"""

from __future__ import annotations

import argparse
import http.client
import json
import time
from dataclasses import replace
from typing import Any

import msgspec
from server import recorded_messages, report, serving

from keyboard_lm.cli.table import format_table
from keyboard_lm.keyboard.events import FieldStarted, Typed
from keyboard_lm.keyboard.session import Session, SessionOptions
from keyboard_lm.serve import messages as wire
from keyboard_lm.serve.client import RemoteKeyboard
from keyboard_lm.serve.convert import bar, edit_made, tap_of

WAKE_AFTER_S = 0.002
ENCODE = msgspec.json.Encoder().encode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=20_000, help="keys")
    options = parser.parse_args()
    session = Session.open(options=SessionOptions(num_threads=1))
    session.apply(FieldStarted())
    stateless_ms = stateless_here_ms = 0.0
    here_ms, there_ms, keys_of = [0.0, 0.0], [0.0, 0.0], [0, 0]  # awake, woken
    num_keys = num_stateless = different = 0
    with serving() as server, RemoteKeyboard(server.socket, wire.Hello(learning="memory")) as keyboard:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        keyboard.bar()
        for number, keys in enumerate(recorded_messages(options.num)):
            session.apply(FieldStarted())
            session.suggest()
            keyboard.send(wire.FieldOpened(keyboard.revision + 1))
            keyboard.bar()
            texts = []
            spent_ms = 0.0
            begun_ms = server.cpu_ms()
            for key in keys:
                event = wire.KeyTyped(keyboard.revision + 1, key["char"], _place(key["tap"]))
                begun = time.thread_time()
                if number % 2:
                    time.sleep(WAKE_AFTER_S)
                edit = session.apply(Typed(event.char, tap_of(event.tap)))
                answer = session.suggest()
                spent_ms += (time.thread_time() - begun) * 1000
                edit_there, bar_there = keyboard.send(event), keyboard.bar()
                wanted = (
                    edit_made(edit, event.revision, session.shift),
                    bar(replace(answer, host_ms=0.0), event.revision),
                )
                different += ENCODE(wanted) != ENCODE((edit_there, _untimed(bar_there)))
                texts.append(keyboard.text[: keyboard.cursor])
            there_ms[number % 2] += server.cpu_ms() - begun_ms
            here_ms[number % 2] += spent_ms
            keys_of[number % 2] += len(keys)
            num_keys += len(keys)
            if number % 4 == 1:
                begun_ms = server.cpu_ms()
                connection.close()  # one that nobody uses for half a minute is closed by the service
                for text in texts:
                    _ask(connection, {"text": text[-2048:]})
                stateless_ms += server.cpu_ms() - begun_ms
                stateless_here_ms += spent_ms
                num_stateless += len(texts)
    rows = [["", "keys", "in process, CPU ms a key", "socket", "ratio"]]
    for name, num, here, there in zip(("awake", "woken"), keys_of, here_ms, there_ms, strict=True):
        rows.append([name, f"{num:,}", f"{here / num:.3f}", f"{there / num:.3f}", f"{there / here:.3f}"])
    print(format_table(rows))
    stateless = stateless_ms / num_stateless, stateless_ms / stateless_here_ms
    print(f"stateless with a warm prefix: {stateless[0]:.3f} ms a key, {stateless[1]:.3f} of woken in process")
    print(f"{different} of {num_keys:,} keys with another edit or bar")
    report(
        {"keys": num_keys, "different": different, "ratio_awake": there_ms[0] / here_ms[0],
         "ratio_woken": there_ms[1] / here_ms[1], "stateless_ratio": stateless[1]}
    )  # fmt: skip


def _place(tap: dict[str, float] | None) -> wire.Place | None:
    return wire.Place(**tap) if tap is not None else None


def _untimed(given: wire.Bar | wire.Busy) -> wire.Bar:
    assert isinstance(given, wire.Bar), "the machine is overloaded; run it again when it is not"
    values = {field: getattr(given, field) for field in given.__struct_fields__}
    return wire.Bar(**{**values, "host_ms": 0.0})


def _ask(connection: http.client.HTTPConnection, body: dict[str, Any]) -> None:
    connection.request("POST", "/v1/suggest", json.dumps(body), {"content-type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    assert response.status == 200, content


if __name__ == "__main__":
    main()
