"""The application: keys and touches in, the phone's screen out."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.geometry import Size
from textual.widgets import Static

from keyboard_lm.errors import KeyboardLMError
from keyboard_lm.simulator.keyboard import Keyboard
from keyboard_lm.simulator.keys import KeyPage, Page
from keyboard_lm.simulator.learned import LearnedScreen
from keyboard_lm.simulator.panels import Figures, Latency, MessageField, SentMessages, SuggestionBar
from keyboard_lm.simulator.phone import Phone
from keyboard_lm.touch.layout import SPACE, Tap

MIN_COLUMNS, MIN_LINES = 40, 16
_WIDE_COLUMNS = 76  # from here on the figures have room beside the phone
_FIGURES_COLUMNS = 32
_TALL_LINES = 21  # from here on the field has two lines and the help is shown
_WIDE_LINES, _NARROW_LINES = 9, 14  # besides the keys

_HELP = "Tab_take  →_one_word  {}_slot  F3_digits  Enter_send  F2_device  F4_learned  Esc_quit"  # "_" is never broken


class Simulator(App[None]):
    """A phone in the terminal.

    Args:
        phone: what is typed on.
        num_slots: of its bar.
        clock: seconds that only go forward; by it a second press of shift is soon enough to lock.

    Attributes:
        failure: what ended the application early; None if nothing did.
    """

    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    CSS = """
    Screen { align: center middle; }
    #main { layout: vertical; align: center top; height: 1fr; max-height: 30; }
    #phone { height: 1fr; }
    #sent { height: 1fr; content-align: right bottom; text-align: right; }
    #field { border: round #4c566a; padding: 0 1; height: 4; }
    #bar { height: 1; background: #2b303b; color: #eceff4; }
    #keyboard { margin-top: 1; }
    #side { height: auto; padding: 0 1; }
    #help { height: auto; color: #9aa3b2; text-align: center; }
    #small { display: none; width: 100%; text-align: center; }
    Latency > .sparkline--min-color { color: #1aa37a; }
    Latency > .sparkline--max-color { color: #d08770; }
    .wide #main { layout: horizontal; align: center middle; }
    .wide #side { height: 100%; padding: 1 0 0 2; }
    .short #field { height: 3; }
    .short #keyboard { margin-top: 0; }
    .short #help { display: none; }
    .small #main, .small #help { display: none; }
    .small #small { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c,ctrl+q", "quit", "quit", priority=True),
        Binding("enter", "send", "send", priority=True),
        Binding("tab", "accept", "accept", priority=True),
        Binding("right", "right", "one word", priority=True),
        Binding("left", "left", "back", priority=True),
        Binding("backspace", "backspace", "delete", priority=True),
        Binding("f2", "device", "device", priority=True),
        Binding("f3", "page", "digits", priority=True),
        Binding("f4", "learned", "learned words", priority=True),
    ]

    def __init__(self, phone: Phone, num_slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.failure: KeyboardLMError | None = None
        self._phone = phone
        self._num_slots = num_slots
        self._pages: dict[Page, KeyPage] = {
            "letters": KeyPage(phone.layout, "letters"),
            "symbols": KeyPage(phone.layout, "symbols"),
        }
        self._page: Page = "letters"
        self._keyboard = Keyboard(self._pages["letters"], clock)
        self._sent, self._field, self._bar = SentMessages(phone), MessageField(phone), SuggestionBar(phone, num_slots)
        self._figures, self._latency, self._help = Figures(phone), Latency(phone), Static(id="help")

    def compose(self) -> ComposeResult:
        """Put the parts on the screen."""
        with Container(id="main"):
            with Vertical(id="phone"):
                yield from (self._sent, self._field, self._bar, self._keyboard)
            with Vertical(id="side"):
                yield from (self._figures, self._latency)
        yield self._help
        yield Static(f"The phone needs {MIN_COLUMNS} columns and {MIN_LINES} lines.", id="small")

    def on_mount(self) -> None:
        """Draw the first screen."""
        self._fit(self.size)

    def on_resize(self, event: events.Resize) -> None:
        """Fit the parts to the terminal."""
        self._fit(event.size)  # the application's own follows later

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the keys to the screen of learned words while that is shown."""
        return not isinstance(self.screen, LearnedScreen)

    def on_key(self, event: events.Key) -> None:
        """Type a character; a slot's number takes the slot, unless the digits are on the keys."""
        if not event.character or not event.is_printable or isinstance(self.screen, LearnedScreen):
            return
        number = int(event.character) - 1 if event.character in "123456789" else -1
        if 0 <= number < self._num_slots and self._page == "letters":
            self._after(lambda: self._phone.accept_slot(number))
        else:
            self._type(event.character)

    def on_paste(self, event: events.Paste) -> None:
        """Put pasted text into the field."""
        self._after(lambda: self._phone.paste(event.text))

    def on_keyboard_pressed(self, event: Keyboard.Pressed) -> None:
        """Do what the key does."""
        match event.key.action:
            case "type":
                self._type(event.key.label, event.tap)
            case "shift":
                self._after(lambda: self._phone.press_shift(event.is_double))
            case "backspace":
                self.action_backspace()
            case "page":
                self.action_page()
            case "send":
                self.action_send()

    def on_keyboard_swiped(self, event: Keyboard.Swiped) -> None:
        """Swipe a word; digits and signs are not swiped."""
        if self._page == "letters":
            self._after(lambda: self._phone.swipe(event.path))

    def on_suggestion_bar_chosen(self, event: SuggestionBar.Chosen) -> None:
        """Take the slot."""
        self._after(lambda: self._phone.accept_slot(event.number))

    def action_accept(self) -> None:
        """Take the ghost text, or the first slot."""
        self._after(self._phone.accept_first)

    def action_right(self) -> None:
        """Take one word of the ghost text, or move the cursor."""
        self._after(self._phone.step_right)

    def action_left(self) -> None:
        """Move the cursor."""
        self._after(self._phone.step_left)

    def action_backspace(self) -> None:
        """Delete, or undo a correction."""
        self._after(self._phone.backspace)

    def action_send(self) -> None:
        """Send the message."""
        self._page = "letters"
        self._after(self._phone.send)

    def action_device(self) -> None:
        """Count with the next device."""
        self._after(self._phone.next_device)

    def action_learned(self) -> None:
        """Show what was learned, to be forgotten, exported, imported or cleared."""
        self.push_screen(LearnedScreen(self._phone.personal), lambda _: self._after(self._phone.look))

    def action_page(self) -> None:
        """Show the digits, or the letters again."""
        self._page = "symbols" if self._page == "letters" else "letters"
        self._draw()

    def _type(self, char: str, tap: Tap | None = None) -> None:
        if char in (SPACE, "'"):
            self._page = "letters"  # as phones do
        self._after(lambda: self._phone.type(char, tap))

    def _after(self, change: Callable[[], object]) -> None:
        # Errors leave the application first: what they say is for the terminal behind it.
        try:
            change()
        except KeyboardLMError as error:
            self.failure = error
            self.exit(return_code=1)
        else:
            self._draw()

    def _fit(self, size: Size) -> None:
        columns, lines = size
        is_wide = columns >= _WIDE_COLUMNS
        self.screen.set_class(columns < MIN_COLUMNS or lines < MIN_LINES, "small")
        self.screen.set_class(lines < _TALL_LINES, "short")
        self.screen.set_class(is_wide, "wide")
        room = columns - _FIGURES_COLUMNS if is_wide else columns
        width = self._keyboard.fit(room, lines - (_WIDE_LINES if is_wide else _NARROW_LINES))
        self.query_one("#phone").styles.width = width
        self.query_one("#side").styles.width = _FIGURES_COLUMNS if is_wide else width
        numbers = "1" if self._num_slots == 1 else f"1-{self._num_slots}"
        self._help.update(textwrap.fill(_HELP.format(numbers), max(columns, 1)).replace("_", " "))
        self._draw()

    def _draw(self) -> None:
        for part in (self._sent, self._field, self._bar, self._latency):
            part.draw()
        self._figures.draw(is_wide=self.screen.has_class("wide"))
        self._keyboard.show(self._pages[self._page], self._phone.shift, self._phone.letters)
