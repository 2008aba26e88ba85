"""What each way of storing a network's weights costs on real text, as a table and a plot.

    python tests/benchmarks/palette_quality.py [--model FOLDER] [--limit N] [--jobs N] [--write]

Each row is the checkpoint with its weights rounded as the Core ML export rounds them by a recipe, computed in fp32 on
ONNX Runtime, on the evaluation texts that ship: next-word accuracy and keystroke savings on N messages of each, bits
per byte on four times as many. Differences are paired with fp32, with 95 % intervals over documents. A package's own
arithmetic adds next to nothing, see the parity ladder of `keyboard-lm export-coreml`. `--write` puts table and plot
into `coreml/README.md`. Prints one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from keyboard_lm_coreml.convert.activations import Activations
from keyboard_lm_coreml.convert.recipe import Recipe, Rule, shipped_recipe
from keyboard_lm_coreml.convert.stored import TABLE, StoredWeights, store_weights

from keyboard_lm.cli.table import format_table
from keyboard_lm.evaluation.estimate import Estimate
from keyboard_lm.evaluation.results import ALL, Evaluation, compare
from keyboard_lm.evaluation.runner import EvaluationPlan, Results
from keyboard_lm.evaluation.texts import sample, shipped_texts
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder

ROOT = Path(__file__).parents[2]
README = ROOT / "coreml" / "README.md"
PLOT = ROOT / "coreml" / "quality.png"
MARKS = ("<!-- palette_quality.py writes from here -->", "<!-- to here -->")
BITS_PER_BYTE, TOP3, SAVINGS = "language-model", "next-word", "savings"
METRICS = {BITS_PER_BYTE: "bits_per_byte", TOP3: "folded3", SAVINGS: "savings3"}
SLOTS = (3,)
BODY_GROUPS = (0, 64, 32, 16, 8)


@dataclass(frozen=True)
class Variant:
    """One way of storing the weights; no recipe for fp32."""

    label: str
    recipe: Recipe | None


@dataclass(frozen=True)
class Row:
    """What a variant gave."""

    label: str
    num_bytes: int
    evaluation: Evaluation
    seconds: float


def variants() -> list[Variant]:
    """Return what is compared, fp32 first."""
    shipped = {bits: shipped_recipe(bits) for bits in (16, 8, 6, 4)}
    table_rule, body_rule = shipped[4].rules
    found = [Variant("fp32", None)]
    found += [
        Variant(f"{'fp16' if bits == 16 else f'{bits} bit'} ({recipe.name})", recipe)
        for bits, recipe in shipped.items()
    ]
    rules = shipped[4].rules
    found.append(Variant("4bit.toml without compensation", Recipe("", rules, compensation=False)))
    found.append(
        Variant("neither compensation nor importance", Recipe("", rules, importance=False, compensation=False))
    )
    for size in BODY_GROUPS:
        if size != body_rule.group_size:
            name = f"groups of {size}" if size else "one table for each matrix"
            found.append(Variant(f"4-bit body, {name}", Recipe("", (table_rule, Rule("*", 4, size)))))
    for bits, size in ((8, 0), (4, 64), (4, 16)):
        rules = (Rule(TABLE, bits, size), body_rule)
        where = f"groups of {size}" if size else "one table"
        found.append(Variant(f"4-bit body, tied table {bits} bit, {where}", Recipe("", rules)))
    found.append(Variant("4-bit body alone, tied table fp16", Recipe("", (Rule(TABLE, 16), body_rule))))
    found.append(Variant("4-bit tied table alone (groups of 16), body fp16", Recipe("", (Rule(TABLE, 4, 16),))))
    found.append(Variant("3-bit body, groups of 16", Recipe("", (table_rule, Rule("*", 3, 16)))))
    return found


def measure(folder: Path, variant: Variant, activations: Activations, limit: int) -> tuple[str, int, Results, float]:
    """Store a checkpoint's weights one way and evaluate them."""
    from keyboard_lm.backends.onnx import OnnxBackend
    from keyboard_lm.backends.onnx_format import GRAPH_FORMAT, META_FORMAT
    from keyboard_lm.evaluation.language_model import LanguageModelScorer
    from keyboard_lm.evaluation.predictor_engine import PredictorEngine
    from keyboard_lm.evaluation.task import Subject
    from keyboard_lm.export.onnx_graph import build_graph

    began = time.perf_counter()
    checkpoint = Checkpoint.load(folder)
    config = checkpoint.config
    weights: Mapping[str, Any] = {name: value.astype(np.float32) for name, value in checkpoint.weights().items()}
    num_bytes = config.num_parameters * 4
    if variant.recipe is not None:
        stored = store_weights(config, weights, variant.recipe, activations)
        weights, num_bytes = stored.snapped, stored_bytes(stored)
    network = OnnxBackend(build_graph(config, weights, {META_FORMAT: str(GRAPH_FORMAT)}), config, num_threads=1)
    subject = Subject(
        PredictorEngine(network, checkpoint.tokenizer, max(SLOTS)), LanguageModelScorer(network, checkpoint.tokenizer)
    )
    results: Results = {}
    for task, plan in plans(limit).items():
        results[task] = [[] for _ in plan.texts]
        for unit in plan.units():
            results[task][unit[1]].append(plan.measure(subject, unit))
    return variant.label, num_bytes, results, time.perf_counter() - began


def plans(limit: int) -> dict[str, EvaluationPlan]:
    """Return what is measured on what."""
    some, more = (tuple(sample(text, number) for text in shipped_texts()) for number in (limit, 4 * limit))
    return {task: EvaluationPlan((task,), more if task == BITS_PER_BYTE else some, SLOTS) for task in METRICS}


def evaluation_of(results: Results, limit: int) -> Evaluation:
    """Put the results of all plans in one evaluation."""
    parts = [Evaluation.of("", plan, {task: results[task]}, {}) for task, plan in plans(limit).items()]
    counts = {task: texts for part in parts for task, texts in part.counts.items()}
    return Evaluation(parts[0].subject, SLOTS, None, 0, parts[0].noise, counts, {})


def stored_bytes(stored: StoredWeights) -> int:
    """Return what the weights take in the package: packed indices, tables, and the rest in fp16."""
    packed = sum(palette.num_bytes for palette in stored.palettes.values())
    values = sum(palette.codes.size for palette in stored.palettes.values())
    return packed + 2 * (sum(weight.size for weight in stored.snapped.values()) - values)


def table(rows: Sequence[Row]) -> list[list[str]]:
    """Return the cells: figures of fp32, differences from it below."""
    base = rows[0].evaluation
    lines = []
    for row in rows:
        cells = [row.label, f"{row.num_bytes / 1e6:.2f}"]
        for task, metric in METRICS.items():
            digits = 4 if task == BITS_PER_BYTE else 2
            if row is rows[0]:
                found = base.rows(task)[ALL][metric]
                cells.append(f"{found.value:.{digits}f} ±{found.margin:.{digits}f}")
            else:
                cells.append(_difference(compare(base, row.evaluation)[task][ALL][metric], digits))
        lines.append(cells)
    return lines


def _difference(found: Estimate, digits: int) -> str:
    return f"{found.value:+.{digits}f} [{found.low:+.{digits}f}, {found.high:+.{digits}f}]"


HEADER = ["weights", "MB", "bits/byte", "next word top-3 %", "keystroke savings, 3 slots %"]


def draw(rows: Sequence[Row]) -> bytes:
    """Return a PNG: what each row costs in bits per byte and keystroke savings over its size."""
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    base = rows[0].evaluation
    for axes, (task, title) in zip(
        figure.subplots(1, 2),
        ((BITS_PER_BYTE, "bits per byte over fp32"), (SAVINGS, "keystroke savings under fp32, points")),
        strict=True,
    ):
        sign = 1 if task == BITS_PER_BYTE else -1
        for number, row in enumerate(rows[1:], 1):
            found = compare(base, row.evaluation)[task][ALL][METRICS[task]]
            ends = sorted((sign * found.low, sign * found.high))
            size, cost = row.num_bytes / 1e6, sign * found.value
            axes.plot([size, size], ends, color="0.7", linewidth=1)
            axes.plot([size], [cost], "o", color="C0" if number <= 4 else "C1", markersize=5)
            axes.annotate(str(number), (size, cost), textcoords="offset points", xytext=(5, 3), fontsize=8)
        axes.axhline(0, color="0.5", linewidth=0.8)
        axes.set_xscale("log")
        axes.set_xlabel("MB of weights (rows of the table, numbered from fp16; blue: recipes that ship)")
        axes.set_title(title, fontsize=10)
    stream = io.BytesIO()
    figure.savefig(stream, dpi=110)
    return stream.getvalue()


def write(rows: Sequence[Row], checkpoint: Checkpoint, command: str) -> None:
    """Put table and plot between the marks of `coreml/README.md`."""
    lines = [f"| | {' | '.join(HEADER)} |", "|---" * (len(HEADER) + 1) + "|"]
    lines += [f"| {number or ''} | {' | '.join(cells)} |" for number, cells in enumerate(table(rows))]
    about = (
        f"Checkpoint {checkpoint.digest[:12]}, {checkpoint.config.num_parameters / 1e6:.1f} M parameters, "
        f"{date.today().isoformat()}; `{command}`:"
    )
    text = README.read_text(encoding="utf-8")
    inside = "\n".join([MARKS[0], "", about, "", *lines, "", f"![cost over size]({PLOT.name})", "", MARKS[1]])
    pattern = re.escape(MARKS[0]) + ".*?" + re.escape(MARKS[1])
    if not re.search(pattern, text, re.DOTALL):
        raise SystemExit(f"{README} has no place between {MARKS[0]!r} and {MARKS[1]!r}")
    README.write_text(re.sub(pattern, lambda _: inside, text, flags=re.DOTALL), encoding="utf-8")
    PLOT.write_bytes(draw(rows))


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=bundled_folder(), help="checkpoint with weights")
    parser.add_argument("--limit", type=int, default=25, help="messages of each text for accuracy and savings")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", action="store_true", help="put table and plot into coreml/README.md")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"

    from keyboard_lm_coreml.convert.activations import measure as look

    from keyboard_lm.backends.torch import load_model

    checkpoint = Checkpoint.load(options.model)
    activations = look(load_model(checkpoint), checkpoint.tokenizer.bos_id)
    chosen = variants()
    rows: list[Row] = []
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(measure, options.model, variant, activations, options.limit) for variant in chosen]
        for job in jobs:
            label, num_bytes, results, seconds = job.result()
            rows.append(Row(label, num_bytes, evaluation_of(results, options.limit), seconds))
            print(f"{label}: {seconds:.0f} s", flush=True)
    print(format_table([HEADER, *table(rows)]))
    command = "python tests/benchmarks/palette_quality.py --write"
    if options.limit != parser.get_default("limit"):
        command += f" --limit {options.limit}"
    if options.write:
        write(rows, checkpoint, command)
    figures = {
        row.label: {
            "bytes": row.num_bytes,
            **{task: row.evaluation.rows(task)[ALL][metric].value for task, metric in METRICS.items()},
        }
        for row in rows
    }
    print(json.dumps({"model": checkpoint.digest, "limit": options.limit, "rows": figures}))


if __name__ == "__main__":
    main()
