"""Fit how fingers move (`PathModel`) to recorded swipes: the words of the tuning half are made most probable.

    python tests/benchmarks/fit_swipe.py --data swipes.jsonl [--rounds 2] [--limit N]

Figure by figure, a step up or down is kept where it raises the mean logarithm of the meant word's share among all words
found, frequency included (at least -8 for a swipe, so that broken recordings do not decide). Swipes whose keyboard is
not stated are summed over `PHONES`. Prints each step that is kept, and one JSON line last. A round takes 20 readings of
the half, each some 10 s.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from keyboard_lm.evaluation.swipe_data import MarginalFinder, Swipe, half_of, letters_of, read_swipes
from keyboard_lm.swipe.beam import BeamOptions
from keyboard_lm.swipe.decoder import SwipeDecoder, SwipeOptions
from keyboard_lm.swipe.evidence import PathModel
from keyboard_lm.touch.layout import load_layout
from keyboard_lm.words.lexicon import load_lexicon

LEAST = -8.0
WEIGHTS = (0.3, 0.4, 0.5, 0.65, 0.8)  # of the frequency, the best of which counts
FACTORS = {"sd_x": 1.12, "sd_y": 1.12, "sd_end": 1.1, "way": 1.2, "way_most": 1.2, "turn": 1.25, "missed": 1.15,
           "skipped": 1.15}  # fmt: skip
STEPS = {"letter": 0.25, "slow": 0.15}


def worth(model: PathModel, swipes: Sequence[Swipe], num_words: int) -> tuple[float, float]:
    """Return the mean log share of the words meant, and how many percent are first."""
    beam = BeamOptions(num_nodes=300)
    finder = MarginalFinder(
        SwipeDecoder(load_lexicon(), load_layout(), SwipeOptions(model, beam=beam, num_words=num_words))
    )
    logs, firsts = np.zeros((len(swipes), len(WEIGHTS))), np.zeros((len(swipes), len(WEIGHTS)))
    for i, swipe in enumerate(swipes):
        finder.grids = swipe.grids
        found = finder.find(swipe.points)
        is_meant = np.array([letters_of(each.text) == letters_of(swipe.word) for each in found], bool)
        likelihoods, frequencies = (np.array([each[column] for each in found]) for column in (2, 3))
        for j, weight in enumerate(WEIGHTS):
            scores = likelihoods + weight * frequencies
            share = np.logaddexp.reduce(scores[is_meant]) - np.logaddexp.reduce(scores) if is_meant.any() else LEAST
            logs[i, j] = max(share, LEAST)
            firsts[i, j] = bool(len(scores)) and is_meant[scores.argmax()]
    best = int(logs.mean(axis=0).argmax())
    return float(logs[:, best].mean()), 100 * float(firsts[:, best].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--words", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--limit", type=int)
    asked = parser.parse_args()
    swipes = [swipe for swipe in read_swipes(asked.data) if half_of(swipe.word) == "tuning"][: asked.limit]
    model = PathModel()
    best, share = worth(model, swipes, asked.words)
    print(f"{len(swipes)} swipes, as it is: {best:.4f} nats, {share:.1f} % first", flush=True)
    for size in (1 / 2**number for number in range(asked.rounds)):
        for name in (*FACTORS, *STEPS):
            value = getattr(model, name)
            factor, step = FACTORS.get(name, 1.0) ** size, STEPS.get(name, 0.0) * size
            for tried in (value * factor + step, value / factor - step):
                other = replace(model, **{name: round(tried, 3)})
                found, share = worth(other, swipes, asked.words)
                if found > best + 1e-4:
                    model, best = other, found
                    print(f"{name} = {tried:.3f}: {best:.4f} nats, {share:.1f} % first", flush=True)
                    break
    print(json.dumps({"nats": round(best, 4), **asdict(model)}))


if __name__ == "__main__":
    main()
