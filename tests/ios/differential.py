"""The same random sessions through both engines: `python -m tests.ios.differential --sessions 1000`.

Both run on the toy network of the golden files, whose logits are the same to the last bit. Python makes a session up as
it goes - half of them messages typed with slips, half anything that Unicode has - and Swift replays it
(`keyboard-lm-swift replay`); every edit, every bar and all that was learned is compared. A difference is a near tie
where the entries that changed places are within a thousandth of each other in Python's own figures.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from keyboard_lm.device.budget import BUDGET_MS, device_names, load_device
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
    TextChanged,
    Typed,
)
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.keyboard.session import Session
from keyboard_lm.keyboard.suggester import Suggester, SuggesterOptions, SuggesterParts
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.personal import PersonalStore
from keyboard_lm.touch.layout import Tap, load_layout

from ..golden.session_laws import told_of_bar, told_of_event
from ..golden.toy_network import ToyNetwork

ROOT = Path(__file__).parents[2]
NEAR = 1e-3
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
        differences: session, step, field, what Swift said and what Python.
    """

    sessions: int = 0
    steps: int = 0
    bars: int = 0
    near_ties: int = 0
    differences: list[list[Any]] = field(default_factory=list)
    python_s: float = 0.0
    swift_s: float = 0.0


class Sessions:
    """Makes sessions up and tells what the Python engine does in them."""

    def __init__(self) -> None:
        self._checkpoint, self._language, self._layout = (
            Checkpoint.load(bundled_folder()),
            load_language(),
            load_layout(),
        )
        self._parts = SuggesterParts.make(self._checkpoint.tokenizer, self._language, self._layout, SuggesterOptions())
        self._message: str | None = None  # what is left of it to be typed
        self._messages = [message for text in shipped_texts() for document in text.documents for message in document]

    def told(self, seed: int) -> tuple[Told, Told]:
        """Return the question about a session, and what Python answers."""
        rng = random.Random(seed)
        self._message = rng.choice(self._messages) if rng.random() < 0.5 else None
        device = rng.choice((*device_names(), "iphone-15"))
        budget_ms = rng.choice((2.0, 5.0, BUDGET_MS, BUDGET_MS, BUDGET_MS))
        seconds = count(step=600)
        store = PersonalStore.open(None, clock=lambda: float(next(seconds)), knows=self._language.lexicon.known)
        checkpoint = self._checkpoint
        network = ToyNetwork(checkpoint.tokenizer, checkpoint.config)
        cost = load_device(device).cost(checkpoint.config)
        language, layout, parts = self._language, self._layout, self._parts

        def opened() -> Session:
            suggester = Suggester(network, checkpoint.tokenizer, language, layout, store, _OPTIONS, parts=parts)
            return Session(suggester, store, cost, budget_ms, language.editor)

        session, asked, found = opened(), [], []
        for _ in range(rng.randint(5, 45)):
            event, do = self._next(rng, session)
            asked.append(do)
            if do == "restart":
                session.apply(FieldStarted())
                session = opened()
            found.append(_done(session, event, do))
            network.calls.clear()
        answer = {"steps": found, "words": store.words(), "taken_back": [list(pair) for pair in store.blocks()]}
        store.close()
        return {"steps": asked, "toy": True, "device": device, "budget_ms": budget_ms}, answer

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
        char, self._message = self._message[:1] or " ", self._message[1:]
        return self._typed(rng, char, is_touched=rng.random() < 0.7)

    def _typed(self, rng: random.Random, char: str, is_touched: bool) -> tuple[Event, Any]:
        centre = self._layout.centre(char.lower()) if is_touched and len(char) == 1 else None
        if centre is None:
            return Typed(char), ["Typed", {"char": char}]
        tap = Tap(round(centre.x + rng.gauss(0, 0.23), 3), round(centre.y + rng.gauss(0, 0.18), 3))
        return Typed(char, tap), ["Typed", {"char": char, "tap": [tap.x, tap.y]}]

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
    return {**told_of_event(session, event), **told_of_bar(session.suggest())}


class Swift:
    """The other engine, as a process that answers a line for a line."""

    def __init__(self) -> None:
        command = [
            *(str(ROOT / "ios_demo" / "tools" / "swift.sh"), "exec", "replay", "--model", str(bundled_folder())),
            *("--words", str(ROOT / "ios_demo" / "Model")),
            *("--emoji", str(ROOT / "keyboard_lm" / "languages" / "en" / "emoji.tsv")),
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answer(self, asked: Told) -> Told:
        """Return what the engine makes of a session."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the Swift engine ended: {asked}"
        found: Told = json.loads(line)
        return found

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def compare(seeds: Sequence[int], swift: Swift, report: Report) -> Report:
    """Run sessions through both engines and add what differs to a report."""
    made_up = Sessions()
    for seed in seeds:
        begun = time.perf_counter()
        asked, expected = made_up.told(seed)
        told = time.perf_counter()
        given = swift.answer(asked)
        report.python_s += told - begun
        report.swift_s += time.perf_counter() - told
        report.sessions += 1
        report.steps += len(asked["steps"])
        report.bars += sum("slots" in step for step in expected["steps"])
        _compare(seed, asked, given, expected, report)
    return report


def _compare(seed: int, asked: Told, given: Told, expected: Told, report: Report) -> None:
    for number, (one, other) in enumerate(zip(given["steps"], expected["steps"], strict=True)):
        differing = [name for name in other if not is_same(one.get(name), other[name])]
        if differing and _is_near_tie(one, other, differing):
            report.near_ties += 1  # what follows may follow from it
            return
        if differing:
            name = differing[0]
            report.differences.append([seed, number, asked["steps"][number], name, one.get(name), other[name]])
            return
    for name in ("words", "taken_back"):
        if given[name] != expected[name]:
            report.differences.append([seed, -1, None, name, given[name], expected[name]])
            return
    if given["warnings"]:
        report.differences.append([seed, -1, None, "warnings", given["warnings"], []])


def is_same(one: Any, other: Any, relative: float = 1e-5) -> bool:
    """Return whether two values of JSON are the same, numbers within a tolerance."""
    if isinstance(one, float) or isinstance(other, float):
        return isinstance(one, (int, float)) and abs(one - other) <= max(relative * max(abs(one), abs(other)), 1e-9)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(is_same(a, b, relative) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def _is_near_tie(one: Told, other: Told, differing: list[str]) -> bool:
    if differing != ["slots"] or len(one["slots"]) != len(other["slots"]):
        return False
    pairs = zip(one["slots"], other["slots"], strict=True)
    return all(is_same(a[3], b[3], NEAR) for a, b in pairs) and sorted(s[0] for s in one["slots"]) == sorted(
        s[0] for s in other["slots"]
    )


def main() -> None:
    """Compare as many sessions as asked for, and print the report as one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--minutes", type=float, default=1e9, help="no session is begun after so long")
    asked = parser.parse_args()
    swift, report, begun, num_told = Swift(), Report(), time.perf_counter(), 0
    for start in range(asked.first, asked.first + asked.sessions, 100):
        if time.perf_counter() - begun > 60 * asked.minutes:
            break
        compare(range(start, min(start + 100, asked.first + asked.sessions)), swift, report)
        for difference in report.differences[num_told:]:
            print(json.dumps(difference), flush=True)
        num_told = len(report.differences)
        print(f"{report.sessions} sessions, {num_told} differences", file=sys.stderr, flush=True)
    swift.close()
    print(json.dumps({**asdict(report), "differences": len(report.differences)}))


if __name__ == "__main__":
    main()
