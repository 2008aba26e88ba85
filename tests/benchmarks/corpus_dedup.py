"""Near duplicates planted in a text, looked for by `keyboard-lm corpus` and by datatrove: time, finds and losses.

    python -m venv peer && peer/bin/pip install 'datatrove[processing]==0.10.1' 'xxhash<4' orjson
    python tests/benchmarks/corpus_dedup.py --data TEXT.txt --peer peer/bin/python

Documents are stretches of the text. For each third one a copy with a few words replaced is planted, of a Jaccard
similarity of word 5-grams from `--similarity` up, and for each third one a copy of a similarity between 0.4 and 0.65,
which is another document. CPU seconds of one process each: to sign and to find, and for ours also with what comes with
it there (reading, cleaning, keys, writing clean text). datatrove's read, sign, find and filter, with words split at
white space.

A pair of similarity s shares one of b buckets of r hashes with probability 1 - (1 - s^r)^b, which is steepest near
(1/b)^(1/r): that is what a setting of datatrove's has for a threshold, since it asks nothing more of a pair (its
authors say 75 % of their default, 14 of 8). Ours asks, so its curve is that of the share of 120 equal hashes that
reaches the threshold. `expected` is what the curves give for the similarities that were planted.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from keyboard_lm_training.corpus import dedup
from keyboard_lm_training.corpus.clean import CleanOptions
from keyboard_lm_training.corpus.cleaning import DOCUMENT
from keyboard_lm_training.corpus.decisions import EXACT, NEAR
from keyboard_lm_training.corpus.plan import PART_BYTES, make_plan
from keyboard_lm_training.corpus.recipe import Recipe
from keyboard_lm_training.corpus.sources import SourceReader, SourceRecipe
from keyboard_lm_training.corpus.stages import STAGES, Job, run_task
from keyboard_lm_training.corpus.work import PLAN_FILE, Work

from keyboard_lm.cli.table import format_table

SETTINGS = ((14, 8), (12, 10), (11, 11))  # its default; steepest at 0.78 and at 0.80
_FINDING = ("exact", "exact_parts", "near", "near_parts", "repeated", "decide")


def shingles(words: list[str]) -> set[tuple[str, ...]]:
    """Return the word 5-grams of a document, case folded."""
    folded = [word.lower() for word in words]
    return {tuple(folded[i : i + 5]) for i in range(len(folded) - 4)}


def similarity(left: list[str], right: list[str]) -> float:
    """Return the Jaccard similarity of two documents."""
    a, b = shingles(left), shingles(right)
    return len(a & b) / len(a | b)


def edited(words: list[str], low: float, high: float, rng: random.Random) -> list[str]:
    """Return a copy of which words were replaced until its similarity is between two bounds."""
    copy = list(words)
    target = rng.uniform(low, high)
    while similarity(words, copy) > target:
        copy[rng.randrange(len(copy))] = f"word{rng.randrange(10**6)}"
    return copy


def bucket_curve(similarities: list[float], buckets: int, hashes: int) -> float:
    """Return how many of some pairs share a bucket, on average."""
    return sum(1 - (1 - s**hashes) ** buckets for s in similarities)


def threshold_curve(similarities: list[float], threshold: float) -> float:
    """Return how many of some pairs share a band of ours and agree in enough permutations, on average."""
    total = dedup.NUM_PERMUTATIONS
    enough = range(math.ceil(threshold * total), total + 1)
    return sum(
        bucket_curve([s], dedup.NUM_BANDS, dedup.BAND_ROWS)
        * sum(math.comb(total, n) * s**n * (1 - s) ** (total - n) for n in enough)
        for s in similarities
    )


def planted(
    text: str, count: int, lowest: float, rng: random.Random
) -> tuple[list[list[str]], list[str], dict[str, list[float]]]:
    """Return documents as words, what each is (``original``, ``copy`` or ``other``; originals first), similarities."""
    words = text.split()
    originals, at = [], 0
    while len(originals) < count and at < len(words):
        size = rng.randrange(80, 400)
        originals.append(words[at : at + size])
        at += size
    extra = [(edited(words, lowest, 0.98, rng), "copy") for words in originals[::3]]
    extra += [(edited(words, 0.4, 0.65, rng), "other") for words in originals[1::3]]
    sources = [*originals[::3], *originals[1::3]]
    near: dict[str, list[float]] = {"copy": [], "other": []}
    for source, (words, kind) in zip(sources, extra, strict=True):
        near[kind].append(similarity(source, words))
    rng.shuffle(extra)
    kinds = ["original"] * len(originals) + [kind for _, kind in extra]
    return originals + [words for words, _ in extra], kinds, near


def ours(folder: Path, threshold: float) -> tuple[set[int], float, float]:
    """Return the documents that are left, CPU seconds to sign and find, and with all that comes with it."""
    signing = 0.0

    def timed(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def run(argument: Any) -> Any:
            nonlocal signing
            start = time.process_time()
            result = function(argument)
            signing += time.process_time() - start
            return result

        return run

    dedup.near_signatures, dedup.band_keys = timed(dedup.near_signatures), timed(dedup.band_keys)
    source = SourceRecipe("text", path="*.jsonl")
    clean = CleanOptions(max_message_chars=10**6, drop_personal=False)
    recipe = Recipe("planted", (source,), clean=clean, dedup=dedup.DedupOptions(threshold=threshold))
    plan = make_plan(recipe, [SourceReader(source, folder)], str(folder), "", PART_BYTES)
    with tempfile.TemporaryDirectory() as place:
        work = Work(f"{place}/work", f"{place}/corpus")
        work.save(PLAN_FILE, plan)
        job, seconds = Job(f"{place}/work", f"{place}/corpus", plan["digest"]), Counter[str]()
        for stage in STAGES[: 1 + [stage.name for stage in STAGES].index("decide")]:
            start = time.process_time()
            for index in range(stage.count(work)):
                run_task(job, stage.name, index)
            seconds[stage.name] += time.process_time() - start
        flags = np.concatenate([work.flags(part) for part in range(len(work.parts))])
    documents = flags[(flags & DOCUMENT) != 0]
    left = set(np.flatnonzero((documents & (EXACT | NEAR)) == 0).tolist())
    return left, signing + sum(seconds[name] for name in _FINDING), seconds.total()


def peer(python: str, folder: Path, buckets: int, hashes: int) -> tuple[set[int], float, float]:
    """Return the documents that datatrove leaves, and its CPU seconds without and with reading and filtering."""
    script = Path(__file__).parent / "peers" / "datatrove_minhash.py"
    with tempfile.TemporaryDirectory() as work:
        command = [python, str(script), str(folder), work, str(buckets), str(hashes)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    values = json.loads(done.stdout.splitlines()[-1])
    seconds = values["cpu_seconds"]
    return {int(name) for name in values["left"]}, sum(seconds.values()) - seconds["filter"], sum(seconds.values())


def main() -> None:
    """Plant, run all, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peer", required=True, help="a Python that has datatrove")
    parser.add_argument("--documents", type=int, default=600)
    parser.add_argument("--similarity", type=float, default=0.8, help="lowest of a planted copy")
    parser.add_argument("--thresholds", type=float, nargs="+", default=[0.75, 0.8], help="of keyboard-lm")
    options = parser.parse_args()
    documents, kinds, near = planted(
        options.data.read_text(encoding="utf-8"), options.documents, options.similarity, random.Random(1)
    )
    results: dict[str, tuple[float, list[float], tuple[set[int], float, float]]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lines = [json.dumps({"text": " ".join(words), "id": str(n)}) for n, words in enumerate(documents)]
        (folder / "documents.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        megabytes = sum(len(" ".join(words).encode()) for words in documents) / 1e6
        for threshold in options.thresholds:
            expected = [threshold_curve(near[kind], threshold) for kind in ("copy", "other")]
            results[f"keyboard-lm {threshold:g}"] = threshold, expected, ours(folder, threshold)
        for buckets, hashes in SETTINGS:
            expected = [bucket_curve(near[kind], buckets, hashes) for kind in ("copy", "other")]
            found = peer(options.peer, folder, buckets, hashes)
            results[f"datatrove {buckets} x {hashes}"] = (1 / buckets) ** (1 / hashes), expected, found
    copies = {n for n, kind in enumerate(kinds) if kind == "copy"}
    distinct = {n for n, kind in enumerate(kinds) if kind != "copy"}
    figures = {
        name: {
            "threshold": round(threshold, 2),
            "found": len(copies - left),
            "found_expected": round(expected[0]),
            "lost": len(distinct - left),
            "lost_expected": round(expected[1]),
            "cpu_seconds": round(seconds, 3),
            "mb_per_second": round(megabytes / seconds, 3),
            "all_cpu_seconds": round(total, 3),
        }
        for name, (threshold, expected, (left, seconds, total)) in results.items()
    }
    print(f"{megabytes:.2f} MB, {len(documents)} documents, {len(copies)} copies planted, {len(distinct)} distinct")
    rows = [
        ["", "threshold", "copies found", "expected", "distinct lost", "expected", "CPU s", "MB/s", "CPU s with all"]
    ]
    print(format_table(rows + [[name, *(str(value) for value in values.values())] for name, values in figures.items()]))
    print(json.dumps({"megabytes": megabytes, "copies": len(copies), "distinct": len(distinct), **figures}))


if __name__ == "__main__":
    main()
