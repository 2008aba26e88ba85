"""Results as tables for a terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from keyboard_lm.cli.table import format_table
from keyboard_lm.evaluation.estimate import Estimate, Metric
from keyboard_lm.evaluation.results import ALL, Evaluation, TaskRows

MAX_COLUMNS = 5  # texts side by side in one table; more of them get a row each, in a table for each task


def evaluation_tables(evaluation: Evaluation) -> str:
    """Return one table with a row for each figure and a column for each text, or one for each task if many texts.

    A figure is followed by half the width of its 95 % interval; ``-`` is a figure that nothing defines.
    """
    tables = {task: evaluation.rows(task) for task in evaluation.counts}
    columns = list(dict.fromkeys(name for rows in tables.values() for name in rows))
    if len(columns) > MAX_COLUMNS:
        return "\n\n".join(_by_text(task, rows, evaluation.metrics(task), _figure) for task, rows in tables.items())
    columns = sorted(columns, key=lambda name: name == ALL)  # stable: all texts together come last
    lines = [("", *columns)]
    for task, rows in tables.items():
        for metric in evaluation.metrics(task):
            cells = (_figure(rows[name][metric.name], metric) if name in rows else "-" for name in columns)
            lines.append((f"{task}: {metric.label}", *cells))
    return format_table(lines)


def comparison_tables(before: Evaluation, after: Evaluation, tables: Mapping[str, TaskRows]) -> str:
    """Return what changed, a row for each text: the difference, its interval, and ``*`` where that excludes 0."""
    head = f"A: {before.subject}\nB: {after.subject}\nB - A [95 % interval]; * excludes 0"
    return "\n\n".join(
        [head, *(_by_text(task, rows, _comparable(before.metrics(task)), _change) for task, rows in tables.items())]
    )


def comparison_json(tables: Mapping[str, TaskRows]) -> str:
    """Return the differences as JSON: task -> text -> figure -> value, low and high."""
    return json.dumps(
        {
            task: {
                name: {
                    metric: {key: value if math.isfinite(value) else None for key, value in asdict(found).items()}
                    for metric, found in row.items()
                }
                for name, row in rows.items()
            }
            for task, rows in tables.items()
        }
    )


def cost_table(latency: Mapping[str, Any]) -> str:
    """Return the figures of the cost task."""
    return format_table(
        [
            ("cost", ""),
            ("keystrokes", f"{latency['keystrokes']:,}"),
            *((f"keystroke {name} ms", f"{latency[f'{name}_ms']:.2f}") for name in ("p50", "p95", "p99", "max")),
            ("model calls per keystroke", f"{latency['model_calls']:.2f}"),
            ("start, modules loaded, ms", f"{latency['start_ms']:.0f}"),
            ("peak memory MB", f"{latency['peak_rss_mb']:.0f}"),
            ("cold start of `suggest` ms", f"{latency['cold_start_ms']:.0f}"),
            ("  its peak memory MB", f"{latency['cold_start_peak_rss_mb']:.0f}"),
        ]
    )


def _by_text(task: str, rows: TaskRows, metrics: tuple[Metric, ...], show: Any) -> str:
    header = (task, *(metric.label for metric in metrics))
    return format_table(
        [header, *((name, *(show(row[metric.name], metric) for metric in metrics)) for name, row in rows.items())]
    )


def _comparable(metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
    return tuple(metric for metric in metrics if metric.higher_is_better is not None)


def _figure(found: Estimate, metric: Metric) -> str:
    if not math.isfinite(found.value):
        return "-"
    value = f"{found.value:,.{metric.digits}f}"
    if metric.higher_is_better is None or not math.isfinite(found.margin):
        return value
    if metric.is_skewed:
        return f"{value} [{found.low:,.{metric.digits}f}, {found.high:,.{metric.digits}f}]"
    return f"{value} ±{found.margin:.{metric.digits}f}"


def _change(found: Estimate, metric: Metric) -> str:
    if not math.isfinite(found.value):
        return "-"
    value = f"{found.value:+.{metric.digits}f}"
    if not math.isfinite(found.margin):
        return value
    star = "*" if found.low > 0 or found.high < 0 else ""
    return f"{value} [{found.low:+.{metric.digits}f}, {found.high:+.{metric.digits}f}]{star}"
