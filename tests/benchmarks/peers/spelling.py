"""Recorded misspellings before our keyboard, Aspell, Hunspell and SymSpell, in one run.

    python tests/benchmarks/peers/spelling.py EVAL_PUBLIC [--limit 300] [--no-peers]

Of each list the half of words that nothing was fitted on (`recorded.is_judged`). Ours: what stands there after a space,
and whether the bar of three or that space gave the word. A spell checker's first is its correction, its first three its
bar; a word it takes for right is not mended. A bar is for a word that may go on: it holds the literal and longer words,
too. What a keyboard would have among three if it showed as a speller does, words for these letters alone, is the
corrector's own three (or what the space gave), a column of its own. Letters count, capitals do not. Contractions are a
row of their own. Prints a table for people and one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from recorded import LISTS, Misspelling, in_sentences, of_learners, of_typists, read_list, sentences_of
from spellers import Speller, spellers

from keyboard_lm.cli.table import format_table
from keyboard_lm.evaluation.engine import FieldEngine
from keyboard_lm.evaluation.model_subject import FULL, ModelSubject
from keyboard_lm.keyboard.events import FieldStarted, TextChanged
from keyboard_lm.keyboard.session import Session, SessionOptions
from keyboard_lm.network.checkpoint import bundled_folder

NUM_SLOTS = 3


class Score(NamedTuple):
    """In percent: mended by a space (or first), and on the bar (or among three)."""

    mended: float
    shown: float


def ours(engine: FieldEngine, misspelling: Misspelling) -> tuple[bool, bool]:
    """Return whether a space mends it, and whether that or the bar shows what was meant."""
    text = misspelling.context + misspelling.typed
    engine.start_field()
    bar = engine.bar(text, NUM_SLOTS)
    meant = misspelling.meant.lower()
    is_mended = engine.finished(text)[len(misspelling.context) :].lower() == meant
    return is_mended, is_mended or meant in map(str.lower, bar.slots)


def among_words(session: Session, misspelling: Misspelling) -> bool:
    """Return whether one of the corrector's first three words for the letters alone is what was meant."""
    text = misspelling.context + misspelling.typed
    session.apply(FieldStarted(is_private=True))
    session.apply(TextChanged(text, len(text)))
    offers = {
        row.offer.text.lower(): row.offer for row in reversed(session.explain()) if row.offer.source == "corrector"
    }
    whole = [offer for offer in offers.values() if offer.replaced == misspelling.typed]
    best = sorted(whole, key=lambda offer: -offer.log_joint)[:NUM_SLOTS]
    return misspelling.meant.lower() in [offer.text.lower() for offer in best]


def theirs(speller: Speller, misspelling: Misspelling) -> tuple[bool, bool]:
    """Return whether a spell checker's first suggestion is what was meant, and whether one of the first three is."""
    found = [word.lower() for word in speller.suggest(misspelling.typed)[:NUM_SLOTS]]
    meant = misspelling.meant.lower()
    return found[:1] == [meant], meant in found


def score(outcomes: Iterable[tuple[bool, bool]]) -> Score:
    mended, shown = zip(*outcomes, strict=True)
    return Score(100 * sum(mended) / len(mended), 100 * sum(shown) / len(shown))


def rows_of(folder: Path, limit: int | None, seed: int, lists: Sequence[str]) -> dict[str, list[Misspelling]]:
    """Return what is judged, by the name of its row."""
    rng = random.Random(seed)
    alone = {name: read_list(folder, name) for name in lists}
    apart = list({each for row in alone.values() for each in row if each.is_contraction})
    rows = {name: [each for each in row if not each.is_contraction] for name, row in alone.items()}
    sentences = sentences_of(path for path in folder.glob("*.txt") if path.stem not in ("nus_sms",))
    for name, row in list(rows.items()):
        rows[f"{name}, in a sentence"] = list(in_sentences(row, sentences, rng))
    rows["contractions"] = apart
    rows["contractions, in a sentence"] = list(in_sentences(apart, sentences, rng))
    learners, typists = of_learners(folder / "jfleg.jsonl"), of_typists(folder / "aalto_desktop_keystrokes.jsonl")
    for name, found in (("jfleg", learners), ("aalto", typists)):
        rows[f"{name}, in a sentence"] = [each for each in found if not each.is_contraction]
    for name, row in rows.items():
        row.sort(key=lambda each: (each.meant, each.typed, each.context))
        rows[name] = rng.sample(row, limit) if limit and len(row) > limit else row
    return {name: row for name, row in rows.items() if row}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of misspell_*.tsv, texts, JFLEG and Aalto logs")
    parser.add_argument("--limit", type=int, help="misspellings of each row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", dest="lists", action="append", choices=LISTS, help="only these")
    parser.add_argument("--only", default="", help="only rows with this in their name")
    parser.add_argument("--no-peers", action="store_true", help="ours alone")
    parser.add_argument("--misses", type=int, default=0, help="print as many of each row that are not mended")
    options = parser.parse_args()
    engine = ModelSubject(bundled_folder(), "onnx", keyboard=FULL).engine()
    assert isinstance(engine, FieldEngine)
    peers = [] if options.no_peers else spellers()
    rows = rows_of(options.folder, options.limit, options.seed, options.lists or LISTS)
    session = Session.open(options=SessionOptions(num_threads=1))
    table = [("mended / on the bar, %", "words", "keyboard-lm", "its three words", *(peer.name for peer in peers))]
    found: dict[str, dict[str, Score]] = {}
    for name, misspellings in rows.items():
        if options.only not in name:
            continue
        outcomes = [ours(engine, each) for each in misspellings]
        scores = {"keyboard-lm": score(outcomes)}
        words = [mended or among_words(session, each) for (mended, _), each in zip(outcomes, misspellings, strict=True)]
        scores["three words"] = Score(scores["keyboard-lm"].mended, 100 * sum(words) / len(words))
        scores |= {peer.name: score(theirs(peer, each) for each in misspellings) for peer in peers}
        found[name] = scores
        table.append(
            (name, str(len(misspellings)), *(f"{one.mended:.1f} / {one.shown:.1f}" for one in scores.values()))
        )
        missed = [each for each, outcome in zip(misspellings, outcomes, strict=True) if not outcome[0]]
        for each in missed[: options.misses]:
            text = each.context + each.typed
            engine.start_field()
            bar = engine.bar(text, NUM_SLOTS)
            left = engine.finished(text)[-20:]
            print(f"{name}: ...{each.context[-30:]}[{each.typed}] {each.meant}: {left!r} {bar.slots}")
    print(format_table(table))
    print(json.dumps({name: {one: list(two) for one, two in scores.items()} for name, scores in found.items()}))


if __name__ == "__main__":
    main()
