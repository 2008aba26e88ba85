"""How often a missed space is put in, and how often one is put into a word that no list holds, by `least_phrase`.

    python tests/benchmarks/missed_spaces.py TRAINING_TEXTS [--num 700]

Two words of a message, the first two or later ones, are written together or with a key above the space bar between
them; the words that no list holds are those of the same texts as their writers left them, missed spaces that they
overlooked among them. Prints per cent of each kind that a space would change, by the least probability of the two
words, and one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import random
import re
from pathlib import Path

from fit_gate import LINES, REGISTERS, Judge, unlisted

from keyboard_lm.correction.decision import lead_of
from keyboard_lm.correction.options import CorrectorOptions
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.text.form import normalise

LEAST = (1e-6, 5e-7, 3e-7, 2e-7, 1e-7, 5e-8, 2e-8, 1e-8)
BETWEEN = ("", "b", "n", "v")  # no space, or a key above it
_WORD = re.compile("[A-Za-z][a-z]{1,7}")


def joined(folder: Path, rng: random.Random, judge: Judge) -> dict[str, list[tuple[str, str]]]:
    """Return contexts, and two words after them as one, of messages' beginnings and of later places."""
    found: dict[str, list[tuple[str, str]]] = {"first two words": [], "later words": []}
    for name in REGISTERS:
        with lzma.open(folder / f"{name}.txt.xz", "rt", encoding="utf-8") as file:
            lines = [normalise(line) for _, line in zip(range(LINES), file, strict=False)]
        for line in rng.sample(lines, min(len(lines), 1500)):
            words = line.split(" ")
            for kind, place in (("first two words", 0), ("later words", rng.randrange(2, max(3, len(words) - 2)))):
                pair = words[place : place + 2]
                if len(words) < place + 3 or not all(_WORD.fullmatch(word) and judge.is_known(word) for word in pair):
                    continue
                typed = rng.choice(BETWEEN).join(pair)
                if not judge.is_known(typed):
                    found[kind].append((" ".join([*words[:place], ""]), typed))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the training texts")
    parser.add_argument("--num", type=int, default=700, help="cases of each kind")
    options = parser.parse_args()
    rng = random.Random(1)
    language = load_language()
    judge = Judge(language)
    kinds = joined(options.folder, rng, judge)
    left = unlisted(options.folder, language, rng)
    kinds["no word, alone"] = [("", each.typed) for each in left]
    kinds["no word, later"] = [(each.context, each.typed) for each in left if each.context]
    ratio = CorrectorOptions().unknown_ratio
    report = {}
    for kind, cases in kinds.items():
        some = rng.sample(cases, min(len(cases), options.num))
        logs = []
        for context, typed in some:
            found = judge.hypotheses(context + typed)
            best = found[0] if found else None
            if best and " " in best.text and best.replaced == typed and lead_of(best, found) >= ratio:
                logs.append(best.log_joint - best.log_channel)
        report[kind] = [100 * sum(log >= math.log(least) for log in logs) / len(some) for least in LEAST]
        print(f"{kind:16} ({len(some)})  " + "  ".join(f"{row:4.1f}" for row in report[kind]))
    print(f"{'least_phrase':16}        " + "  ".join(f"{least:.0e}" for least in LEAST))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
