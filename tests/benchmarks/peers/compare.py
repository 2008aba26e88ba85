"""Our model, Presage and the unigram order type the same texts, in one run.

    python tests/benchmarks/peers/compare.py --database DB --words LIST [--data NAME|FILE ...] [--limit N]

DB and LIST are what `train_presage.py` and `unigram.py` make of the training corpus. Prints a table for people and one
JSON line last. Figures are defined in docs/evaluation.md; each is followed by half its 95 % interval, and differences
to our model are paired.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from presage import PresageEngine, casing_of
from unigram import UnigramEngine
from word_list import read_word_list

from keyboard_lm.cli.table import format_table
from keyboard_lm.errors import KeyboardLMError
from keyboard_lm.evaluation.cost import Cost, measure_cost
from keyboard_lm.evaluation.model_subject import ModelSubject
from keyboard_lm.evaluation.results import ALL, Evaluation, compare
from keyboard_lm.evaluation.runner import EvaluationPlan, Journal, run
from keyboard_lm.evaluation.task import Subject
from keyboard_lm.evaluation.texts import EvaluationText, load_texts, sample, shipped_texts
from keyboard_lm.network.checkpoint import bundled_folder

TASKS = ("next-word", "completion", "savings")
FIGURES = (
    ("next-word", "folded1", "next word top-1 %"),
    ("next-word", "folded3", "next word top-3 %"),
    ("completion", "top3", "completion top-3 %"),
    ("savings", "savings1", "savings, 1 slot %"),
    ("savings", "savings3", "savings, 3 slots %"),
    ("savings", "savings5", "savings, 5 slots %"),
)


@dataclass(frozen=True)
class PresageSubject:
    """Starts Presage; picklable."""

    database: Path
    words: Path
    num_kept: int = 1 << 16  # answers; 0 when their time is measured

    def __call__(self) -> Subject:
        casing = casing_of(read_word_list(self.words))
        return Subject(PresageEngine(self.database, casing=casing, num_kept=self.num_kept))


@dataclass(frozen=True)
class UnigramSubject:
    """Reads the word list; picklable."""

    words: Path

    def __call__(self) -> Subject:
        return Subject(UnigramEngine(read_word_list(self.words)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", type=Path, required=True, help="of Presage")
    parser.add_argument("--words", type=Path, required=True, help="frequency list of the same corpus")
    parser.add_argument("--model", type=Path, default=None, help="checkpoint; the bundled model by default")
    parser.add_argument("--data", action="append", default=[], help="as in keyboard-lm eval")
    parser.add_argument("--limit", type=int, help="messages of each text")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    try:
        texts = [text for source in options.data for text in load_texts(source)] or shipped_texts()
        if options.limit:
            texts = [sample(text, options.limit) for text in texts]
        subjects: dict[str, Callable[[], Subject]] = {
            "keyboard-lm": ModelSubject(options.model or bundled_folder(), "onnx"),
            "Presage": PresageSubject(options.database, options.words),
            "unigram order": UnigramSubject(options.words),
        }
        plan = EvaluationPlan(TASKS, tuple(texts))
        evaluations: dict[str, Evaluation] = {}
        costs: dict[str, Cost] = {}
        for name, load in subjects.items():
            print(f"{name} ...", file=sys.stderr)
            evaluations[name] = Evaluation.of(name, plan, run(plan, load, Journal(None, ""), options.jobs), {})
            cost_of = replace(load, num_kept=0) if isinstance(load, PresageSubject) else load
            costs[name] = measure_cost(cost_of, [document for text in texts for document in text.documents], 2000)
    except KeyboardLMError as error:
        raise SystemExit(f"error: {error}") from None
    print(_tables(evaluations, costs, texts))
    print(json.dumps({name: json.loads(evaluation.to_json())["figures"] for name, evaluation in evaluations.items()}))


def _tables(evaluations: dict[str, Evaluation], costs: dict[str, Cost], texts: list[EvaluationText]) -> str:
    names = [text.name for text in texts] + ([ALL] if len(texts) > 1 else [])
    ours = next(iter(evaluations))
    parts = []
    for text in names:
        rows = [(text, *evaluations, *(f"{ours} - {peer}" for peer in evaluations if peer != ours))]
        for task, metric, label in FIGURES:
            found = [evaluation.rows(task)[text][metric] for evaluation in evaluations.values()]
            gains = [
                compare(evaluation, evaluations[ours])[task][text][metric]
                for peer, evaluation in evaluations.items()
                if peer != ours
            ]
            rows.append(
                (
                    label,
                    *(f"{figure.value:.1f} ±{figure.margin:.1f}" for figure in found),
                    *(f"{gain.value:+.1f} [{gain.low:+.1f}, {gain.high:+.1f}]" for gain in gains),
                )
            )
        parts.append(format_table(rows))
    speed = [("time to the bar, ms", "p50", "p95", "max")]
    speed += [(name, *(f"{ms:.2f}" for ms in (c.p50_ms, c.p95_ms, c.max_ms))) for name, c in costs.items()]
    return "\n\n".join([*parts, format_table(speed)])


if __name__ == "__main__":
    main()
