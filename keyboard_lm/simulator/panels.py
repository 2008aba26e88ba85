"""What is around the keyboard: sent messages, the field, the suggestion bar and the figures."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import Sparkline, Static

from keyboard_lm.device.cost_model import cost_model
from keyboard_lm.keyboard.bar import Slot
from keyboard_lm.simulator.phone import Phone

_GHOST, _LABEL, _SENT = "dim italic", "dim", "on #1f6f5c"


class SentMessages(Static):
    """The last messages, one line each."""

    def __init__(self, phone: Phone) -> None:
        super().__init__(id="sent")
        self._phone = phone

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.draw()

    def draw(self) -> None:
        """Draw as many as there is room for."""
        width, height = self.content_size
        lines = []
        for message in self._phone.sent[-height:] if height else []:
            line = Text(f" {message} ", style=_SENT, no_wrap=True)
            line.truncate(width, overflow="ellipsis")
            lines.append(line)
        self.update(Text("\n").join(lines))


class MessageField(Static):
    """The text of the field with its cursor, the ghost text dimmed behind it."""

    def __init__(self, phone: Phone) -> None:
        super().__init__(id="field")
        self._phone = phone

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.draw()

    def draw(self) -> None:
        """Draw the lines up to the cursor and the ghost's end, as many as there is room for."""
        phone, (width, height) = self._phone, self.content_size
        if not width or not height:
            return
        before, after = phone.text[: phone.cursor], phone.text[phone.cursor :]
        ghost = phone.answer.ghost.text if phone.answer.ghost is not None else ""
        head = Text.assemble(before, (ghost, _GHOST))
        whole = Text.assemble(head, after, " ")
        whole.stylize("reverse", len(before), len(before) + 1)
        if not phone.text and not ghost:
            whole.append("Message", style=_LABEL)
        console = self.app.console
        lines = whole.wrap(console, width)
        first = max(len(head.wrap(console, width)) - height, 0)
        self.update(Text("\n").join(lines[first : first + height]))


class SuggestionBar(Static):
    """The slots side by side; the one that a space would apply is reversed, what was typed is in quotes."""

    @dataclass
    class Chosen(Message):
        """A slot was touched; they are counted from 0."""

        number: int

    def __init__(self, phone: Phone, num_slots: int) -> None:
        super().__init__(id="bar")
        self._phone = phone
        self._num_slots = num_slots

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.draw()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Report the slot that was touched."""
        column = int(event.x)
        number = next((n for n in range(self._num_slots) if column < self._edge(n + 1)), self._num_slots - 1)
        self.post_message(self.Chosen(number))

    def draw(self) -> None:
        """Draw the slots, each with its number key."""
        slots, applied = self._phone.answer.slots, self._phone.applied_slot
        bar = Text(no_wrap=True)
        for number in range(self._num_slots):
            is_last = number == self._num_slots - 1
            room = max(self._edge(number + 1) - self._edge(number) - (not is_last), 0)
            cell = _cell(slots[number], number) if number < len(slots) else Text()
            if number == applied:
                cell.stylize("bold reverse")
            cell.truncate(room, overflow="ellipsis")
            cell.align("center", room)
            bar.append_text(cell)
            if not is_last:
                bar.append("│", style=_LABEL)
        self.update(bar)

    def _edge(self, number: int) -> int:
        return self.content_size.width * number // self._num_slots


def _cell(slot: Slot, number: int) -> Text:
    word = f"“{slot.text}”" if slot.kind == "literal" else slot.text
    return Text.assemble((f" {number + 1} ", _LABEL), word, " ")


class Latency(Sparkline):
    """One bar for each of the last presses, from 0 to the budget."""

    def __init__(self, phone: Phone) -> None:
        # Each bar's values are 0, the budget and its own, of which it shows the last: so all are on one scale.
        super().__init__(summary_function=lambda values: values[-1])
        self._phone = phone

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.draw()

    def draw(self) -> None:
        """Draw the last presses; one over the budget is a full bar."""
        width, host_ms, top = max(self.size.width, 1), self._phone.host_ms, self._phone.budget_ms or 1.0
        shown = [0.0] * max(width - len(host_ms), 0) + host_ms[-width:]
        self.data = [value for ms in shown for value in (0.0, top, min(ms, top))]


class Figures(Static):
    """Savings, times, calls and stage in words."""

    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self._phone = phone

    def draw(self, is_wide: bool) -> None:
        """Write them, in three lines or with room between them."""
        phone, answer = self._phone, self._phone.answer
        saved = f"{phone.savings:.1f} %" if phone.savings is not None else "–"
        typed = f"{_count(phone.num_keys, 'key')}, {_count(phone.num_chars, 'char')}"
        estimate = f"{answer.device_ms:.1f} of {phone.budget_ms:g} ms"
        factor = f"× or ÷ {cost_model().factor:.1f}"
        stage = answer.stage.replace("_", " ")
        here = f"{phone.host_ms[-1]:.1f} ms" if phone.host_ms else "–"
        if is_wide:
            rows = [
                ("saved", saved), ("", typed), ("", ""),
                ("device", phone.device), ("estimate", estimate), ("", factor), ("calls", str(answer.num_model_calls)),
                ("answer", stage), ("", ""),
                ("here", here), ("", f"bars: 0 to {phone.budget_ms:g} ms"),
            ]  # fmt: skip
        else:
            calls = _count(answer.num_model_calls, "call")
            rows = [
                ("saved", f"{saved}, {typed}"),
                (phone.device, f"≈ {estimate} ({factor}), {calls}"),
                ("here", f"{here}, {stage}"),
            ]
        width = max(len(label) for label, _ in rows) + 2
        lines = [Text.assemble((label.ljust(width), _LABEL), value) for label, value in rows]
        lines += [Text(warning, style="yellow") for warning in phone.warnings[-1:]]
        self.update(Text("\n").join(lines))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
