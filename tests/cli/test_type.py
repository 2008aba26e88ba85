"""`keyboard-lm type`: the phone in the terminal, key by key, without a terminal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("textual")

from textual import events
from textual.pilot import Pilot
from textual.widgets import Static

from keyboard_lm.cli import main
from keyboard_lm.device.budget import device_names, load_device
from keyboard_lm.errors import KeyboardLMError
from keyboard_lm.keyboard.bar import Answer, Ghost
from keyboard_lm.keyboard.events import FieldStarted
from keyboard_lm.keyboard.session import SessionOptions
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.personal import PersonalStore
from keyboard_lm.simulator.app import MIN_COLUMNS, MIN_LINES, Simulator
from keyboard_lm.simulator.keys import KeyPage
from keyboard_lm.simulator.phone import Phone
from keyboard_lm.touch.layout import layout_names, load_layout

NUM_SLOTS = 3
Steps = Callable[[Pilot[None]], Awaitable[None]]


@pytest.fixture
def phone() -> Iterator[Phone]:
    phone = Phone.open()
    yield phone
    phone.close()


def play(
    phone: Phone, steps: Steps, size: tuple[int, int] = (80, 24), clock: Callable[[], float] = lambda: 0.0
) -> Simulator:
    app = Simulator(phone, NUM_SLOTS, clock)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await steps(pilot)

    asyncio.run(run())
    return app


async def write(pilot: Pilot[None], text: str) -> None:
    for char in text:  # as `pilot.press` does it, without its waiting after each key
        pilot.app.post_message(events.Key("space" if char == " " else char, char))
    await pilot.pause()


def drawn(pilot: Pilot[None], selector: str) -> str:
    """Return what a part of the screen shows."""
    widget = pilot.app.query_one(selector)
    return "\n".join("".join(segment.text for segment in line) for line in widget.render_lines(widget.size.region))


async def touch(pilot: Pilot[None], label: str) -> None:
    keyboard: Any = pilot.app.query_one("#keyboard")
    await pilot.click("#keyboard", offset=keyboard.cell_of(label))
    await pilot.pause()


async def swipe(pilot: Pilot[None], word: str) -> None:
    keyboard: Any = pilot.app.query_one("#keyboard")
    places = [keyboard.cell_of(letter) for letter in word]
    await pilot.mouse_down("#keyboard", offset=places[0])
    for (x1, y1), (x2, y2) in pairwise(places):
        for i in range(1, 5):
            await pilot.hover("#keyboard", offset=(x1 + (x2 - x1) * i // 4, y1 + (y2 - y1) * i // 4))
    await pilot.mouse_up("#keyboard", offset=places[-1])
    await pilot.pause()


def test_words_are_drawn_with_the_mouse(phone: Phone) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await swipe(pilot, "thank")
        assert phone.text == "Thank "
        await swipe(pilot, "you")
        assert phone.text == "Thank you "
        assert {slot.kind for slot in phone.answer.slots} == {"swiped"}
        assert phone.answer.slots[0].text in drawn(pilot, "#bar")
        await pilot.press("backspace")
        assert phone.text == "Thank "

    play(phone, steps, clock=count(step=0.02).__next__)
    assert phone.num_keys == 3


def test_typed_letters_are_shown_and_change_the_bar(phone: Phone) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await write(pilot, "h")
        first = drawn(pilot, "#bar")
        await write(pilot, "ow")
        assert "How" in drawn(pilot, "#field")
        assert drawn(pilot, "#bar") != first
        assert all(slot.text in drawn(pilot, "#bar") for slot in phone.answer.slots)
        assert "3 keys, 3 chars" in drawn(pilot, "Figures")

    play(phone, steps)
    assert phone.text == "How"
    assert phone.num_keys == len(phone.host_ms) == 3


def test_a_number_takes_its_slot_and_saves_keys(phone: Phone) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await write(pilot, "tomo")
        assert phone.savings == 0
        wanted = [slot.text for slot in phone.answer.slots].index("Tomorrow")
        await pilot.press(str(wanted + 1))
        assert phone.text == "Tomorrow "
        assert phone.savings == pytest.approx(100 * (9 - 5) / 9)
        await pilot.pause()
        assert "44.4 %" in drawn(pilot, "Figures")

    play(phone, steps)


def test_a_touched_slot_is_taken(phone: Phone) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        second = phone.answer.slots[1].text
        await pilot.click("#bar", offset=(pilot.app.query_one("#bar").size.width // 2, 0))
        await pilot.pause()
        assert phone.text == f"{second} "

    play(phone, steps)


def test_tab_takes_the_first_slot_or_the_ghost_and_the_arrow_a_word_of_it(phone: Phone) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        first = phone.answer.slots[0].text
        await pilot.press("tab")
        assert phone.text == f"{first} "
        for key, wanted in (("right", "thank you "), ("tab", "thank you very much ")):
            phone._session.apply(FieldStarted())
            await write(pilot, "thank")
            phone._session.shown = Answer(ghost=Ghost(" you very much", 0.9), revision=phone._session.revision)
            await pilot.press(key)
            assert phone.text == wanted.capitalize()

    play(phone, steps)


def test_the_arrows_move_the_cursor_where_there_is_no_ghost(phone: Phone) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await write(pilot, "xq")
        await pilot.press("left", "left", "left", "right")
        assert phone.cursor == 1

    play(phone, steps)


def test_a_space_applies_the_marked_slot_and_backspace_restores_the_literal(phone: Phone) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await write(pilot, "like teh")
        assert "“teh”" in drawn(pilot, "#bar")
        assert phone.applied_slot is not None
        assert phone.answer.slots[phone.applied_slot].text == "the"
        await write(pilot, " ")
        assert phone.text == "Like the "
        await pilot.press("backspace")
        assert phone.text == "Like teh "

    play(phone, steps)


def test_a_touched_key_types_with_its_tap(phone: Phone) -> None:
    layout = load_layout()

    async def steps(pilot: Pilot[None]) -> None:
        for char in "teh":
            await touch(pilot, char)
        taps = phone._session.request().taps
        assert [layout.key_at(tap) for tap in taps if tap is not None] == ["t", "e", "h"]
        await touch(pilot, " ")
        assert phone.text == "The "
        await touch(pilot, "⌫")
        assert phone.text == "Teh "

    play(phone, steps)


def test_every_cell_of_a_drawn_key_types_it(phone: Phone) -> None:
    page = KeyPage(phone.layout, "letters")

    async def steps(pilot: Pilot[None]) -> None:
        keyboard: Any = pilot.app.query_one("#keyboard")
        for line, strip in enumerate(drawn(pilot, "#keyboard").splitlines()):
            for column, char in enumerate(strip):
                if char.isalpha() and char.isupper():
                    key = page.key_at(keyboard.place_of(column, line))
                    assert key is not None
                    assert key.label == char.lower()

    for size in ((80, 24), (60, 30), (57, 16)):
        play(phone, steps, size)


@pytest.mark.parametrize("name", layout_names())
def test_a_layout_leaves_room_for_all_keys(name: str) -> None:
    layout = load_layout(name)
    letters, symbols = KeyPage(layout, "letters"), KeyPage(layout, "symbols")
    for page in (letters, symbols):
        for row in page.rows:
            assert all(key.right <= after.left + 1e-9 for key, after in pairwise(row))
            assert row[0].left >= 0
            assert row[-1].right <= page.width
            assert min(key.right - key.left for key in row) > 0.8
        actions = {key.action for row in page.rows for key in row}
        assert {"backspace", "page", "send", "shift"} - actions == ({"shift"} if page is symbols else set())
    assert {key.label for row in letters.rows for key in row if key.has_place} == set(layout.characters)
    assert set("0123456789'?!-@") <= {key.label for row in symbols.rows for key in row}


def test_the_pages_of_keys_cover_what_people_type(phone: Phone) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await touch(pilot, "⇧")  # off: a sentence begins with a capital
        await touch(pilot, "i")
        await touch(pilot, "123")
        await touch(pilot, "'")
        assert "q" in drawn(pilot, "#keyboard")
        await touch(pilot, "m")
        await touch(pilot, "123")
        await touch(pilot, "?")
        await touch(pilot, "send")

    play(phone, steps)
    assert phone.sent == ["I'm?"]


def test_shift_pressed_twice_locks_and_shows_capitals(phone: Phone) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await write(pilot, "x ")
        assert " q " in drawn(pilot, "#keyboard")
        await touch(pilot, "⇧")
        assert phone.shift == "on"
        assert " Q " in drawn(pilot, "#keyboard")
        await touch(pilot, "⇧")
        assert phone.shift == "lock"

    play(phone, steps)


def test_shift_pressed_twice_slowly_is_off_again(phone: Phone) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await write(pilot, "x ")
        for expected in ("on", "off", "on"):
            await touch(pilot, "⇧")
            assert phone.shift == expected

    play(phone, steps, clock=count().__next__)


def test_digits_are_typed_while_they_are_on_the_keys(phone: Phone) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("f3", "2", "1", "f3", "9")
        assert phone.text == "219"

    play(phone, steps)


def test_enter_sends_the_message_and_an_empty_one_stays(phone: Phone) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        assert phone.sent == []
        await write(pilot, "ok then ")
        await pilot.press("enter")
        await pilot.pause()
        assert (phone.text, phone.sent) == ("", ["Ok then"])
        assert "Ok then" in drawn(pilot, "#sent")
        assert "Ok then" not in drawn(pilot, "#field")

    play(phone, steps)


def test_f2_goes_round_all_devices(phone: Phone) -> None:
    first = phone.device
    seen = []

    async def steps(pilot: Pilot[None]) -> None:
        for _ in device_names():
            await pilot.press("f2")
            seen.append(phone.device)
        await write(pilot, "the quick")
        assert phone.device in drawn(pilot, "Figures")

    play(phone, steps)
    assert sorted(seen) == sorted(device_names())
    assert seen[-1] == first


def test_the_device_is_the_one_whose_costs_count(phone: Phone) -> None:
    config = Checkpoint.load(bundled_folder()).config
    for _ in device_names():
        phone.next_device()
        assert phone._session.cost == load_device(phone.device).cost(config)


def test_pasted_text_saves_nothing_and_stays_on_one_line(phone: Phone) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        pilot.app.post_message(events.Paste("two\nlines [b]\x1b[31m of text\n"))
        await pilot.pause()
        assert phone.text == "two lines [b][31m of text"
        assert phone.savings == 0
        assert "[b]" in drawn(pilot, "#field")

    play(phone, steps)


def test_likely_letters_are_brighter(phone: Phone) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await write(pilot, "q")
        keyboard: Any = pilot.app.query_one("#keyboard")
        page = KeyPage(phone.layout, "letters")
        green = {key.label: keyboard._colour(key).g for row in page.rows for key in row}
        assert green["u"] == max(green.values())
        assert green["u"] > green["x"]

    play(phone, steps)


@pytest.mark.parametrize("size", [(MIN_COLUMNS, MIN_LINES), (40, 21), (75, 20), (60, 30), (80, 24), (200, 60)])
def test_all_is_on_the_screen(phone: Phone, size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        screen = pilot.app.screen.region
        for selector in ("#field", "#bar", "#keyboard", "Figures", "Latency"):
            part = pilot.app.query_one(selector).region
            assert part.area, selector
            assert screen.contains_region(part), selector

    play(phone, steps, size)


@pytest.mark.parametrize("size", [(30, 24), (39, 40), (80, 15), (4, 2)])
def test_a_small_terminal_shows_what_is_needed(phone: Phone, size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await write(pilot, "hi")
        assert not pilot.app.query_one("#main").region.area
        assert "40 columns and 16 lines" in str(pilot.app.query_one("#small", Static).render())
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert "Hi" in drawn(pilot, "#field")

    play(phone, steps, size)


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
def test_quitting_keeps_what_was_learned_only_in_the_file_named(tmp_path: Path, key: str) -> None:
    file = tmp_path / "learned"
    phone = Phone.open(options=SessionOptions(personal=file))

    async def steps(pilot: Pilot[None]) -> None:
        await write(pilot, "see zyx")
        await pilot.press("left", "enter")
        for _ in range(2):
            await write(pilot, "zorbly zorbly ")
            await pilot.press("enter")
        await pilot.press(key)

    app = play(phone, steps)
    phone.close()
    assert (app.failure, app.return_code) == (None, 0)
    store = PersonalStore.open(file)
    assert store.is_known("see")
    store.close()
    assert list(tmp_path.iterdir()) == [file]


def test_an_error_ends_it_and_is_kept_for_the_terminal(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardLMError("the disk is full")

    async def steps(pilot: Pilot[None]) -> None:
        monkeypatch.setattr(phone, "type", fail)
        await pilot.press("a")

    app = play(phone, steps)
    assert str(app.failure) == "the disk is full"


def assert_one_line(arguments: list[str], *words: str) -> None:
    result = CliRunner().invoke(main, ["type", *arguments])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def test_without_a_terminal_it_says_what_is_needed() -> None:
    assert_one_line([], "terminal", "keyboard-lm suggest")


def test_without_textual_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual", None)
    assert_one_line([], "keyboard-lm[tui]")


def test_a_file_of_something_else_is_not_learned_into(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("keep me")
    assert_one_line(["--learn", str(file)], "notes.txt", "choose another")
    assert file.read_text() == "keep me"


def test_help_says_how_digits_are_typed() -> None:
    result = CliRunner().invoke(main, ["type", "--help"])
    assert result.exit_code == 0
    assert "F3" in result.stdout


def test_learned_words_are_shown_forgotten_exported_imported_and_cleared(tmp_path: Path) -> None:
    file = tmp_path / "learned"
    with PersonalStore.open(file, knows=lambda word: True) as store:
        store.learn(["purple", "giraffes", "purple"])
    phone = Phone.open(options=SessionOptions(personal=file))
    seen: list[list[str]] = []

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("f4")
        for key in ("e", "delete", "i", "c", "down", "c"):
            await pilot.press(key)
            await pilot.pause()
            seen.append(phone.personal.words())
        await pilot.press("c")
        seen.append(phone.personal.words())
        await pilot.press("enter", "x", "f4")
        await write(pilot, "hi")

    try:
        play(phone, steps)
        assert phone.text == "Hi"  # keys of that screen typed nothing
    finally:
        phone.close()
    everything, less = ["purple", "giraffes"], ["giraffes"]
    assert seen[:2] == [everything, less]
    assert [sorted(words) for words in seen[2:6]] == [sorted(everything)] * 4  # one press of c clears nothing
    assert seen[6] == []
    assert (tmp_path / "learned.jsonl").exists()
