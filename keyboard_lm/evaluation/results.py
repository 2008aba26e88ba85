"""The results of an evaluation as a file: figures for people, counts of every document for comparisons."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from keyboard_lm.errors import DataError
from keyboard_lm.evaluation.estimate import Counts, Estimate, Metric, difference, estimate
from keyboard_lm.evaluation.noise import PERFECT, noise_digest
from keyboard_lm.evaluation.runner import EvaluationPlan, Results
from keyboard_lm.evaluation.tasks import TASKS

FORMAT = "keyboard-lm-evaluation/1"
ALL = "all"  # the row of all texts together

Estimates = dict[str, Estimate]  # by metric
TaskRows = dict[str, Estimates]  # text name -> figures


@dataclass(frozen=True)
class TextCounts:
    """One task on one text."""

    sha256: str
    documents: tuple[Counts, ...]


@dataclass(frozen=True)
class Evaluation:
    """What was measured, how, and the counts.

    Attributes:
        subject: what was measured, in a line.
        slots: bar lengths of keystroke savings.
        errors: how the typist typed; None for each task's usual.
        seed: of everything random, the intervals included.
        noise: digest of what the typist's errors are made of.
        counts: task -> text -> counts of its documents.
        latency: figures of the cost task, which no seed repeats; empty where it did not run.
    """

    subject: str
    slots: tuple[int, ...]
    errors: str | None
    seed: int
    noise: str
    counts: Mapping[str, Mapping[str, TextCounts]]
    latency: Mapping[str, Any]

    @classmethod
    def of(cls, subject: str, plan: EvaluationPlan, results: Results, latency: Mapping[str, Any]) -> Evaluation:
        """Put the results of a plan in order."""
        counts = {
            task: {
                text.name: TextCounts(text.sha256, tuple(documents))
                for text, documents in zip(plan.texts, per_text, strict=True)
                if documents
            }
            for task, per_text in results.items()
        }
        return cls(subject, plan.slots, plan.errors, plan.seed, noise_digest(), counts, latency)

    def metrics(self, task: str) -> tuple[Metric, ...]:
        """Return the figures that a task's counts give."""
        return TASKS[task].metrics(self.slots)

    def rows(self, task: str) -> TaskRows:
        """Return the figures of each text, and of all together if there are several."""
        texts = self.counts[task]
        rows = {name: estimate(text.documents, self.metrics(task), self.seed) for name, text in texts.items()}
        if len(texts) > 1:
            together = [counts for text in texts.values() for counts in text.documents]
            sizes = [len(text.documents) for text in texts.values()]
            rows[ALL] = estimate(together, self.metrics(task), self.seed, sizes)
        return rows

    def to_json(self) -> str:
        """Return the file's text: figures with intervals, and the counts of every document in columns."""
        return json.dumps(
            {
                "format": FORMAT,
                "subject": self.subject,
                "slots": self.slots,
                "errors": self.errors,
                "seed": self.seed,
                "noise": self.noise,
                "figures": {
                    task: {
                        name: {metric: _finite(found) for metric, found in figures.items()}
                        for name, figures in self.rows(task).items()
                    }
                    for task in self.counts
                },
                "counts": {
                    task: {name: _columns(text) for name, text in texts.items()} for task, texts in self.counts.items()
                },
                "latency": self.latency,
            }
        )

    @classmethod
    def load(cls, path: Path) -> Evaluation:
        """Read a file that `to_json` made.

        Raises:
            DataError: there is none, or it is something else.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None
        except ValueError:
            raise DataError(f"{path}: not JSON; make it with: keyboard-lm eval -o {path}") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise DataError(f"{path}: not results of this version; make them with: keyboard-lm eval -o {path}")
        try:
            counts = {
                task: {name: _from_columns(columns) for name, columns in texts.items()}
                for task, texts in data["counts"].items()
                if task in TASKS
            }
            loaded = cls(
                data["subject"],
                tuple(data["slots"]),
                data["errors"],
                data["seed"],
                data["noise"],
                counts,
                data["latency"],
            )
            for task in counts:
                loaded.rows(task)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise DataError(
                f"{path}: damaged or of another version; make it with: keyboard-lm eval -o {path}"
            ) from None
        return loaded


def compare(before: Evaluation, after: Evaluation) -> dict[str, TaskRows]:
    """Return the paired differences of two evaluations, `after` minus `before`: task -> text -> figure.

    Raises:
        DataError: they have no task and text in common, or were not made alike.
    """
    for option in ("slots", "errors", "seed"):
        one, two = getattr(before, option), getattr(after, option)
        if one != two:
            raise DataError(f"the two evaluations were made with different --{option} ({one}, {two}): make them alike")
    tables: dict[str, TaskRows] = {}
    for task, texts in before.counts.items():
        others = after.counts.get(task, {})
        pairs = {name: (text.documents, others[name].documents) for name, text in texts.items() if name in others}
        for name in pairs:
            if texts[name].sha256 != others[name].sha256:
                raise DataError(f"{name}: not the same text in both evaluations; make them with the same --limit")
        if pairs and before.noise != after.noise and (before.errors or TASKS[task].default_errors) != PERFECT:
            raise DataError(f"{task}: typed with the errors of two versions of the typist; make both with one version")
        metrics = before.metrics(task)
        rows = {name: difference(*pair, metrics, before.seed) for name, pair in pairs.items()}
        if len(pairs) > 1:
            old, new = (tuple(chain.from_iterable(side)) for side in zip(*pairs.values(), strict=True))
            rows[ALL] = difference(old, new, metrics, before.seed, [len(pair[0]) for pair in pairs.values()])
        if rows:
            tables[task] = rows
    if not tables:
        raise DataError("the two evaluations have no task and text in common")
    return tables


def _finite(found: Estimate) -> dict[str, float | None]:
    return {
        name: value if math.isfinite(value) else None
        for name, value in (("value", found.value), ("low", found.low), ("high", found.high))
    }


def _columns(text: TextCounts) -> dict[str, Any]:
    return {
        "sha256": text.sha256,
        "documents": {name: [counts[name] for counts in text.documents] for name in text.documents[0]},
    }


def _from_columns(columns: Mapping[str, Any]) -> TextCounts:
    names = list(columns["documents"])
    rows = zip(*columns["documents"].values(), strict=True)
    documents = tuple(dict(zip(names, row, strict=True)) for row in rows)
    return TextCounts(columns["sha256"], documents)
