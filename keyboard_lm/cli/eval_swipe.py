"""`keyboard-lm eval swipe`: how often swiped words are read rightly."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import click
import numpy as np

from keyboard_lm.backends import load_backend
from keyboard_lm.cli.table import format_table
from keyboard_lm.evaluation.estimate import Estimate, estimate
from keyboard_lm.evaluation.swipe import SwipeFigures, measure_swipes
from keyboard_lm.evaluation.swipe_data import (
    Half,
    MarginalFinder,
    Swipe,
    behind_sentences,
    drawn,
    half_of,
    read_swipes,
)
from keyboard_lm.evaluation.swipe_typing import METRICS, swipe_messages
from keyboard_lm.evaluation.swiper import Swiper
from keyboard_lm.evaluation.texts import EvaluationText, sample, shipped_texts
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.keyboard.session import Session, SessionOptions
from keyboard_lm.keyboard.suggester import Suggester, SuggesterOptions, SuggesterParts
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.swipe.decoder import SwipeDecoder
from keyboard_lm.touch.layout import load_layout

_NUM_SLOTS = 8
_MESSAGES = 60  # of each text that are swiped where no recording is given


def run_swipe(
    data: tuple[str, ...],
    model: Path | None,
    backend: str,
    bits: int,
    limit: int | None,
    seed: int,
    half: Half | None,
    layout: str,
    as_json: bool,
) -> None:
    """Measure swipes of recordings behind sentences of the shipped texts, or of a finger that swipes these texts.

    Args:
        data: recordings; none for drawn swipes.
        model: checkpoint folder.
        backend: what runs the network.
        bits: of its weights.
        limit: swipes of the recordings, or messages of each text.
        seed: of what is drawn, and of the intervals.
        half: of the recordings' words to keep to.
        layout: of the keyboard.
        as_json: whether to print JSON.

    Raises:
        KeyboardLMError: of the data or the model.
    """
    checkpoint = Checkpoint.load(model or bundled_folder())
    network = load_backend(backend, checkpoint, bits=bits, num_threads=1)
    language, keys = load_language(), load_layout(layout)
    finder = MarginalFinder(SwipeDecoder(language.lexicon, keys))
    options = SuggesterOptions(num_slots=_NUM_SLOTS)
    parts = replace(SuggesterParts.make(checkpoint.tokenizer, language, keys, options), swipes=finder)
    suggester = Suggester(network, checkpoint.tokenizer, language, keys, None, options, parts=parts)
    texts = [] if data else [sample(text, limit or _MESSAGES) for text in shipped_texts()]
    swipes = _recorded(data, limit, half) if data else drawn(texts, Swiper(keys), np.random.default_rng(seed))
    figures = measure_swipes(swipes, suggester, finder, language.lexicon, seed)
    typed = {} if data else _typing(model, backend, layout, texts, seed)
    if as_json:
        click.echo(json.dumps({**asdict(figures), "typing": {name: asdict(row) for name, row in typed.items()}}))
        return
    click.echo("\n\n".join([_table(figures), *([_typing_table(typed)] if typed else [])]))


def _recorded(data: tuple[str, ...], limit: int | None, half: Half | None) -> list[Swipe]:
    swipes = [swipe for source in data for swipe in read_swipes(Path(source))]
    kept = [swipe for swipe in swipes if half is None or half_of(swipe.word) == half]
    return behind_sentences(kept[:limit], shipped_texts())


def _typing(
    model: Path | None, backend: str, layout: str, texts: list[EvaluationText], seed: int
) -> dict[str, Estimate]:
    session = Session.open(model, SessionOptions(layout=layout, backend=backend, num_threads=1))
    messages = [message for text in texts for document in text.documents for message in document]
    counts = swipe_messages(session, messages, Swiper(load_layout(layout)), np.random.default_rng(seed))
    session.close()
    return estimate(counts, METRICS, seed)


def _table(figures: SwipeFigures) -> str:
    columns = {
        "top1": "top-1 %", "top3": "top-3 %", "top4": "top-4 %", "known": "known %", "found": "in best 100 %",
        "passed": "past letters %", "found_passed": "of these in best 100 %",
    }  # fmt: skip
    rows: list[tuple[str, ...]] = [("", *columns.values())]
    for name, row in figures.rows.items():
        cells = (row.get(figure) for figure in columns)
        rows.append((name, *("" if cell is None else f"{cell.value:.1f} ±{cell.margin:.1f}" for cell in cells)))
    times = (f"{what} {p50:.1f} ms, p95 {p95:.1f}" for what, (p50, p95) in _times(figures))
    return (
        f"{figures.num_swipes} swipes, {figures.num_placed} of them behind texts\n{format_table(rows)}\n"
        f"one thread, p50: {'; '.join(times)}"
    )


def _times(figures: SwipeFigures) -> tuple[tuple[str, tuple[float, float]], ...]:
    return ("path to words", figures.find_ms), ("path to bar", figures.answer_ms)


def _typing_table(typed: dict[str, Estimate]) -> str:
    rows = [("a typist who swipes", "")]
    rows += [(metric.label, f"{typed[metric.name].value:,.{metric.digits}f}") for metric in METRICS]
    return format_table(rows)
