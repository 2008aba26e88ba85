"""One person at one phone: a session, the messages sent so far and what typing them took."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path

from keyboard_lm.device.budget import CallCost, device_names, load_device
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
from keyboard_lm.keyboard.session import Session, SessionOptions
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.personal import PersonalStore
from keyboard_lm.text.graphemes import cluster_start, is_break
from keyboard_lm.touch.layout import Layout, Tap, load_layout
from keyboard_lm.touch.path import PathPoint


class Phone:
    """A session that is typed on; after every key the bar is new.

    Args:
        session: the keyboard; its field is empty.
        layout: of its keys.
        costs: of the network's calls on each device that can be chosen.
        device: the one whose costs the session counts with.

    Attributes:
        layout: of its keys.
        device: whose time is estimated.
        sent: messages, the latest last.
        num_keys: presses so far that did something to a field: keys (a pasted character is one), shift, slots, ghosts.
        host_ms: what each press took on this machine.
        letters: the probability of each letter to be typed next, where it is known.
    """

    def __init__(self, session: Session, layout: Layout, costs: Mapping[str, CallCost], device: str) -> None:
        self.layout = layout
        self.device = device
        self.sent: list[str] = []
        self.num_keys = 0
        self.host_ms: list[float] = []
        self.letters: dict[str, float] = {}
        self._session = session
        self._costs = costs
        self._look()

    @classmethod
    def open(cls, folder: Path | None = None, options: SessionOptions | None = None) -> Phone:
        """Open a phone over a checkpoint; None is the bundled model.

        Raises:
            KeyboardLMError: the checkpoint, the personal file, or an option; the message says what to do.
        """
        options = options or SessionOptions()
        folder = folder or bundled_folder()
        layout, device = load_layout(options.layout), load_device(options.device)
        config = Checkpoint.load(folder).config
        costs = {name: load_device(name).cost(config) for name in device_names()}
        return cls(Session.open(folder, options), layout, costs, device.name)

    def close(self) -> None:
        """Learn the last word and close the personal file."""
        self._session.close()

    @property
    def text(self) -> str:
        """The text of the field."""
        return self._session.text

    @property
    def cursor(self) -> int:
        """The cursor's offset in it."""
        return self._session.cursor

    @property
    def shift(self) -> str:
        """Which letters the keys show: "off", "on" for the next one, or "lock"."""
        return self._session.shift

    @property
    def answer(self) -> Answer:
        """The bar and what it took."""
        return self._session.shown

    @property
    def applied_slot(self) -> int | None:
        """Which slot a space would apply; None where the typed word would stay."""
        correction = self.answer.correction
        if correction is None:
            return None
        slots = [(slot.text, slot.replaced) for slot in self.answer.slots]
        wanted = (correction.text, correction.replaced)
        return slots.index(wanted) if wanted in slots else None

    @property
    def budget_ms(self) -> float:
        """Of one answer, on the device."""
        return self._session.budget_ms

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong without stopping anything."""
        return self._session.warnings

    @property
    def personal(self) -> PersonalStore:
        """What was learned."""
        return self._session.personal

    @property
    def num_chars(self) -> int:
        """Characters of the messages, the one in the field included."""
        return sum(map(len, self.sent)) + len(self.text)

    @property
    def savings(self) -> float | None:
        """Keystroke savings in percent: 100 (C - K) / C for C characters and K keys; None before the first."""
        return 100 * (self.num_chars - self.num_keys) / self.num_chars if self.num_chars else None

    def type(self, char: str, tap: Tap | None = None) -> None:
        """Press a key, touched at `tap`."""
        self._press(Typed(char, tap))

    def swipe(self, path: tuple[PathPoint, ...]) -> None:
        """Swipe a word; where none fits nothing happens."""
        before = self.text
        self._session.apply(Swiped(path))
        if self.text != before:
            self.num_keys += 1
            self._look()
            self.host_ms.append(self.answer.host_ms)

    def backspace(self) -> None:
        """Press backspace."""
        self._press(Backspaced())

    def press_shift(self, lock: bool = False) -> None:
        """Press shift; a second press with `lock` is caps lock."""
        self._press(ShiftPressed(lock))

    def accept_slot(self, number: int) -> None:
        """Take a slot, counted from 0; nothing happens where there is none."""
        if 0 <= number < len(self.answer.slots):
            slot = self.answer.slots[number]
            self._press(SlotAccepted(slot.text, slot.replaced))

    def accept_first(self) -> None:
        """Take the ghost text, or the first slot where there is none."""
        if not self._accept_ghost(only_word=False):
            self.accept_slot(0)

    def step_right(self) -> None:
        """Take one word of the ghost text, or move the cursor one character on where there is none."""
        if not self._accept_ghost(only_word=True):
            places = range(self.cursor + 1, len(self.text) + 1)
            self._move(next((place for place in places if is_break(self.text, place)), self.cursor))

    def step_left(self) -> None:
        """Move the cursor one character back."""
        self._move(cluster_start(self.text, self.cursor))

    def paste(self, text: str) -> None:
        """Put text in at the cursor; line breaks become spaces, control characters are left out."""
        spaced = "".join(" " if char.isspace() else char for char in text.strip("\r\n"))
        pasted = "".join(char for char in spaced if unicodedata.category(char) not in ("Cc", "Cs"))
        if not pasted:
            return
        before, after = self.text[: self.cursor], self.text[self.cursor :]
        self._session.apply(TextChanged(before + pasted + after, self.cursor + len(pasted)))
        self.num_keys += len(pasted)
        self._look()

    def send(self) -> None:
        """Send the message as it stands, but for spaces around it, and start the next; an empty one stays."""
        if message := self.text.strip():
            self.sent.append(message)
            self._session.apply(FieldStarted())
            self._look()

    def next_device(self) -> None:
        """Count with the next device from now on; what is known already is not computed again."""
        names = list(self._costs)
        self.device = names[(names.index(self.device) + 1) % len(names)]
        self._session.cost = self._costs[self.device]
        self._look()

    def look(self) -> None:
        """Make the bar anew: what was learned may be another."""
        self._session.show(Answer(revision=self._session.revision, stage="cached"))
        self._look()

    def _accept_ghost(self, only_word: bool) -> bool:
        ghost = self.answer.ghost
        if ghost is not None:
            self._press(GhostAccepted(ghost.text, only_word))
        return ghost is not None

    def _move(self, cursor: int) -> None:
        if cursor != self.cursor:
            self._session.apply(CursorMoved(cursor))
            self._look()

    def _press(self, event: Event) -> None:
        self._session.apply(event)
        self.num_keys += 1
        self._look()
        self.host_ms.append(self.answer.host_ms)

    def _look(self) -> None:
        self._session.suggest()
        self.letters = self._session.next_letters()
