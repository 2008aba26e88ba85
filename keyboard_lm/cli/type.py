"""`keyboard-lm type`: a phone in the terminal."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from keyboard_lm.backends import BACKENDS, DEFAULT_BACKEND
from keyboard_lm.cli.amount import Amount
from keyboard_lm.cli.learned import check_learned
from keyboard_lm.device.budget import BUDGET_MS, DEFAULT_DEVICE, device_names
from keyboard_lm.errors import KeyboardLMError, MissingExtraError
from keyboard_lm.keyboard.session import SessionOptions
from keyboard_lm.keyboard.suggester import SuggesterOptions
from keyboard_lm.touch.layout import layout_names


@click.command()
@click.option("-n", "num_slots", type=click.IntRange(1, 5), default=3, show_default=True, help="Slots of the bar.")
@click.option("--model", type=click.Path(path_type=Path), help="Checkpoint folder.  [default: the bundled model]")
@click.option("--backend", type=click.Choice(BACKENDS), default=DEFAULT_BACKEND, show_default=True)
@click.option("--device", type=click.Choice(device_names()), default=DEFAULT_DEVICE, show_default=True, metavar="NAME")
@click.option("--budget-ms", type=Amount(0, 10_000), default=BUDGET_MS, show_default=True, help="On the device.")
@click.option("--layout", type=click.Choice(layout_names()), default="qwerty", show_default=True)
@click.option("--language", default="en", show_default=True)
@click.option(
    "--learn", type=click.Path(dir_okay=False, path_type=Path), help="Learn into this file.  [default: keep nothing]"
)
def command(
    num_slots: int,
    model: Path | None,
    backend: str,
    device: str,
    budget_ms: float,
    layout: str,
    language: str,
    learn: Path | None,
) -> None:
    """Type on a phone in the terminal.

    Type as on a keyboard, click the keys, or draw a word over them with the mouse button held (where the terminal
    reports motion). Tab takes the ghost text, or the first slot where there is none; the right
    arrow takes one word of it. 1 to 3 take a slot; digits are typed after F3, which shows them on the keys. Enter sends
    the message, F2 changes the device whose time is estimated, Esc quits.

    "saved" is 100 (C - K) / C for C characters of all messages and K keys pressed, slots and shift included.
    """
    try:
        import textual  # noqa: F401
    except ImportError:
        raise MissingExtraError("textual", "tui") from None
    from keyboard_lm.simulator.app import MIN_COLUMNS, MIN_LINES, Simulator
    from keyboard_lm.simulator.phone import Phone

    check_learned(learn)
    _check_terminal(MIN_COLUMNS, MIN_LINES)
    options = SessionOptions(
        language=language,
        layout=layout,
        device=device,
        budget_ms=budget_ms,
        personal=learn,
        backend=backend,
        suggester=SuggesterOptions(num_slots=num_slots),
    )
    phone = Phone.open(model, options)
    app = Simulator(phone, num_slots)
    try:
        app.run()
    finally:
        phone.close()
    for warning in phone.warnings:
        click.echo(f"warning: {warning}", err=True)
    if app.failure is not None:
        raise app.failure
    if app.return_code:
        raise click.exceptions.Exit(app.return_code)


def _check_terminal(min_columns: int, min_lines: int) -> None:
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if not all(stream is not None and stream.isatty() for stream in streams) or os.environ.get("TERM") == "dumb":
        raise KeyboardLMError("this command draws a phone and needs a terminal; try keyboard-lm suggest instead")
    columns, lines = shutil.get_terminal_size()
    if columns < min_columns or lines < min_lines:
        needed = f"{min_columns} columns and {min_lines} lines"
        raise KeyboardLMError(f"the phone needs {needed}, and the terminal has {columns} and {lines}; make it larger")
