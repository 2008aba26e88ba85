"""Whether learned words outlive a service that is killed, or told to end, while many people type.

    python tests/benchmarks/serving/ended.py [--users 20] [--rounds 3] [--seconds 3]

Each user has a signed token and a personal file, and types words; a word is made when the edit of the space behind it
has come, and learned when the next one begins, which may change it. At a random moment the service is killed
(`kill -9`), and each file is looked at: it has to hold all words that were made but the last. Then the same with TERM,
after which the last one has to be there, too. Prints how many words there were, how many are missing, and how long the
service took to end.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from server import OPENER, Server, report, serving
from websockets.exceptions import WebSocketException

from keyboard_lm.cli.table import format_table
from keyboard_lm.errors import KeyboardLMError
from keyboard_lm.evaluation.texts import shipped_texts
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.personal import PersonalStore
from keyboard_lm.serve import messages as wire
from keyboard_lm.serve.client import RemoteKeyboard
from keyboard_lm.serve.personal_files import PersonalFiles

MOST_CHARS = 1500  # of a field; then another one
PAUSE_S = 0.02  # behind a word


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="until the signal, at least")
    options = parser.parse_args()
    rows = [["", "rounds", "words made", "missing", "longest end, s"]]
    results: dict[str, float] = {}
    for name, signum in (("kill -9", signal.SIGKILL), ("TERM", signal.SIGTERM)):
        made = missing = 0
        longest_s = 0.0
        for number in range(options.rounds):
            words, lost, took_s = _round(signum, options.users, options.seconds, number)
            made, missing, longest_s = made + words, missing + lost, max(longest_s, took_s)
        rows.append([name, str(options.rounds), f"{made:,}", str(missing), f"{longest_s:.1f}"])
        results |= {f"{name}_words": made, f"{name}_missing": missing, f"{name}_s": longest_s}
    print(format_table(rows))
    report(results)


def _round(signum: signal.Signals, users: int, seconds: float, seed: int) -> tuple[int, int, float]:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        tokens, learned = Path(folder) / "tokens.json", Path(folder) / "learned"
        scopes = [part for scope in ("session", "personal", "sign") for part in ("--scope", scope)]
        command = [sys.executable, "-m", "keyboard_lm", "serve-token", "--tokens", str(tokens), "add", "app", *scopes]
        token = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
        made: list[list[str]] = [[] for _ in range(users)]
        with serving("--sessions", "2000", "--tokens", str(tokens), "--learn", str(learned)) as server:
            signed = [_signed(server, token, f"user{place}") for place in range(users)]
            threads = [
                threading.Thread(target=_type, args=(server, signed[i], rng.randrange(2**30), made[i]))
                for i in range(users)
            ]
            for thread in threads:
                thread.start()
            time.sleep(seconds + rng.random())
            begun = time.monotonic()
            server.process.send_signal(signum)
            server.process.wait(30)
            took_s = time.monotonic() - begun
            for thread in threads:
                thread.join(30)
        files = PersonalFiles(learned)
        missing = 0
        for place in range(users):
            with PersonalStore.open(files.path(f"app/user{place}")) as store:
                known = set(map(str.casefold, store.words(None)))
            wanted = made[place][:-1] if signum == signal.SIGKILL else made[place]
            missing += len({*wanted} - known)
        return sum(map(len, made)), missing, took_s


def _words() -> list[str]:
    knows = load_language("en").lexicon.known
    messages = [message for text in shipped_texts() for document in text.documents for message in document]
    found = {word.casefold() for message in messages for word in message.split() if word.isalpha() and len(word) > 3}
    return sorted(filter(knows, found))


def _signed(server: Server, token: str, user: str) -> str:
    body = json.dumps({"user": user, "scopes": ["session", "personal"], "lifetime_s": 3600}).encode()
    headers = {"authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/v1/tokens", body, headers)
    with OPENER.open(request, timeout=30) as response:
        given: str = json.loads(response.read())["token"]
        return given


def _type(server: Server, token: str, seed: int, made: list[str]) -> None:
    words = _words()  # known ones, which are learned at once; others have to be seen again
    random.Random(seed).shuffle(words)
    try:
        keyboard = RemoteKeyboard(server.socket, wire.Hello(token=token, learning="file"), patience_s=0.0)
        closed: list[str] = []
        for word in words:
            for char in word + " ":
                keyboard.type(char)
            # As they stand now: the next word may have changed one.
            made[:] = closed + keyboard.text.casefold().split()
            if len(keyboard.text) > MOST_CHARS:
                keyboard.send(wire.FieldOpened(keyboard.revision + 1))
                closed = [*made]
            time.sleep(PAUSE_S)
    except (KeyboardLMError, OSError, WebSocketException):
        pass


if __name__ == "__main__":
    main()
