"""Swipes drawn over every layout that ships: whether one is read as well as another.

    python tests/benchmarks/swipe_layouts.py [--limit 100] [--seed 0]

The same words of the texts that ship, drawn by the same finger (`keyboard_lm.evaluation.swiper`), read by path and
frequency alone, and by the keyboard behind what stands before them. Prints a table with the differences to QWERTY,
paired by message, and one JSON line last.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from keyboard_lm.cli.table import format_table
from keyboard_lm.evaluation.estimate import Counts, Metric, difference, estimate, ratio
from keyboard_lm.evaluation.swipe import best_100, ranking
from keyboard_lm.evaluation.swipe_data import letters_of
from keyboard_lm.evaluation.swiper import Swiper
from keyboard_lm.evaluation.texts import sample, shipped_texts
from keyboard_lm.evaluation.words import words_of
from keyboard_lm.keyboard.bar import Request
from keyboard_lm.keyboard.engine import Engine
from keyboard_lm.keyboard.options import SessionOptions
from keyboard_lm.swipe.decoder import SwipeDecoder
from keyboard_lm.touch.layout import layout_names, load_layout
from keyboard_lm.words.lexicon import load_lexicon

METRICS = [Metric(name, f"{name} %", ratio(name, "swipes")) for name in ("top1", "top3", "best100", "context1")]
COUNTS = ("swipes", *(metric.name for metric in METRICS))
BASE = "qwerty"


def read(engine: Engine, messages: list[str], layout: str, seed: int) -> list[Counts]:
    """Return the counts of messages whose words are swiped on a layout."""
    keys = load_layout(layout)
    decoder, swiper = SwipeDecoder(load_lexicon(), keys), Swiper(keys)
    suggester = engine.suggester(SessionOptions(layout=layout, num_threads=1))
    counts = []
    for number, message in enumerate(messages):
        rng, row = np.random.default_rng([seed, number]), dict.fromkeys(COUNTS, 0.0)
        for word in words_of(message):
            path = swiper.swipe(word.text, rng)
            if path:
                found = decoder.find(path)
                words = ranking(found)
                row["swipes"] += 1
                for name, rank in (("top1", 1), ("top3", 3)):
                    row[name] += letters_of(word.text) in words[:rank]
                row["best100"] += letters_of(word.text) in best_100(found)
                slots = suggester.answer(Request(message[: word.start], path=path)).slots
                row["context1"] += bool(slots) and letters_of(slots[0].text) == letters_of(word.text)
        counts.append(row)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=100, help="messages of each text")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    engine = Engine.open(num_threads=1)
    texts = [sample(text, asked.limit) for text in shipped_texts()]
    messages = [message for text in texts for document in text.documents for message in document]
    counts = {name: read(engine, messages, name, asked.seed) for name in layout_names()}
    table: list[tuple[str, ...]] = [
        ("", "swipes", *(metric.label for metric in METRICS), "top1 - QWERTY's", "context1 - QWERTY's")
    ]
    values = {}
    for name, rows in counts.items():
        found = estimate(rows, METRICS, 0)
        changes = difference(counts[BASE], rows, METRICS, 0)
        change = [changes[each] for each in ("top1", "context1")]
        cells = (f"{found[metric.name].value:.1f} ±{found[metric.name].margin:.1f}" for metric in METRICS)
        num = sum(row["swipes"] for row in rows)
        table.append((name, f"{num:,.0f}", *cells, *(f"{c.value:+.1f} [{c.low:.1f}, {c.high:.1f}]" for c in change)))
        values[name] = {metric.name: round(found[metric.name].value, 2) for metric in METRICS}
    print(format_table(table))
    print(json.dumps(values))


if __name__ == "__main__":
    main()
