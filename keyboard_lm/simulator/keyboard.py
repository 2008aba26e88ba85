"""The keyboard as it is drawn and touched."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text
from textual import events
from textual.color import Color
from textual.message import Message
from textual.widget import Widget

from keyboard_lm.simulator.keys import Key, KeyPage
from keyboard_lm.touch.layout import SPACE, Tap
from keyboard_lm.touch.path import MAX_POINTS, PathPoint, is_tap

_KEY, _LIKELY, _OTHER = Color.parse("#3b4252"), Color.parse("#1aa37a"), Color.parse("#2b303b")
_PRESSED = Color.parse("#88c0d0")
_LETTER = Color.parse("#ffffff")
_SHORT = {"123": "#", "abc": "a", "send": "⏎", "space": "␣"}  # where a key is too small for its label
_MAX_UNIT, _MAX_HEIGHT = 6, 3  # cells of one key
_DOUBLE_S = 0.4  # from one press of shift to a second that locks it


class Keyboard(Widget):
    """A page of keys; the brighter a letter, the more probable it is to come next.

    Args:
        page: the keys.
        clock: seconds that only go forward.
    """

    @dataclass
    class Pressed(Message):
        """A key was touched.

        Attributes:
            key: which.
            tap: where, if the layout knows the key.
            is_double: whether it is the second time in a short while.
        """

        key: Key
        tap: Tap | None
        is_double: bool

    @dataclass
    class Swiped(Message):
        """The pointer was drawn over letters.

        Attributes:
            path: from where it came down to where it was lifted.
        """

        path: tuple[PathPoint, ...]

    def __init__(self, page: KeyPage, clock: Callable[[], float]) -> None:
        super().__init__(id="keyboard")
        self._page = page
        self._clock = clock
        self._letters: dict[str, float] = {}
        self._shift = "off"
        self._last: tuple[Key, float] | None = None
        self._path: list[PathPoint] = []  # while the pointer is down on letters
        self._trail: set[tuple[int, int]] = set()  # cells, (column, line)
        self._unit = self._height = 1

    def fit(self, columns: int, lines: int) -> int:
        """Make the keys as large as so many cells allow; return the keyboard's columns."""
        self._unit = min(max(int(columns / self._page.width), 1), _MAX_UNIT)
        self._height = min(max(lines // len(self._page.rows), 1), _MAX_HEIGHT)
        columns = math.ceil(self._page.width * self._unit)
        self.styles.width, self.styles.height = columns, len(self._page.rows) * self._height
        return columns

    def show(self, page: KeyPage, shift: str, letters: dict[str, float]) -> None:
        """Draw a page, with the letters' case and their probabilities."""
        self._page, self._shift, self._letters = page, shift, letters
        self.refresh()

    def place_of(self, column: int, line: int) -> Tap:
        """Return where the middle of a cell is on the keyboard."""
        return Tap((column + 0.5) / self._unit, (line + 0.5) / self._height)

    def cell_of(self, label: str) -> tuple[int, int]:
        """Return a cell in the middle of the key with a label.

        Raises:
            StopIteration: no key on this page has it.
        """
        key = next(key for row in self._page.rows for key in row if key.label == label)
        return int((key.left + key.right) / 2 * self._unit), int((key.row + 0.5) * self._height)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Report the key that was touched; a letter is reported when it is let go, for it may begin a swipe."""
        key = self._page.key_at(self.place_of(int(event.x), int(event.y)))
        if key is None or event.button != 1:
            return
        if key.has_place and key.label != SPACE:
            self._path = []
            self._draw_to(event)
            self.capture_mouse()
        else:
            self._report(key, self.place_of(int(event.x), int(event.y)))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Draw on, as far as the terminal reports motion."""
        if self._path:
            self._draw_to(event)
            self.refresh()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Report the swipe, or the letter that the pointer stayed on."""
        if not self._path:
            return
        self._draw_to(event)
        path, self._path, self._trail = tuple(self._path), [], set()
        self.release_mouse()
        self.refresh()
        first = Tap(path[0].x, path[0].y)
        key = self._page.key_at(first)
        if not is_tap(path):
            self.post_message(self.Swiped(path))
        elif key is not None:
            self._report(key, first)

    def _draw_to(self, event: events.MouseEvent) -> None:
        column, line = int(event.x), int(event.y)
        place = self.place_of(column, line)
        if len(self._path) < MAX_POINTS:
            self._path.append(PathPoint(place.x, place.y, self._clock() * 1000))
        self._trail.add((column, line))

    def _report(self, key: Key, place: Tap) -> None:
        now = self._clock()
        is_double = self._last is not None and self._last[0] == key and now - self._last[1] < _DOUBLE_S
        self._last = None if is_double else (key, now)
        self.post_message(self.Pressed(key, place if key.has_place else None, is_double))

    def render(self) -> Text:
        """Draw all keys."""
        lines = [self._line(row, part) for row in range(len(self._page.rows)) for part in range(self._height)]
        for column, number in self._trail:
            if 0 <= number < len(lines) and column >= 0:
                lines[number].stylize(Style(bgcolor=_PRESSED.rich_color), column, column + 1)
        return Text("\n", no_wrap=True).join(lines)

    def _line(self, row: int, part: int) -> Text:
        line = Text(no_wrap=True)
        for key in self._page.rows[row]:
            start, stop = (math.ceil(edge * self._unit - 0.5) for edge in (key.left, key.right))
            line.append(" " * (start - len(line)))
            width = stop - start - 1  # a gap between keys
            colour = self._colour(key)
            if self._height > 1 and part == self._height - 1:
                line.append("▀" * width, Style(color=colour.rich_color))
                continue
            label = self._label(key) if part == (self._height - 1) // 2 else ""
            label = label if len(label) <= width else _SHORT.get(label, "")
            text_style = Style(color=_LETTER.rich_color, bgcolor=colour.rich_color, bold=key.action == "type")
            line.append(label.center(width), text_style)
            line.append(" ")
        return line

    def _label(self, key: Key) -> str:
        if key.action == "shift":
            return "⇪" if self._shift == "lock" else key.label
        if key.label == SPACE:
            return "space"
        upper = key.label.upper()
        return upper if key.has_place and self._shift != "off" and len(upper) == 1 else key.label

    def _colour(self, key: Key) -> Color:
        if key.action == "shift":
            return _PRESSED if self._shift != "off" else _OTHER
        if key.action != "type":
            return _OTHER
        probability = self._letters.get(key.label, 0.0) if key.has_place else 0.0
        return _KEY.blend(_LIKELY, math.sqrt(probability))
