"""Random events over all of Unicode against a whole keyboard: nothing fails, and its laws hold after every event.

    python tests/benchmarks/fuzz_sessions.py [--num 100000] [--seed 0] [--jobs 2] [--only SEED]

Each fuzzed session is 1 to 30 events on the bundled model: letters, taps, fragments that meet the interesting rules,
any code points, backspaces, shift, cursor moves, pasted text, new and private fields, slots and ghost text from the bar
as it was shown, budgets and deadlines. `--only` repeats one. Prints failures, a count by event, and one JSON line last;
the exit status is 1 if a law was broken.

The laws: what is typed and deleted at once was never typed; where a space would replace what was typed, a bar of three
has that in a slot, and taking it keeps it; backspace restores what a correction replaced, byte for byte, and it is not
made again; an accepted suggestion is there once; a bar has no word twice and nothing offensive; probabilities are
probabilities; an answer keeps its budget; an answer to an older state is refused; private fields teach nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from keyboard_lm.keyboard.bar import Answer, Slot
from keyboard_lm.keyboard.events import (
    Backspaced,
    CursorMoved,
    Edit,
    Event,
    FieldStarted,
    GhostAccepted,
    ShiftPressed,
    SlotAccepted,
    TextChanged,
    Typed,
)
from keyboard_lm.keyboard.session import Session, SessionOptions
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import normalise
from keyboard_lm.text.graphemes import cluster_start
from keyboard_lm.touch.layout import Tap

FRAGMENTS = (
    *(
        "teh",
        "wrold",
        "dont",
        "i",
        "I",
        "inthe",
        "t he",
        "form",
        "goign",
        "e.g.",
        "3.5",
        "10:30",
        "ß",
        "İ",
        "é",
        "שלום",
    ),
    *("hello", "how are you", "I am goi", "thank you so m", "www.x.y", "a@b.c", "kr\u0301", "ﬁ", "ﷺ", "क्षि", "ǅ", "ŉ"),
    *(" ", "  ", "\n", "\t", "\u2028", "\u00a0", "'", "\u2019", '"', "(", ")", "-", "@", "#", "_", "⁀", "▁", "␣"),
    *(".", ",", "!", "?", "…", "،", "。", "%", "$", ":)", "\r\n", "\x1f", "<s>", "</s>", "\x00", "\ud800", "\udfff"),
    *("👩\u200d👧", "👍🏽", "🇩🇪", "❤\ufe0f", "1\ufe0f\u20e3", "\ufe0f", "\u200d", "\u0301", "\u202e"),
)
MAX_EVENTS = 30
NUM_SLOTS = 3
BUDGETS_MS = (0.0, 0.5, 1.0, 2.0, 5.0, 20.0)
CHUNK = 50  # sessions of one task


class Broken(AssertionError):
    """A law does not hold."""


def law(holds: object, what: str) -> None:
    """Raise if a law does not hold."""
    if not holds:
        raise Broken(what)


def any_char(rng: random.Random) -> str:
    """Draw a code point: mostly from where letters and signs are, sometimes from anywhere, surrogates included."""
    return chr(rng.choice((rng.randrange(0x20, 0x7F), rng.randrange(0x3000), rng.randrange(0x110000))))


def any_text(rng: random.Random) -> str:
    """Draw a text to be pasted."""
    return "".join(rng.choice(FRAGMENTS) if rng.random() < 0.8 else any_char(rng) for _ in range(rng.randrange(6)))


class Fuzzer:
    """One keyboard and the sessions on it."""

    def __init__(self) -> None:
        self.session = Session.open(options=SessionOptions(num_threads=1))
        self.counts: Counter[str] = Counter()

    def run(self, seed: int) -> None:
        """Run the session of a seed.

        Raises:
            Broken: a law does not hold.
        """
        rng = random.Random(seed)
        self.session.budget_ms = rng.choice(BUDGETS_MS)
        self.session.forget()
        self.session.personal.clear()
        self.send(FieldStarted("", is_private=rng.random() < 0.2))
        is_private_only = self.session.is_private
        for _ in range(rng.randint(1, MAX_EVENTS)):
            self.step(rng)
            is_private_only = is_private_only and self.session.is_private
        self.send(FieldStarted())
        law(not is_private_only or not self.session.personal.num_words(), "a private field taught something")

    def step(self, rng: random.Random) -> None:
        """Do something at random, as a user might, and look at the bar."""
        acts = (self.type, self.type, self.type, self.type_fragment, self.type_fragment, self.backspace, self.accept,
                self.accept, self.accept_ghost, self.elsewhere, self.type_and_delete, self.correct_and_undo,
                self.keep_literal)  # fmt: skip
        act = rng.choice(acts)
        self.counts[act.__name__] += 1
        act(rng)
        if rng.random() < 0.8:
            self.look(rng)

    def send(self, event: Event) -> Edit:
        """Send an event; the edit it gives must lead from the text before to the text after."""
        session = self.session
        before, after = session.text[: session.cursor], session.text[session.cursor :]
        edit = session.apply(event)
        if not isinstance(event, (CursorMoved, TextChanged, FieldStarted)):
            law(before.endswith(edit.deleted_before), "what is deleted was not there")
            law(after.startswith(edit.deleted_after), "what is deleted behind the cursor was not there")
            start = before[: len(before) - len(edit.deleted_before)] + edit.inserted
            law(session.text == start + after[len(edit.deleted_after) :], "the edit does not give the text")
            law(session.cursor == len(start), "the edit does not give the cursor")
        return edit

    def look(self, rng: random.Random) -> Answer:
        """Ask for the bar and check it."""
        session = self.session
        if rng.random() < 0.1:
            early = session.suggest_at_once()
            law(early.num_model_calls == 0, "a call that was not allowed")
        old = replace(session.shown, revision=session.revision - 1)
        law(not session.show(old), "a stale answer was shown")
        deadline = rng.choice((None, None, None, time.perf_counter(), time.perf_counter() + 0.001))
        answer = session.suggest(deadline)
        self.check(answer)
        return answer

    def check(self, answer: Answer) -> None:
        """Check the laws of a bar."""
        before = self.session.text[: self.session.cursor]
        law(answer.revision == self.session.revision, "an answer to another state")
        law(len(answer.slots) <= NUM_SLOTS, "too many slots")
        law(answer.device_ms <= self.session.budget_ms + 1e-9, "over the budget")
        offered = [slot for slot in answer.slots if slot.kind != "literal"]
        law(len({fold(slot.text) for slot in offered}) == len(offered), "a word twice in the bar")
        for slot in answer.slots:
            law(slot.text, "an empty slot")
            law(0 <= slot.probability <= 1 + 1e-6, f"probability {slot.probability}")
            law(normalise(before).endswith(normalise(slot.replaced)), "a slot for something else than the text")
            law(slot.kind == "literal" or not self.is_offensive(slot.text), f"offensive: {slot.text}")
        correction = answer.correction
        if correction is not None:
            law(before.endswith(correction.replaced), "a correction of something else than the text")
            law(correction.text != correction.replaced, "a correction that changes nothing")
            law(not self.is_offensive(correction.text), f"offensive correction: {correction.text}")
            is_shown = any(slot.kind == "literal" or slot.text == correction.text for slot in answer.slots)
            law(is_shown, "no slot for the literal nor for what a space would put in its place")
        if answer.ghost is not None:
            law(0 < answer.ghost.probability <= 1 + 1e-6, "probability of a ghost")

    def is_offensive(self, text: str) -> bool:
        """Return whether any word of a text must not be offered."""
        return any(map(self.session.is_offensive, text.split()))

    def tap(self, char: str, rng: random.Random) -> Tap | None:
        """Draw where a key was touched."""
        return Tap(rng.uniform(-1, 11), rng.uniform(-1, 5)) if rng.random() < 0.3 else None

    def type(self, rng: random.Random) -> None:
        """Press a key."""
        char = rng.choice("abcdefghijklmnopqrstuvwxyz  .'") if rng.random() < 0.8 else any_char(rng)
        self.send(Typed(char, self.tap(char, rng)))

    def type_fragment(self, rng: random.Random) -> None:
        """Press some keys."""
        fragment = rng.choice(FRAGMENTS)
        for char in fragment if rng.random() < 0.8 else [fragment]:
            self.send(Typed(char, self.tap(char, rng)))

    def backspace(self, rng: random.Random) -> None:
        """Delete."""
        self.send(Backspaced())

    def elsewhere(self, rng: random.Random) -> None:
        """Do something to the field, or to shift."""
        length = len(self.session.text)
        events = (
            CursorMoved(rng.randint(-2, length + 2)),
            TextChanged(any_text(rng), rng.randint(-1, 12)),
            FieldStarted(any_text(rng), is_private=rng.random() < 0.3),
            ShiftPressed(lock=rng.random() < 0.3),
        )
        self.send(rng.choice(events))

    def accept(self, rng: random.Random) -> None:
        """Take a slot."""
        session = self.session
        slots = self.look(rng).slots
        if slots:
            self.take(rng.choice(slots))
        else:
            law(session.shown.revision == session.revision, "no answer")

    def take(self, slot: Slot) -> None:
        """Take a slot and check that its word is there once."""
        text, cursor = self.session.text, self.session.cursor
        edit = self.send(SlotAccepted(slot.text, slot.replaced))
        law(edit.inserted.strip(" ") == slot.text.strip(" "), "not the accepted word")
        law(edit.inserted in _spaced(slot.text), "the accepted word and something else")
        gone = len(edit.deleted_before)
        law(text[: cursor - gone] + edit.inserted == self.session.text[: self.session.cursor], "not where it belongs")
        law(slot.replaced or not gone, "a next word that replaces something")

    def accept_ghost(self, rng: random.Random) -> None:
        """Take the ghost text."""
        ghost = self.look(rng).ghost
        if ghost is not None:
            before = self.session.text[: self.session.cursor]
            edit = self.send(GhostAccepted(ghost.text, only_word=rng.random() < 0.5))
            law(not edit.deleted_before, "ghost text that replaces something")
            law(self.session.text.startswith(before), "ghost text that changes what is there")
            law(ghost.text.startswith(edit.inserted.rstrip(" ")), "not the ghost text")

    def type_and_delete(self, rng: random.Random) -> None:
        """Type a letter and delete it: it was never typed."""
        session = self.session
        bar = self.look(rng)
        text, cursor = session.text, session.cursor
        edit = self.send(Typed(rng.choice("abcxyz")))
        if edit.deleted_before or cluster_start(session.text, session.cursor) != cursor:
            return
        self.send(Backspaced())
        law((session.text, session.cursor) == (text, cursor), "typed and deleted, and yet something changed")
        again = session.suggest()
        if bar.stage == again.stage == "full":
            same = {fold(slot.text) for slot in bar.slots} == {fold(slot.text) for slot in again.slots}
            law(same, "another bar than before")  # but for the case of a capital that shift had asked for

    def correct_and_undo(self, rng: random.Random) -> None:
        """End a word; if that corrects it, take it back."""
        session = self.session
        self.send(Typed(" "))
        self.type_word(rng.choice(("teh", "wrold", "dont", "inthe", "goign", "Thsi", "i")), rng)
        self.look(rng)
        text, cursor = session.text, session.cursor
        end = rng.choice(" .,!?\n")
        edit = self.send(Typed(end))
        if edit.correction is not None:
            undo = self.send(Backspaced())
            law(undo.undone is not None, "a correction that backspace does not take back")
            law(session.text == text[:cursor] + end + text[cursor:], "not restored byte for byte")
            self.send(Backspaced())
            law(session.text == text, "not restored before its end")
            law(self.look(rng).correction != edit.correction, "corrected again")

    def keep_literal(self, rng: random.Random) -> None:
        """Take the literal where a space would replace it."""
        self.type_word(rng.choice(("teh", "wrold", "dont", "xqzj")), rng)
        answer = self.look(rng)
        literal = next((slot for slot in answer.slots if slot.kind == "literal"), None)
        if literal is not None:
            before = self.session.text[: self.session.cursor]
            self.take(literal)
            law(self.session.text.startswith(before), "the literal was changed")
            edit = self.send(Typed(" "))
            law(edit.correction is None, "the literal was corrected after it was taken")

    def type_word(self, word: str, rng: random.Random) -> None:
        """Type a word, looking at the bar now and then."""
        for char in word:
            self.send(Typed(char))
            if rng.random() < 0.5:
                self.session.suggest()


def _spaced(word: str) -> tuple[str, ...]:
    return word, f"{word} ", f" {word}", f" {word} "


_fuzzer: Fuzzer | None = None


def run_chunk(first: int, last: int) -> tuple[Counter[str], list[tuple[int, str]]]:
    """Run sessions one after the other; return a count of what was done and the failures."""
    global _fuzzer
    _fuzzer = _fuzzer or Fuzzer()
    _fuzzer.counts.clear()
    failures = []
    for seed in range(first, last):
        try:
            _fuzzer.run(seed)
        except Exception:
            failures.append((seed, traceback.format_exc()))
            _fuzzer = Fuzzer()
    return Counter(_fuzzer.counts), failures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=100_000, help="sessions")
    parser.add_argument("--seed", type=int, default=0, help="of the first one")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", type=int, help="run the session of this seed and show its failure")
    options = parser.parse_args()
    if options.only is not None:
        Fuzzer().run(options.only)
        return
    begun = time.perf_counter()
    starts = range(options.seed, options.seed + options.num, CHUNK)
    ends = [min(start + CHUNK, options.seed + options.num) for start in starts]
    counts: Counter[str] = Counter()
    failures: list[tuple[int, str]] = []
    with ProcessPoolExecutor(options.jobs) as pool:
        for done, (chunk, broken) in enumerate(pool.map(run_chunk, starts, ends), 1):
            counts += chunk
            failures += broken
            for seed, trace in broken:
                print(f"seed {seed}:\n{trace}", flush=True)
            if done % 40 == 0:
                print(f"{done * CHUNK:,} sessions, {len(failures)} failures", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - begun
    for name, number in counts.most_common():
        print(f"{name:20} {number:10,}")
    print(f"{options.num:,} sessions, {len(failures)} failures, {seconds:.0f} s")
    print(json.dumps({"sessions": options.num, "failures": [seed for seed, _ in failures], "seconds": seconds}))
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
