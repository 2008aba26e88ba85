"""`keyboard-lm eval`: measures a model on text."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np

from keyboard_lm.backends import BACKENDS, DEFAULT_BACKEND, load_backend
from keyboard_lm.backends.protocol import Backend
from keyboard_lm.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.cli.table import format_table
from keyboard_lm.evaluation.bits_per_byte import BitsPerByteEvaluator, TextCost, text_cost
from keyboard_lm.evaluation.intervals import Interval
from keyboard_lm.evaluation.next_word import RANKS, NextWordAccuracy, NextWordEvaluator, next_word_accuracy
from keyboard_lm.evaluation.texts import Document, read_documents, sample, text_files
from keyboard_lm.tokenizer import Tokenizer

NEXT_WORD, BITS_PER_BYTE = "next-word", "bits-per-byte"
_NEXT_WORD_COLUMNS = (
    "lines",
    "words",
    *(f"top-{rank} %" for rank in RANKS),
    *(f"cased top-{rank} %" for rank in RANKS),
)
_BITS_PER_BYTE_COLUMNS = ("lines", "bytes", "words", "bits/byte", "perplexity/word")

Measurement = NextWordAccuracy | TextCost
Measure = Callable[[Iterable[Document], np.random.Generator], Measurement | None]
Results = dict[str, dict[str, Measurement | None]]  # task -> file -> what was measured


@click.command()
@click.argument("tasks", nargs=-1, type=click.Choice([NEXT_WORD, BITS_PER_BYTE]))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="A text file, or a folder of .txt files.")
@click.option("--model", type=click.Path(path_type=Path), help="Checkpoint folder.  [default: the bundled model]")
@click.option("--backend", type=click.Choice(BACKENDS), default=DEFAULT_BACKEND, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of one step.")
@click.option("--limit", type=click.IntRange(min=1), help="Lines of each file, taken from all over it.  [default: all]")
@click.option("--seed", default=0, show_default=True, help="Of the intervals' resamples.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    tasks: tuple[str, ...],
    data: Path,
    model: Path | None,
    backend: str,
    threads: int | None,
    limit: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Measure a model on text, one message per line: TASKS are next-word and bits-per-byte, by default both.

    next-word: how often each word is among the first 1, 3 and 5 that the model offers for what its line has before it,
    case ignored and (cased) with capitals. bits-per-byte: how well the model predicts all of the text; blank lines
    separate documents, and in a file without any each line is one. Figures are followed by half the width of their 95 %
    interval.
    """
    texts = {path: read_documents(path) for path in text_files(data)}
    if limit is not None:
        texts = {path: sample(documents, limit) for path, documents in texts.items()}
    checkpoint = Checkpoint.load(model or bundled_folder())
    network = load_backend(backend, checkpoint, num_threads=threads)
    results: Results = {}
    for task in dict.fromkeys(tasks or _TASKS):
        measure = _TASKS[task](network, checkpoint.tokenizer)
        results[task] = {
            path.name: measure(_with_progress(documents, f"{task} {path.name}"), np.random.default_rng(seed))
            for path, documents in texts.items()
        }
    click.echo(_as_json(results) if as_json else "\n\n".join(_as_table(task, rows) for task, rows in results.items()))


def _next_word(network: Backend, tokenizer: Tokenizer) -> Measure:
    evaluator = NextWordEvaluator(network, tokenizer)
    return lambda documents, rng: next_word_accuracy(
        [evaluator.line(line) for document in documents for line in document], rng
    )


def _bits_per_byte(network: Backend, tokenizer: Tokenizer) -> Measure:
    evaluator = BitsPerByteEvaluator(network, tokenizer)
    return lambda documents, rng: text_cost(
        [message for document in documents for message in evaluator.document(document)], rng
    )


_TASKS: dict[str, Callable[[Backend, Tokenizer], Measure]] = {NEXT_WORD: _next_word, BITS_PER_BYTE: _bits_per_byte}


def _with_progress(documents: list[Document], label: str) -> Iterator[Document]:
    with click.progressbar(documents, label=label, file=sys.stderr) as bar:
        yield from bar


def _as_json(results: Results) -> str:
    return json.dumps(
        {task: {name: row and asdict(row) for name, row in rows.items()} for task, rows in results.items()}
    )


def _as_table(task: str, rows: dict[str, Measurement | None]) -> str:
    header = (task, *(_NEXT_WORD_COLUMNS if task == NEXT_WORD else _BITS_PER_BYTE_COLUMNS))
    return format_table([header, *((name, *_cells(row, len(header) - 1)) for name, row in rows.items())])


def _cells(row: Measurement | None, num_cells: int) -> tuple[str, ...]:
    if row is None:  # no word to predict
        return ("-",) * num_cells
    if isinstance(row, NextWordAccuracy):
        return f"{row.num_lines:,}", f"{row.num_words:,}", *(_rate(rate, 100, 1) for rate in (*row.folded, *row.cased))
    counts = (row.num_lines, row.num_bytes, row.num_words)
    return *(f"{count:,}" for count in counts), _rate(row.bits_per_byte, 1, 3), f"{row.word_perplexity:,.1f}"


def _rate(interval: Interval, scale: int, digits: int) -> str:
    margin = (interval.high - interval.low) / 2
    return f"{interval.rate * scale:.{digits}f} ±{margin * scale:.{digits}f}"
