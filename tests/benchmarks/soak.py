"""Whether a keyboard's memory stays flat over a million keystrokes.

    python tests/benchmarks/soak.py [--data FOLDER|FILE] [--num 1000000] [--every 50000]

Texts are typed again and again, each time with other errors, into one session with a personal file: every key is told
to the session and the bar is asked for; about one word in eight is taken from the bar, one correction in ten is taken
back. Prints resident memory, the personal file's size and the median key as it goes, then the growth of memory from a
fifth of the way to the end, and one JSON line last.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import tempfile
import time
from itertools import count
from pathlib import Path

import numpy as np
from typed_through import keystrokes

from keyboard_lm.cli.table import format_table
from keyboard_lm.evaluation.texts import load_texts, shipped_texts
from keyboard_lm.evaluation.typist import load_typist
from keyboard_lm.keyboard.events import Backspaced, FieldStarted, SlotAccepted
from keyboard_lm.keyboard.session import Session, SessionOptions

PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


def resident_mb() -> float:
    """Return the process's resident memory in MB, garbage collected (Linux)."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="texts; those that ship if not given")
    parser.add_argument("--num", type=int, default=1_000_000, help="keys")
    parser.add_argument("--every", type=int, default=50_000, help="keys between two rows")
    options = parser.parse_args()
    texts = load_texts(options.data) if options.data else shipped_texts()
    messages = [message for text in texts for document in text.documents for message in document]
    rng, choices, typist = np.random.default_rng(0), random.Random(0), load_typist("typical")
    rows: list[tuple[int, float, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "personal.sqlite"
        session = Session.open(options=SessionOptions(num_threads=1, personal=path), clock=count(step=60).__next__)
        num_keys, times_ms = 0, []
        while num_keys < options.num:
            session.apply(FieldStarted())
            for key in keystrokes(typist, choices.choice(messages), rng):
                begun = time.perf_counter()
                edit = session.apply(key)
                answer = session.suggest()
                times_ms.append((time.perf_counter() - begun) * 1000)
                num_keys += 1
                if edit.deleted_before and choices.random() < 0.1:
                    session.apply(Backspaced())
                elif answer.slots and choices.random() < 1 / 40:
                    slot = choices.choice(answer.slots)
                    session.apply(SlotAccepted(slot.text, slot.replaced))
                if num_keys % options.every == 0:
                    size_mb = sum(file.stat().st_size for file in Path(folder).iterdir()) / 2**20
                    rows.append((num_keys, resident_mb(), size_mb, float(np.median(times_ms))))
                    times_ms.clear()
                    print(f"{num_keys:,} keys: {rows[-1][1]:.1f} MB", flush=True)
        session.close()
    table = [["keys", "resident MB", "personal file MB", "median key ms"]]
    table += [[f"{keys:,}", f"{mb:.1f}", f"{file_mb:.1f}", f"{ms:.2f}"] for keys, mb, file_mb, ms in rows]
    print(format_table(table))
    settled = rows[len(rows) // 5 :] if len(rows) > 4 else rows
    growth_mb = settled[-1][1] - settled[0][1] if settled else 0.0
    print(json.dumps({"keys": num_keys, "resident_mb": rows[-1][1] if rows else 0.0, "growth_mb": growth_mb}))


if __name__ == "__main__":
    main()
