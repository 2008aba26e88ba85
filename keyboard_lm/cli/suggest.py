"""`keyboard-lm suggest`: the suggestion bar for a text."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from keyboard_lm.backends import BACKENDS, DEFAULT_BACKEND, load_backend
from keyboard_lm.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.errors import DataError
from keyboard_lm.predictor import Predictor, PredictorOptions, Suggestions


@click.command()
@click.argument("text", required=False)
@click.option("-n", "num_suggestions", type=click.IntRange(1, 20), default=3, show_default=True, help="Words shown.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per text.")
@click.option("--model", type=click.Path(path_type=Path), help="Checkpoint folder.  [default: the bundled model]")
@click.option("--backend", type=click.Choice(BACKENDS), default=DEFAULT_BACKEND, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of one step.")
def command(
    text: str | None, num_suggestions: int, as_json: bool, model: Path | None, backend: str, threads: int | None
) -> None:
    """Show the suggestion bar for TEXT.

    Without TEXT, or with "-", each line of standard input is a text of its own. Text that ends inside a word is
    completed; after a space, a finished word or punctuation the bar holds next words.
    """
    texts = _stdin_lines() if text is None or text == "-" else iter([_checked(text)])
    begun = time.perf_counter()
    checkpoint = Checkpoint.load(model or bundled_folder())
    network = load_backend(backend, checkpoint, num_threads=threads)
    predictor = Predictor(network, checkpoint.tokenizer, PredictorOptions(num_suggestions=num_suggestions))
    load_ms = (time.perf_counter() - begun) * 1000
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a letter shows "?"
    for line in texts:
        bar = predictor.suggest(line)
        click.echo(_as_json(line, bar, load_ms) if as_json else _as_text(bar, load_ms))
        load_ms = 0.0


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


def _as_text(bar: Suggestions, load_ms: float) -> str:
    words = "  |  ".join(f"{item.text} {item.probability:.1%}" for item in bar.items) or "(no word)"
    times = bar.timings
    total_ms = load_ms + times.tokenize_ms + times.forward_ms + times.search_ms
    return (
        f"{words}\n  {total_ms:.1f} ms: load {load_ms:.1f}, tokenize {times.tokenize_ms:.1f}, "
        f"model {times.forward_ms:.1f}, search {times.search_ms:.1f}"
    )


def _as_json(text: str, bar: Suggestions, load_ms: float) -> str:
    items = [asdict(item) for item in bar.items]
    return json.dumps({"text": text, "suggestions": items, "time": {"load_ms": load_ms, **asdict(bar.timings)}})
