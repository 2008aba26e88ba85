"""The Swift engine, asked over standard input and output (`keyboard-lm-swift answer`)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from keyboard_lm.network.checkpoint import bundled_folder

ROOT = Path(__file__).parents[2]
Question = dict[str, Any]
Ask = Callable[[Sequence[Question]], Iterator[dict[str, Any]]]


@pytest.fixture(scope="session")
def ask() -> Ask:
    """Return what answers questions about laws of the engine, all of a list in one process."""
    return _asking()


@pytest.fixture(scope="session")
def ask_rounded() -> Ask:
    """Return what answers the same with the network's weights rounded to 8 bits."""
    return _asking("--precision", "rounded")


def _asking(*options: str) -> Ask:
    binary = ROOT / "ios_demo" / ".build" / "release" / "keyboard-lm-swift"
    if not binary.is_file():
        pytest.skip("the Swift engine is not built; `make test-swift` builds and tests it")

    def answers(questions: Sequence[Question]) -> Iterator[dict[str, Any]]:
        command = [str(ROOT / "ios_demo" / "tools" / "swift.sh"), "exec", "answer", "--model", str(bundled_folder())]
        lines = "".join(json.dumps(question) + "\n" for question in questions)
        done = subprocess.run([*command, *options], input=lines, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(found) == len(questions)
        yield from found

    return answers


@pytest.fixture(scope="session")
def hostile_texts() -> list[str]:
    """Return texts that ship and texts made of one character of each class that the text form tells apart."""
    import random

    from keyboard_lm.evaluation.texts import shipped_texts

    texts = [message for text in shipped_texts() for messages in text.documents for message in messages]
    rng = random.Random(0)
    alphabet = [
        *"aAzI'’\"“.,!?:;-_*=~/\\()[]#@$0123xDoT<3^ \t\n\r\x1c\x85\x00\u00ad\u2028\u3000",
        *"éÉßİıſΣςσǅʼǆ\u0301\u0308\u200d\ufe0f\u20e3\u2040\u2423\u2581\u202e\ufeff",
        *"😀👍🏽👨‍👩‍👧🇩🇪❤©®™…–—€£。、（ーאبणก한ক²½٣Ⅷ\U0001f1e6\U000e0061\U0001d400",
    ]
    for _ in range(4000):
        texts.append("".join(rng.choices(alphabet, k=rng.randint(0, 12))))
    words = [
        "mary",
        "I'm",
        "i",
        "a.m.",
        "e.g.",
        "10:30",
        "don't",
        "xD",
        "😀",
        "...",
        "U.S.",
        "Mary",
        "iPhone",
        "3.5",
        "-",
        "(",
    ]
    for _ in range(1000):
        texts.append("".join(word + rng.choice(["", " ", "  ", "\n", "."]) for word in rng.choices(words, k=6)))
    return texts
