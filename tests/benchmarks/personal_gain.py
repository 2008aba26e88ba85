"""Measure what a personal store adds to the bar of simulated users, and what a query costs.

Each document of a text is one writer (nus_sms.txt: real users; dialogues stand for writers with short histories).
Their messages are replayed in order; before every word the model's bar is compared with the merged one. Every second
document, the first included, is measured; `--fit` searches the mixing constants on the others instead.

    python tests/benchmarks/personal_gain.py CHECKPOINT TEXT [TEXT ...] [--words 4000] [--fit]

Prints a table, then one JSON line. Intervals are 95 % bootstraps of the paired difference over writers.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyboard_lm.backends import load_backend
from keyboard_lm.decoding.search import SearchOptions, Word
from keyboard_lm.evaluation.estimate import Counts, Metric, difference, estimate, ratio
from keyboard_lm.evaluation.predictor import Predictor, PredictorOptions
from keyboard_lm.evaluation.texts import EvaluationText, load_texts
from keyboard_lm.evaluation.words import words_of
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.personal import PersonalOptions, PersonalStore
from keyboard_lm.text.case import fold

NUM_MODEL_WORDS = 40  # of the model's that are mixed
SECONDS_PER_MESSAGE = 120.0  # the texts have no times; a message apart is a sighting apart
LATE = 300  # words already learned: from here on a writer has a history
RANKS = (1, 3)
METRICS = tuple(
    Metric(f"{when}top{rank}", f"{label}top-{rank} %", ratio(f"{when}top{rank}", f"{when}words"), digits=2)
    for when, label in (("", ""), ("late_", "after a history, "))
    for rank in RANKS
)
GRID: dict[str, tuple[float, ...]] = {
    "caps": (0.05, 0.1, 0.2, 0.3, 0.5),
    "escapes": (0.25, 0.5, 1, 2, 4, 8, 16, 64, 256),
}
HALF_LIVES = (300.0, 1000.0, 3000.0, 10_000.0, 100_000.0)


@dataclass(frozen=True)
class Question:
    """One word of a message: what stands before it and what the model offers."""

    message: int
    before: tuple[str, ...]
    word: str
    offered: tuple[Word, ...]


Writer = list[Question]


def ask_model(
    predictor: Predictor, checkpoint: Checkpoint, documents: Sequence[Sequence[str]], num: int
) -> list[Writer]:
    """Return the questions of some writers, until `num` words have been asked for."""
    writers: list[Writer] = []
    for document in documents:
        writer: Writer = []
        for index, message in enumerate(document):
            predictor.forget()
            for span in words_of(message):
                if num <= 0:
                    break
                num -= 1
                text = message[: span.start]
                before = checkpoint.tokenizer.form.split_typed(text).messages[-1]
                items = predictor.suggest(text).items
                offered = tuple(Word(item.text, item.probability) for item in items if item.kind == "next_word")
                writer.append(Question(index, before, fold(span.text), offered))
        if writer:
            writers.append(writer)
    return writers


def replay(writer: Writer, options: PersonalOptions, knows: Callable[[str], bool]) -> tuple[Counts, Counts]:
    """Return the hits of the model alone and of model and store, as one writer goes through all messages."""
    names = [f"{when}{name}" for when in ("", "late_") for name in ("words", *(f"top{rank}" for rank in RANKS))]
    alone, merged = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    num_learned = 0
    with PersonalStore.open(None, lambda: SECONDS_PER_MESSAGE * message, knows, options) as store:
        message, num_seen = 0, 0
        for question in writer:
            if question.message != message:
                message, num_seen = question.message, 0
            store.learn(question.before[num_seen:], question.before[:num_seen])
            num_learned += len(question.before) - num_seen
            num_seen = len(question.before)
            bar = merged_words(store, question)
            for counts, words in ((alone, question.offered), (merged, bar)):
                keys = [fold(word.text) for word in words[: max(RANKS)]]
                for when in ("", "late_") if num_learned >= LATE else ("",):
                    counts[f"{when}words"] += 1
                    for rank in RANKS:
                        counts[f"{when}top{rank}"] += question.word in keys[:rank]
    return alone, merged


def merged_words(store: PersonalStore, question: Question) -> list[Word]:
    """Return the most probable of the model's words and the writer's, mixed."""
    view = store.view(question.before)
    if view is None:
        return list(question.offered)
    texts: dict[str, str] = {}
    model: dict[str, float] = {}
    for word in question.offered:
        texts.setdefault(fold(word.text), word.text)
        model[fold(word.text)] = model.get(fold(word.text), 0.0) + word.probability
    for text in view.candidates("", max(RANKS)):
        texts.setdefault(fold(text), text)
    mixed = [Word(text, view.mix(model.get(key, 0.0), key)) for key, text in texts.items()]
    return sorted(mixed, key=lambda word: (-word.probability, word.text))[: max(RANKS)]


def gain(
    writers: Sequence[Writer], options: PersonalOptions, knows: Callable[[str], bool]
) -> tuple[list[Counts], list[Counts]]:
    """Return the counts of every writer, without and with a store."""
    pairs = [replay(writer, options, knows) for writer in writers]
    return [alone for alone, _ in pairs], [merged for _, merged in pairs]


def fit(writers: Sequence[Writer], knows: Callable[[str], bool]) -> tuple[PersonalOptions, float]:
    """Search the constants one by one for the most hits among three, from the defaults on."""

    def hits(options: PersonalOptions) -> float:
        return sum(counts["top3"] + counts["top1"] / 2 for counts in gain(writers, options, knows)[1])

    best = PersonalOptions()
    most = hits(best)
    print(f"start {most:g}: {best}")
    for _ in range(2):
        before = most
        for options in list(_neighbours(best)):
            # Each neighbour differs in one field; the others are those of the best so far.
            field, value = options
            changed = dataclasses.replace(best, **_with(best, field, value))
            if (found := hits(changed)) > most:
                best, most = changed, found
                print(f"{most:g}: {best}", flush=True)
        if most == before:
            break
    return best, most


def _neighbours(options: PersonalOptions) -> Iterator[tuple[tuple[str, int], float]]:
    for name, values in GRID.items():
        for order in range(3):
            for value in values:
                yield (name, order), value
    for value in HALF_LIVES:
        yield ("half_life_words", -1), value


def _with(options: PersonalOptions, field: tuple[str, int], value: float) -> dict[str, Any]:
    name, order = field
    if order < 0:
        return {name: value}
    values = list(getattr(options, name))
    values[order] = value
    return {name: tuple(values)}


def time_queries(num_words: int = 50_000, num_queries: int = 4000) -> dict[str, float]:
    """Return the time of a query after as many different words, at contexts that were seen, in milliseconds of CPU."""
    rng = random.Random(0)
    letters, odds = "etaoinshrdlucm", (12.0, 9, 8, 7.5, 7, 6.7, 6.3, 6.1, 6, 4.3, 4, 2.8, 2.8, 2.4)
    lexicon: set[str] = set()
    while len(lexicon) < num_words:
        lexicon.add("".join(rng.choices(letters, odds, k=rng.randint(3, 9))))
    words = sorted(lexicon)
    text = words + [words[min(int(rng.paretovariate(0.6)), num_words) - 1] for _ in range(num_words // 2)]
    rng.shuffle(text)
    store = PersonalStore.open(None, knows=lambda word: True)
    for start in range(0, len(text), 10):
        store.learn(text[start : start + 10])
    learn_ms = []
    for i in range(500):
        start_s = time.thread_time()
        store.learn([text[i]], text[max(0, i - 4) : i])
        learn_ms.append((time.thread_time() - start_s) * 1000)
    query_ms = []
    for _ in range(num_queries):
        place = rng.randrange(10, len(text) // 10) * 10
        context, word = text[place : place + 4], text[place + 4]
        prefix = word[: rng.randint(0, 4)]
        start_s = time.thread_time()
        view = store.view(context)
        if view is not None:
            view.candidates(prefix, 3)
        query_ms.append((time.thread_time() - start_s) * 1000)
    cuts = statistics.quantiles(query_ms[10:], n=100)
    return {"query_p50_ms": cuts[49], "query_p95_ms": cuts[94], "learn_p50_ms": statistics.median(learn_ms)}


def report(
    texts: Sequence[EvaluationText], writers: dict[str, list[Writer]], knows: Callable[[str], bool]
) -> dict[str, Any]:
    """Print the gain on each text and on all, and return it."""
    found: dict[str, Any] = {}
    counts = {name: gain(group, PersonalOptions(), knows) for name, group in writers.items()}
    if len(texts) > 1:
        pairs = counts.values()
        counts["all"] = [c for a, _ in pairs for c in a], [c for _, b in pairs for c in b]
    for name, (alone, merged) in counts.items():
        gains = difference(alone, merged, METRICS, seed=0)
        before = estimate(alone, METRICS, seed=0)
        num_words = sum(count["words"] for count in alone)
        print(
            f"\n{name}: {len(alone)} writers, {num_words:,.0f} words, {sum(c['late_words'] for c in alone):,.0f} late"
        )
        found[name] = {"writers": len(alone), "words": num_words}
        for metric in METRICS:
            base, more = before[metric.name].value, gains[metric.name]
            change = f"{more.value:+.2f} ({more.low:+.2f} to {more.high:+.2f})"
            print(f"  {metric.label:<28} {base:6.2f} -> {base + more.value:6.2f}  {change}")
            figures = {"alone": base, "gain": more.value, "low": more.low, "high": more.high}
            found[name][metric.name] = {key: value if math.isfinite(value) else None for key, value in figures.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("texts", nargs="*")
    parser.add_argument("--words", type=int, default=4000, help="at most, of each text")
    parser.add_argument("--fit", action="store_true", help="search constants on the documents that are not measured")
    options = parser.parse_args()
    checkpoint = Checkpoint.load(options.checkpoint)
    search = SearchOptions(max_rounds=2)
    predictor = Predictor(
        load_backend("onnx", checkpoint, num_threads=1),
        checkpoint.tokenizer,
        PredictorOptions(NUM_MODEL_WORDS, search=search),
    )
    known = {
        key for key, begins in zip(predictor.table.ends.keys, predictor.table.ends.may_begin, strict=True) if begins
    }

    def knows(word: str) -> bool:
        return fold(word) in known

    texts = [text for source in options.texts for text in load_texts(source)]
    first = 1 if options.fit else 0
    writers = {text.name: ask_model(predictor, checkpoint, text.documents[first::2], options.words) for text in texts}
    if options.fit:
        best, _ = fit([writer for group in writers.values() for writer in group], knows)
        print(json.dumps(dataclasses.asdict(best)))
        return
    found = report(texts, writers, knows)
    found["time"] = time_queries()
    print(
        "\nCPU time of a query with 50,000 words learned: "
        + ", ".join(f"{k} {v:.3f}" for k, v in found["time"].items())
    )
    print(json.dumps({"checkpoint": checkpoint.digest[:16], **found}))


if __name__ == "__main__":
    main()
