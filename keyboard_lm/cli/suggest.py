"""`keyboard-lm suggest`: the suggestion bar for a text, as a phone would show it."""

from __future__ import annotations

import io
import json
import math
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from keyboard_lm.backends import BACKENDS, DEFAULT_BACKEND
from keyboard_lm.cli.amount import Amount
from keyboard_lm.cli.learned import existing_learned
from keyboard_lm.cli.table import format_table
from keyboard_lm.device.budget import BUDGET_MS, DEFAULT_DEVICE, device_names
from keyboard_lm.device.cost_model import cost_model
from keyboard_lm.errors import DataError
from keyboard_lm.keyboard.bar import Answer, Slot
from keyboard_lm.keyboard.events import FieldStarted
from keyboard_lm.keyboard.session import Session, SessionOptions
from keyboard_lm.keyboard.suggester import SuggesterOptions
from keyboard_lm.keyboard.why import Explained
from keyboard_lm.touch.layout import layout_names
from keyboard_lm.words.offensive import read_word_list


@click.command()
@click.argument("text", required=False)
@click.option("-n", "num_slots", type=click.IntRange(1, 20), default=3, show_default=True, help="Slots of the bar.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per text.")
@click.option("--model", type=click.Path(path_type=Path), help="Checkpoint folder.  [default: the bundled model]")
@click.option("--backend", type=click.Choice(BACKENDS), default=DEFAULT_BACKEND, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads of one step.")
@click.option("--device", type=click.Choice(device_names()), default=DEFAULT_DEVICE, show_default=True, metavar="NAME")
@click.option("--budget-ms", type=Amount(min=0), default=BUDGET_MS, show_default=True, help="On the device.")
@click.option("--layout", type=click.Choice(layout_names()), default="qwerty", show_default=True)
@click.option("--block", type=click.Path(path_type=Path), help="Words never to offer, one on a line.")
@click.option("--allow", type=click.Path(path_type=Path), help="Words that may be offered nevertheless.")
@click.option("--why", is_flag=True, help="Show every offer: where it came from and what it was worth.")
@click.option("--learned", type=click.Path(dir_okay=False, path_type=Path), help="Personal file, which is read only.")
def command(
    text: str | None,
    num_slots: int,
    as_json: bool,
    model: Path | None,
    backend: str,
    threads: int,
    device: str,
    budget_ms: float,
    layout: str,
    block: Path | None,
    allow: Path | None,
    why: bool,
    learned: Path | None,
) -> None:
    """Show the suggestion bar for TEXT.

    Without TEXT, or with "-", each line of standard input is a text of its own. The word that TEXT ends in is completed
    and corrected: what a space would put in its place is marked, and what was typed stands in quotes. After a space,
    and after a word that is likely to be finished, the bar holds next words.
    """
    texts = _stdin_lines() if text is None or text == "-" else iter([_checked(text)])
    begun = time.perf_counter()
    options = SessionOptions(
        layout=layout,
        device=device,
        budget_ms=budget_ms,
        personal=existing_learned(learned),
        backend=backend,
        num_threads=threads,
        suggester=SuggesterOptions(num_slots=num_slots),
        blocked=read_word_list(block) if block is not None else frozenset(),
        allowed=read_word_list(allow) if allow is not None else frozenset(),
    )
    session = Session.open(model, options)
    load_ms = (time.perf_counter() - begun) * 1000
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a letter shows "?"
    for line in texts:
        session.apply(FieldStarted(line))
        answer = session.suggest()
        offers = session.explain() if why else None
        if as_json:
            click.echo(_as_json(line, answer, device, load_ms, offers))
        else:
            click.echo(_as_text(answer, device, budget_ms, load_ms))
            if offers is not None:
                click.echo("\n" + _offers_table(offers))
        load_ms = 0.0
    for warning in session.warnings:
        click.echo(f"warning: {warning}", err=True)


def _stdin_lines() -> Iterator[str]:
    """Yield the lines of standard input without their ends; spaces at the end of a line are part of the text.

    Raises:
        DataError: there is no standard input, it is empty, or a line is not UTF-8.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise DataError('there is no standard input; give a text: keyboard-lm suggest "I am going"')
    if sys.stdin.isatty():
        click.echo("Type a text and press return; Ctrl-D ends.", err=True)
    number = 0
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            where = f"line {number} of standard input is not UTF-8 (byte {error.start + 1})"
            raise DataError(f"{where}; convert it, for example with iconv") from None
    if not number:
        raise DataError('standard input is empty; give a text: keyboard-lm suggest "I am going"')


def _checked(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # an argument that is not UTF-8 arrives with lone surrogates
        raise DataError("the text is not UTF-8; convert it, for example with iconv") from None
    return text


def _as_text(answer: Answer, device: str, budget_ms: float, load_ms: float) -> str:
    """Return the bar, one line if it fits the terminal, the ghost text, and what it took."""
    separator, indent = "  |  ", "  "
    plain = [_shown(slot, answer) for slot in answer.slots]
    styled = [_styled(slot, shown, answer) for slot, shown in zip(answer.slots, plain, strict=True)]
    is_wide = len(separator.join(plain)) <= shutil.get_terminal_size().columns or not sys.stdout.isatty()
    lines = [(separator if is_wide else "\n").join(styled) or "(no word)"]
    if answer.ghost is not None:
        lines.append(f"{indent}ahead: " + click.style(answer.ghost.text, dim=True) + f" {answer.ghost.probability:.1%}")
    calls = f"{answer.num_model_calls} model call{'s' * (answer.num_model_calls != 1)}"
    host = f"{answer.host_ms:.1f} ms here" + (f" after {load_ms:.0f} to load" if load_ms else "")
    stage = answer.stage.replace("_", " ")
    estimate = cost_model().estimate(answer.device_ms)
    spent = f"{estimate.ms:.1f} ({estimate.low_ms:.1f}-{estimate.high_ms:.1f}) of {budget_ms:g} ms on {device}"
    lines.append(f"{indent}{host}; {calls}: {spent} (estimate), {stage}")
    return "\n".join(lines)


def _shown(slot: Slot, answer: Answer) -> str:
    if slot.kind == "literal":
        return f"\u201c{slot.text}\u201d"
    if slot.kind == "emoji":
        return slot.text
    return f"{slot.text}{'*' * _is_correction(slot, answer)} {slot.probability:.1%}"


def _styled(slot: Slot, shown: str, answer: Answer) -> str:
    return click.style(shown, bold=True) if _is_correction(slot, answer) else shown


def _is_correction(slot: Slot, answer: Answer) -> bool:
    made = answer.correction
    return made is not None and (slot.replaced, slot.text) == (made.replaced, made.text)


def _offers_table(offers: tuple[Explained, ...]) -> str:
    """Return what stood behind the bar, a line for each offer, those worth most first."""
    rows = [["offer", "for", "kind", "from", "ln P(word)", "ln P(typed)", "worth", ""]]
    for offer, fate in offers:
        worth = [f"{value:.2f}" for value in (offer.log_prior, offer.log_channel, offer.log_joint)]
        rows.append([offer.text, offer.replaced, offer.kind.replace("_", " "), offer.source, *worth, fate])
    return format_table(rows)


def _as_json(text: str, answer: Answer, device: str, load_ms: float, offers: tuple[Explained, ...] | None) -> str:
    values = asdict(answer)
    del values["revision"]
    if offers is not None:
        values["offers"] = [{**_finite(offer._asdict()), "fate": fate} for offer, fate in offers]
    factor = cost_model().factor
    return json.dumps({"text": text, **values, "device": device, "device_ms_factor": factor, "load_ms": load_ms})


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    # JSON has no infinity: what is worth nothing has no logarithm.
    return {name: None if value == -math.inf else value for name, value in values.items()}
