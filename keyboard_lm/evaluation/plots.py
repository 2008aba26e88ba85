"""The curves of an evaluation as one picture."""

from __future__ import annotations

import importlib.util
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keyboard_lm.errors import DataError, MissingExtraError
from keyboard_lm.evaluation.completion import QUARTERS
from keyboard_lm.evaluation.estimate import Estimate
from keyboard_lm.evaluation.results import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def check_drawable(task_names: Sequence[str]) -> None:
    """Do nothing if what these tasks measure can be drawn here.

    Raises:
        DataError: none of them has a curve.
        MissingExtraError: matplotlib is not installed.
    """
    if not {"savings", "completion", "cost"} & set(task_names):
        raise DataError("nothing to draw: measure savings, completion or cost")
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "plot")


def draw(evaluation: Evaluation) -> bytes:
    """Return a PNG: savings by slots, completion by share typed, the histogram of keystroke times; what there is.

    Raises:
        DataError: none of the three was measured.
        MissingExtraError: matplotlib is not installed.
    """
    check_drawable([*evaluation.counts, *(["cost"] if evaluation.latency else [])])
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [
        panel
        for panel, is_there in (
            (_savings, "savings" in evaluation.counts),
            (_completion, "completion" in evaluation.counts),
            (_latency, bool(evaluation.latency)),
        )
        if is_there
    ]
    figure = Figure(figsize=(5 * len(panels), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        panel(evaluation, axes)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()


def _savings(evaluation: Evaluation, axes: Axes) -> None:
    for name, row in evaluation.rows("savings").items():
        _line(axes, evaluation.slots, [row[f"savings{slots}"] for slots in evaluation.slots], name)
    axes.set_xticks(evaluation.slots)
    axes.set(xlabel="slots", ylabel="keystroke savings, %")
    axes.legend(fontsize=8)


def _completion(evaluation: Evaluation, axes: Axes) -> None:
    for name, row in evaluation.rows("completion").items():
        _line(axes, (25, 50, 75, 100), [row[f"{quarter}_top3"] for quarter in QUARTERS], name)
    axes.set_xticks((25, 50, 75, 100))
    axes.set(xlabel="share of the word typed, up to %", ylabel="wanted word among three, %")
    axes.legend(fontsize=8)


def _latency(evaluation: Evaluation, axes: Axes) -> None:
    bins = {int(power): number for power, number in evaluation.latency["histogram"].items()}
    edges = sorted(bins)
    widths = [2 ** ((power + 1) / 4) - 2 ** (power / 4) for power in edges]
    axes.bar([2 ** (power / 4) for power in edges], [bins[power] for power in edges], widths, align="edge")
    axes.set_xscale("log")
    axes.set(xlabel="time to the bar, ms", ylabel="keystrokes")


def _line(axes: Axes, xs: tuple[int, ...], found: list[Estimate], name: str) -> None:
    margins = [0 if math.isnan(estimate.margin) else estimate.margin for estimate in found]
    axes.errorbar(xs, [estimate.value for estimate in found], margins, label=name, marker="o", capsize=3)
