"""Bars of the Swift engine on weights rounded to 8 bits, against those on fp16.

    python tests/benchmarks/swift_rounded.py [--num 2000] [--threads 2]

Shipped messages are typed letter by letter into both, in processes of their own (`keyboard-lm-swift bench`). Counts the
bars with other words or another order, and those whose first word is another; prints some, and one JSON line last.
"""

from __future__ import annotations

import argparse
import json

from swift_keystrokes import SwiftTypist

from keyboard_lm.evaluation.texts import shipped_texts

NUM_DIALOGUES = 6  # of each text: the first keys are of all kinds
NUM_SHOWN = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=2000, help="keys")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    half, rounded = (SwiftTypist(options.threads, precision) for precision in ("half", "rounded"))
    bars: list[tuple[list[str], list[str]]] = []
    for text in shipped_texts():
        for message in (message for document in text.documents[:NUM_DIALOGUES] for message in document):
            if len(bars) < options.num:
                pairs = zip(half.type(message, is_toy=False), rounded.type(message, is_toy=False), strict=True)
                bars += [(one[3], other[3]) for one, other in pairs]
    half.close()
    rounded.close()
    others = [(one, other) for one, other in bars if one != other]
    num_first = sum(one[:1] != other[:1] for one, other in others)
    for one, other in others[:NUM_SHOWN]:
        print(f"{one} on fp16, {other} rounded")
    print(f"{len(bars)} bars, {len(others)} others on rounded weights, {num_first} with another first word")
    print(json.dumps({"bars": len(bars), "others": len(others), "other_first": num_first}))


if __name__ == "__main__":
    main()
