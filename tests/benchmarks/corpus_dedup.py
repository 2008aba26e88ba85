"""Near duplicates planted in a text, looked for by `keyboard-lm corpus` and by datatrove: time, finds and losses.

    python -m venv peer && peer/bin/pip install 'datatrove[processing]==0.10.1' 'xxhash<4' orjson
    python tests/benchmarks/corpus_dedup.py --data TEXT.txt --peer peer/bin/python

Documents are stretches of the text. For each third one a copy with a few words replaced is planted, of a Jaccard
similarity of word 5-grams from `--similarity` up, and for each third one a copy of a similarity between 0.4 and 0.65,
which is another document. CPU seconds of one process each: to sign and to find, and for ours also with what comes with
it there (reading, cleaning, keys, writing clean text). datatrove's read, sign, find and filter, with words split at
white space. Two settings of it: its default (14 buckets of 8 hashes) and 12 of 10, steepest near our threshold of 0.8.
"""

from __future__ import annotations

import argparse
import json
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

SETTINGS = {"datatrove 14 x 8": (14, 8), "datatrove 12 x 10": (12, 10)}
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


def planted(text: str, count: int, lowest: float, rng: random.Random) -> tuple[list[list[str]], list[str]]:
    """Return documents as words and what each is: ``original``, ``copy`` or ``other``; originals first."""
    words = text.split()
    originals, at = [], 0
    while len(originals) < count and at < len(words):
        size = rng.randrange(80, 400)
        originals.append(words[at : at + size])
        at += size
    extra = [(edited(words, lowest, 0.98, rng), "copy") for words in originals[::3]]
    extra += [(edited(words, 0.4, 0.65, rng), "other") for words in originals[1::3]]
    rng.shuffle(extra)
    return originals + [words for words, _ in extra], ["original"] * len(originals) + [kind for _, kind in extra]


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
    parser.add_argument("--threshold", type=float, default=0.8, help="of keyboard-lm")
    options = parser.parse_args()
    documents, kinds = planted(
        options.data.read_text(encoding="utf-8"), options.documents, options.similarity, random.Random(1)
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lines = [json.dumps({"text": " ".join(words), "id": str(n)}) for n, words in enumerate(documents)]
        (folder / "documents.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        megabytes = sum(len(" ".join(words).encode()) for words in documents) / 1e6
        results = {f"keyboard-lm {options.threshold:g}": ours(folder, options.threshold)}
        results |= {name: peer(options.peer, folder, *setting) for name, setting in SETTINGS.items()}
    copies = {n for n, kind in enumerate(kinds) if kind == "copy"}
    distinct = {n for n, kind in enumerate(kinds) if kind != "copy"}
    figures = {
        name: {
            "found": len(copies - left),
            "lost": len(distinct - left),
            "cpu_seconds": round(seconds, 3),
            "mb_per_second": round(megabytes / seconds, 3),
            "all_cpu_seconds": round(total, 3),
        }
        for name, (left, seconds, total) in results.items()
    }
    print(f"{megabytes:.2f} MB, {len(documents)} documents, {len(copies)} copies planted, {len(distinct)} distinct")
    rows = [["", "copies found", "distinct lost", "CPU s", "MB/s", "CPU s with all"]]
    print(format_table(rows + [[name, *(str(value) for value in values.values())] for name, values in figures.items()]))
    print(json.dumps({"megabytes": megabytes, "copies": len(copies), "distinct": len(distinct), **figures}))


if __name__ == "__main__":
    main()
