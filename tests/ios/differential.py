"""The same random sessions through both engines: `python -m tests.ios.differential --sessions 1000 --workers 2`.

Both run on the toy network of the golden files, whose logits are the same to the last bit. Python makes a session up as
it goes - half of them messages typed with slips and swiped, half anything that Unicode has - and Swift replays it
(`keyboard-lm-swift replay`) while Python makes up the next; every edit, every bar and all that was learned is compared.
A difference is a near tie where the entries that changed places are within a thousandth of each other in Python's own
figures.

With `--model` both run on the bundled weights instead: Python on torch in fp32, Swift on its network for processors.
Their logits differ by up to 5e-4, so probabilities are compared within 2e-3, and a bar with other words in it is a near
tie where Python's own figures of the words that came and went are within 1e-3 nats of each other.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from keyboard_lm.backends.protocol import Backend
from keyboard_lm.device.budget import BUDGET_MS, device_names, load_device
from keyboard_lm.evaluation.swiper import Swiper
from keyboard_lm.evaluation.texts import shipped_texts
from keyboard_lm.keyboard.bar import Answer
from keyboard_lm.keyboard.events import (
    Backspaced,
    CursorMoved,
    Event,
    FieldStarted,
    GhostAccepted,
    ShiftPressed,
    SlotAccepted,
    Swiped,
    TextChanged,
    Typed,
)
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.keyboard.session import Session
from keyboard_lm.keyboard.suggester import Suggester, SuggesterOptions, SuggesterParts
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.personal import PersonalStore
from keyboard_lm.touch.layout import Tap, load_layout
from keyboard_lm.touch.path import PathError, PathPoint

from ..golden.session_laws import told_of_bar, told_of_event
from ..golden.toy_network import ToyNetwork

ROOT = Path(__file__).parents[2]
NEAR = 1e-3  # nats, within which two offers may change places
EXACT, MODEL = 1e-5, 2e-3  # of a number, on the toy network and on the bundled weights
SWIPED = 1e-3  # of a swiped word's: how well a path fits it is summed up in single precision
CHUNK = 100  # sessions that a worker is given at a time
_FRAGMENTS = (
    *("a", "b", "teh", "I", "i", "i'm", "e.g.", "1", "3.5", "10:30", "wrold", "recieve", "THE", "Siobhan"),
    *("\u00df", "\u0130", "\u00e9", "e\u0301", "\u4f60", "\u0915\u094d\u0937\u093f", "\ud55c", "\u05d0", "\u0628"),
    *("\u03a3", "\u03c2", "\u01c5", "\u2581", "\ufeff", "\r\n", "\x1f", "\t", "\n", "\u2028", "\u00a0", "\u2040"),
    *(" ", " ", " ", " ", "'", "\u2019", '"', "(", ")", "-", "@", "/", "#", "_", ".", ",", "!", "?", "\u0301"),
    *("\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea", "\u2764\ufe0f", "1\ufe0f\u20e3"),
    *("\ufe0f", "\u200d"),
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_OPTIONS = SuggesterOptions()
Told = dict[str, Any]


@dataclass
class Report:
    """What a comparison has found.

    Attributes:
        differences: session, step, what was done, field, what Swift said and what Python.
        ties: the same of those that are near ties, with how near, in nats.
    """

    sessions: int = 0
    steps: int = 0
    bars: int = 0
    swipes: int = 0
    ties: list[list[Any]] = field(default_factory=list)
    differences: list[list[Any]] = field(default_factory=list)
    python_s: float = 0.0

    def add(self, other: Report) -> None:
        """Add what another comparison has found."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


class Sessions:
    """Makes sessions up and tells what the Python engine does in them.

    Args:
        network: what predicts; None for the toy network.
    """

    def __init__(self, network: Backend | None = None) -> None:
        self._checkpoint, self._language, self._layout = (
            Checkpoint.load(bundled_folder()),
            load_language(),
            load_layout(),
        )
        self.is_toy = network is None
        self._network = network
        self._parts = SuggesterParts.make(self._checkpoint.tokenizer, self._language, self._layout, SuggesterOptions())
        self._message: str | None = None  # what is left of it to be typed
        self._messages = [message for text in shipped_texts() for document in text.documents for message in document]
        self._swiper, self._hand = Swiper(self._layout), np.random.default_rng(0)

    def told(self, seed: int) -> tuple[Told, Told]:
        """Return the question about a session, and what Python answers."""
        asked, found, _, store = self._played(seed, None)
        answer = {"steps": found, "words": store.words(), "taken_back": [list(pair) for pair in store.blocks()]}
        store.close()
        return asked, answer

    def worths(self, seed: int, step: int) -> dict[str, float]:
        """Return what each offer was worth behind a step of a session, in nats, by what the slot reads."""
        _, _, session, store = self._played(seed, step)
        found: dict[str, float] = {}
        for row in session.explain():
            found.setdefault(row.offer.text, row.offer.log_joint)
        store.close()
        return found

    def _played(self, seed: int, last: int | None) -> tuple[Told, list[Told], Session, PersonalStore]:
        rng = random.Random(seed)
        self._hand = np.random.default_rng(seed)
        self._message = rng.choice(self._messages) if rng.random() < 0.5 else None
        device = rng.choice((*device_names(), "iphone-15"))
        budget_ms = rng.choice((2.0, 5.0, BUDGET_MS, BUDGET_MS, BUDGET_MS))
        seconds = count(step=600)
        store = PersonalStore.open(None, clock=lambda: float(next(seconds)), knows=self._language.lexicon.known)
        checkpoint = self._checkpoint
        toy = ToyNetwork(checkpoint.tokenizer, checkpoint.config)
        network = self._network or toy
        cost = load_device(device).cost(checkpoint.config)
        language, layout, parts = self._language, self._layout, self._parts

        def opened() -> Session:
            suggester = Suggester(network, checkpoint.tokenizer, language, layout, store, _OPTIONS, parts=parts)
            return Session(suggester, store, cost, budget_ms, language.editor)

        session, asked, found = opened(), [], []
        for number in range(rng.randint(5, 45)):
            event, do = self._next(rng, session)
            asked.append(do)
            if do == "restart":
                session.apply(FieldStarted())
                session = opened()
            found.append(_done(session, event, do))
            toy.calls.clear()
            if number == last:
                break
        question = {"steps": asked, "toy": self.is_toy, "device": device, "budget_ms": budget_ms}
        return question, found, session, store

    def _next(self, rng: random.Random, session: Session) -> tuple[Event | None, Any]:
        # The next letter of a message, or a slip, or whatever a keyboard may be told.
        roll = rng.random()
        if self._message is None:
            return self._any(rng, session)
        if roll < 0.05:
            return self._typed(rng, rng.choice(_LETTERS), is_touched=False)
        if roll < 0.09:
            return Backspaced(), ["Backspaced", {}]
        if roll < 0.13:
            return self._taken(rng, session.shown)
        if roll < 0.15:
            return None, rng.choice(("look", "late", "at once", "stale"))
        if roll < 0.2:
            return self._drawn(rng)
        char, self._message = self._message[:1] or " ", self._message[1:]
        return self._typed(rng, char, is_touched=rng.random() < 0.7)

    def _typed(self, rng: random.Random, char: str, is_touched: bool) -> tuple[Event, Any]:
        centre = self._layout.centre(char.lower()) if is_touched and len(char) == 1 else None
        if centre is None:
            return Typed(char), ["Typed", {"char": char}]
        tap = Tap(round(centre.x + rng.gauss(0, 0.23), 3), round(centre.y + rng.gauss(0, 0.18), 3))
        return Typed(char, tap), ["Typed", {"char": char, "tap": [tap.x, tap.y]}]

    def _drawn(self, rng: random.Random) -> tuple[Event, Any]:
        # The next word of the message, or of any other, and now and then what a hand does that means no word.
        words = (self._message or rng.choice(self._messages)).split() or ["hello"]
        word = words[0] if rng.random() < 0.8 else rng.choice(rng.choice(self._messages).split() or ["the"])
        if self._message is not None:
            self._message = self._message.lstrip()[len(words[0]) :].lstrip()
        points = [[round(x, 3), round(y, 3), round(t, 1)] for x, y, t in self._swiper.swipe(word, self._hand)]
        roll = rng.random()
        if roll < 0.05:
            points = points[: rng.randint(0, len(points))]
        elif roll < 0.08:
            points = [[rng.uniform(-3, 13), rng.uniform(-2, 6), 10.0 * place] for place in range(rng.randint(1, 60))]
        elif roll < 0.1:
            points = [[x, y, 0.0] for x, y, _ in points]
        return Swiped(tuple(PathPoint(*point) for point in points)), ["Swiped", {"path": points}]

    def _taken(self, rng: random.Random, answer: Answer) -> tuple[Event, Any]:
        if answer.ghost is not None and rng.random() < 0.5:
            ghost = GhostAccepted(answer.ghost.text, rng.random() < 0.5)
            return ghost, ["GhostAccepted", asdict(ghost)]
        if not answer.slots:
            return Typed(" "), ["Typed", {"char": " "}]
        slot = rng.choice(answer.slots)
        return SlotAccepted(slot.text, slot.replaced), ["SlotAccepted", {"word": slot.text, "replaced": slot.replaced}]

    def _any(self, rng: random.Random, session: Session) -> tuple[Event | None, Any]:
        def some(most: int) -> str:
            return "".join(rng.choices(_FRAGMENTS, k=rng.randint(0, most)))

        roll, flag, text = rng.random(), rng.random() < 0.3, session.text
        if roll < 0.5:
            return self._typed(rng, rng.choice(_FRAGMENTS), flag)
        if roll < 0.62:
            return Backspaced(), ["Backspaced", {}]
        if roll < 0.66:
            return ShiftPressed(flag), ["ShiftPressed", {"lock": flag}]
        if roll < 0.69:
            return self._drawn(rng)
        if roll < 0.76:
            return self._taken(rng, session.shown)
        if roll < 0.8:
            word, replaced = some(2), rng.choice((None, "", text[-rng.randint(1, 4) :]))
            return SlotAccepted(word, replaced), ["SlotAccepted", {"word": word, "replaced": replaced}]
        cursor = rng.randint(-1, len(text) + 1)
        if roll < 0.86:
            return CursorMoved(cursor), ["CursorMoved", {"cursor": cursor}]
        if roll < 0.9:
            return None, rng.choice(("look", "late", "at once", "stale", "restart"))
        changed = some(5)
        if roll < 0.96:
            return TextChanged(changed, cursor), ["TextChanged", {"text": changed, "cursor": cursor}]
        return FieldStarted(changed, flag), ["FieldStarted", {"text": changed, "is_private": flag}]


def _done(session: Session, event: Event | None, do: Any) -> Told:
    if do == "restart":
        return {}
    if do == "stale":
        shown = session.shown
        return {"is_shown": session.show(Answer(shown.slots, shown.correction, revision=session.revision - 1))}
    if event is None:
        late = {"look": session.suggest, "at once": session.suggest_at_once}
        return told_of_bar(session.suggest(deadline=float("-inf")) if do == "late" else late[do]())
    try:
        return {**told_of_event(session, event), **told_of_bar(session.suggest())}
    except PathError:
        return {"is_refused": True}


class Swift:
    """The other engine, as a process that answers a line for a line."""

    def __init__(self) -> None:
        command = [
            *(str(ROOT / "ios_demo" / "tools" / "swift.sh"), "exec", "replay", "--model", str(bundled_folder())),
            *("--words", str(ROOT / "ios_demo" / "Model")),
            *("--emoji", str(ROOT / "keyboard_lm" / "languages" / "en" / "emoji.tsv")),
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, asked: Told) -> None:
        """Send a session; what was asked before has to be answered."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Told:
        """Return what the engine makes of the session that was sent."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the Swift engine ended"
        found: Told = json.loads(line)
        return found

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def compare(seeds: Sequence[int], made_up: Sessions, swift: Swift) -> Report:
    """Run sessions through both engines, Swift a session behind Python, and return what differs."""
    report = Report()
    before: tuple[int, Told, Told] | None = None
    for seed in (*seeds, None):
        begun = time.perf_counter()
        told = None if seed is None else made_up.told(seed)
        report.python_s += time.perf_counter() - begun
        given = swift.answer() if before is not None else None
        if told is not None:
            swift.ask(told[0])
        if before is not None and given is not None:
            _compare(*before, given, made_up, report)
        before = None if seed is None or told is None else (seed, *told)
    return report


def _compare(seed: int, asked: Told, expected: Told, given: Told, made_up: Sessions, report: Report) -> None:
    report.sessions += 1
    report.steps += len(asked["steps"])
    report.bars += sum("slots" in step for step in expected["steps"])
    report.swipes += sum(step[0] == "Swiped" for step in asked["steps"])
    for number, (one, other) in enumerate(zip(given["steps"], expected["steps"], strict=True)):
        is_swiped = any(slot[1] == "swiped" for slot in other.get("slots", ()))
        relative = MODEL if not made_up.is_toy else SWIPED if is_swiped else EXACT
        differing = [name for name in other if not is_same(one.get(name), other[name], relative)]
        if not differing:
            continue
        name = differing[0]
        told = [seed, number, asked["steps"][number], name, one.get(name), other[name]]
        nats = _nats(one, other, made_up.worths(seed, number)) if set(differing) <= {"slots", "ghost"} else math.inf
        if nats <= NEAR:
            report.ties.append([*told, nats])  # what follows may follow from it
        else:
            report.differences.append([*told, nats])
        return
    for name in ("words", "taken_back"):
        if given[name] != expected[name]:
            report.differences.append([seed, -1, None, name, given[name], expected[name]])
            return
    if given["warnings"]:
        report.differences.append([seed, -1, None, "warnings", given["warnings"], []])


def _nats(one: Told, other: Told, worths: dict[str, float]) -> float:
    """Return how far apart Python has the offers that changed places on a bar, in nats; infinite for anything else."""
    mine, theirs = ([slot[0] for slot in told["slots"]] for told in (one, other))
    if one["ghost"] != other["ghost"] and mine == theirs:
        return math.inf
    moved = [pair for pair in zip(mine, theirs, strict=False) if pair[0] != pair[1]]
    if not moved or len(mine) != len(theirs):
        return math.inf
    return max(abs(worths.get(a, math.inf) - worths.get(b, -math.inf)) for a, b in moved)


def is_same(one: Any, other: Any, relative: float = 1e-5) -> bool:
    """Return whether two values of JSON are the same, numbers within a tolerance."""
    if isinstance(one, float) or isinstance(other, float):
        return isinstance(one, (int, float)) and abs(one - other) <= max(relative * max(abs(one), abs(other)), 1e-9)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(is_same(a, b, relative) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def _worked(seeds: range) -> Report:
    """Compare some sessions in a process that keeps both engines open."""
    global _engines
    if _engines is None:
        _engines = Sessions(), Swift()
    return compare(seeds, *_engines)


_engines: tuple[Sessions, Swift] | None = None  # of a worker


def _reports(chunks: Sequence[range], workers: int, minutes: float) -> Iterator[Report]:
    begun, rest = time.perf_counter(), list(reversed(chunks))
    with ProcessPoolExecutor(workers) as pool:
        running = {pool.submit(_worked, rest.pop()) for _ in range(min(workers, len(rest)))}
        while running:
            done = next(as_completed(running))
            running.remove(done)
            if rest and time.perf_counter() - begun < 60 * minutes:
                running.add(pool.submit(_worked, rest.pop()))
            yield done.result()


def model_sessions() -> Sessions:
    """Return sessions on the bundled weights, in fp32."""
    from keyboard_lm.backends.torch import TorchBackend

    return Sessions(TorchBackend.load(Checkpoint.load(bundled_folder())))


def main() -> None:
    """Compare as many sessions as asked for, and print the report as one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--minutes", type=float, default=1e9, help="no sessions are begun after so long")
    parser.add_argument("--workers", type=int, default=1, help="processes, each with both engines")
    parser.add_argument("--model", action="store_true", help="on the bundled weights, in one process")
    asked = parser.parse_args()
    end = asked.first + asked.sessions
    chunks = [range(start, min(start + CHUNK, end)) for start in range(asked.first, end, CHUNK)]
    if asked.model:
        made_up, swift = model_sessions(), Swift()
        reports: Iterator[Report] = (compare(chunk, made_up, swift) for chunk in chunks)
    else:
        reports = _reports(chunks, asked.workers, asked.minutes)
    total = Report()
    for report in reports:
        for found in (*report.differences, *report.ties):
            print(json.dumps(found), flush=True)
        total.add(report)
        told = f"{total.sessions} sessions, {total.bars} bars, {len(total.differences)} differences, {len(total.ties)}"
        print(f"{told} near ties", file=sys.stderr, flush=True)
    print(json.dumps({**vars(total), "differences": len(total.differences), "ties": len(total.ties)}))


if __name__ == "__main__":
    main()
