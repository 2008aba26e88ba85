"""What a text looks like when it is typed with errors and without a look at the bar: word error rates.

    python tests/benchmarks/typed_through.py [--data FOLDER|FILE] [--limit N] [--errors typical] [--seed 0]

Each message is typed by the typist, taps and all, into a session that corrects as it goes along; what stands in the
field is compared with what was meant. Prints a table for people and one JSON line last.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import numpy as np

from keyboard_lm.cli.table import format_table
from keyboard_lm.correction.options import CorrectorOptions
from keyboard_lm.decoding.inline import InlineOptions
from keyboard_lm.evaluation.texts import load_texts, sample, shipped_texts
from keyboard_lm.evaluation.typist import Typist, load_typist
from keyboard_lm.keyboard.events import FieldStarted, Typed
from keyboard_lm.keyboard.session import Session, SessionOptions
from keyboard_lm.keyboard.suggester import SuggesterOptions
from keyboard_lm.text.form import normalise

NEVER = 1e300


def word_errors(typed: str, meant: str) -> int:
    """Return how many words have to be changed, put in or taken out (Levenshtein over words)."""
    row = list(range(len(meant.split()) + 1))
    for i, word in enumerate(typed.split(), 1):
        above, row[0] = row[0], i
        for j, other in enumerate(meant.split(), 1):
            above, row[j] = row[j], min(above + (word != other), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def keystrokes(typist: Typist, message: str, rng: np.random.Generator) -> list[Typed]:
    """Return the keys that the typist presses for a message, between the words as they should be."""
    keys: list[Typed] = []
    position = 0
    for unit in typist.type_units(message, rng):
        keys += [Typed(char) for char in message[position : unit.start]]
        taps = unit.taps if len(unit.taps) == len(unit.typed) else [None] * len(unit.typed)
        keys += [Typed(char, tap) for char, tap in zip(unit.typed, taps, strict=True)]
        position = unit.end
    return keys + [Typed(char) for char in message[position:]] + [Typed(" ")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="texts; those that ship if not given")
    parser.add_argument("--limit", type=int, default=100, help="messages of each text")
    parser.add_argument("--errors", default="typical")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    texts = load_texts(options.data) if options.data else shipped_texts()
    on = CorrectorOptions()
    settings = {
        "as typed": replace(on, known_ratio=NEVER, unknown_ratio=NEVER, case_ratio=NEVER, reconsider_ratio=NEVER),
        "last word only": replace(on, reconsider_ratio=NEVER),
        "last two words": on,
    }
    typist = load_typist(options.errors)
    totals = {name: dict.fromkeys(("words", "errors", "reconsidered"), 0) for name in settings}
    for name, corrector in settings.items():
        inline: InlineOptions | None = None
        session = Session.open(options=SessionOptions(suggester=SuggesterOptions(corrector=corrector, inline=inline)))
        rng = np.random.default_rng(options.seed)
        for text in texts:
            for document in sample(text, options.limit).documents:
                for message in document:
                    _type(session, keystrokes(typist, message, rng), message, text.is_folded, totals[name])
    rows = [["", "words", "word errors", "word error rate %", "two words corrected"]]
    for name, total in totals.items():
        rate = 100 * total["errors"] / max(total["words"], 1)
        rows.append([name, f"{total['words']:,}", f"{total['errors']:,}", f"{rate:.2f}", f"{total['reconsidered']:,}"])
    print(format_table(rows))
    print(json.dumps(totals))


def _type(session: Session, keys: list[Typed], message: str, is_folded: bool, total: dict[str, int]) -> None:
    session.apply(FieldStarted())
    for key in keys:
        edit = session.apply(key)
        session.suggest()
        made = edit.correction
        if made is not None and len(made.replaced.split()) == len(made.text.split()) == 2:
            total["reconsidered"] += 1
    total["words"] += len(message.split())
    typed, meant = normalise(session.text), normalise(message)
    total["errors"] += word_errors(*((typed.casefold(), meant.casefold()) if is_folded else (typed, meant)))


if __name__ == "__main__":
    main()
