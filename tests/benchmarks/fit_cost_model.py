"""Fit the cost model of the Neural Engine to what others have published.

    python tests/benchmarks/fit_cost_model.py [--write]

Prints what was published beside what a model says that was fitted without that chip, as Markdown, the coefficients
fitted to all, and one JSON line last. `--write` puts the coefficients into `keyboard_lm/device/cost_model.toml` and the
tables into `docs/cost_model.md`, between its marks.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
from keyboard_lm_coreml.cost.cost_fit import PRIORS, Prediction, fit, leave_one_chip_out, published, uncertainty

from keyboard_lm.device.cost_model import CostModel

ROOT = Path(__file__).parents[2]
COEFFICIENTS = ROOT / "keyboard_lm" / "device" / "cost_model.toml"
DOCUMENT = ROOT / "docs" / "cost_model.md"
MARKS = "<!-- fit: begin -->\n", "<!-- fit: end -->"
HEADER = """\
# Written by tests/benchmarks/fit_cost_model.py --write; the fields are those of CostModel in cost_model.py.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="replace coefficients and tables")
    options = parser.parse_args()
    rows = published()
    predictions = leave_one_chip_out(rows)
    model = fit(rows, factor=uncertainty(predictions))
    tables = report(model, predictions)
    if options.write:
        values = {name: float(f"{value:.4g}") for name, value in dataclasses.asdict(model).items()}
        COEFFICIENTS.write_text(HEADER + "".join(f"{name} = {value}\n" for name, value in values.items()))
        text = DOCUMENT.read_text(encoding="utf-8")
        before, rest = text.split(MARKS[0])
        DOCUMENT.write_text(before + MARKS[0] + tables + MARKS[1] + rest.split(MARKS[1])[1], encoding="utf-8")
    print(tables)
    print(json.dumps({**dataclasses.asdict(model), **summary(predictions)}))


def report(model: CostModel, predictions: tuple[Prediction, ...]) -> str:
    """Return the tables as Markdown."""
    lines = ["| coefficient | prior (two thirds within) | fitted |", "|---|---|---|"]
    for name, (median, width) in PRIORS.items():
        low, high = median / width, median * width
        lines.append(f"| `{name}` | {median:g} ({low:.2g}-{high:.2g}) | {getattr(model, name):.3g} |")
    lines += [
        "",
        "| chip | what, and by whom | published ms | estimate ms, chip left out | ratio |",
        "|---|---|---|---|---|",
    ]
    lines += [_line(found) for found in predictions if found.row.is_fitted]
    lines += [
        "",
        "Not fitted:",
        "",
        "| chip | what | published ms | estimate ms | ratio | why not |",
        "|---|---|---|---|---|---|",
    ]
    for found in predictions:
        if not found.row.is_fitted:
            row = found.row
            cells = (row.chip, row.model, f"{row.ms:.3g}", f"{found.ms:.3g}", f"{found.ratio:.2f}", row.unfit)
            lines.append(f"| {' | '.join(cells)} |")
    for row in published():
        if not row.chip:
            lines.append(f"| ? | {row.model} | {row.ms:.3g} | | | {row.unfit} |")
    figures = summary(predictions)
    lines += [
        "",
        "| error (factor), chip left out | rows | half within | nine of ten within | worst |",
        "|---|---|---|---|---|",
    ]
    for name, values in figures.items():
        cells = (name, f"{values['rows']:.0f}", *(f"{values[key]:.2f}" for key in ("half", "nine_of_ten", "worst")))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def summary(predictions: tuple[Prediction, ...]) -> dict[str, dict[str, float]]:
    """Return how far the predictions of fitted rows were off, as factors, by group."""
    fitted = [found for found in predictions if found.row.is_fitted]
    groups = {
        "all": fitted,
        "networks with attention": [found for found in fitted if found.row.work.num_layers],
        "of these, on phones": [found for found in fitted if found.row.work.num_layers and found.row.chip[0] == "A"],
    }
    result = {}
    for name, group in groups.items():
        errors = np.abs(np.log([found.ratio for found in group]))
        half, nine, worst = (float(value) for value in np.exp(np.quantile(errors, (0.5, 0.9, 1.0))))
        result[name] = {"rows": len(group), "half": half, "nine_of_ten": nine, "worst": worst}
    return result


def _line(found: Prediction) -> str:
    row = found.row
    what = f"{row.model}{', below Core ML' if row.work.is_direct else ''} ({_short(row.source)})"
    return f"| {row.chip} | {what} | {row.ms:.3g} | {found.ms:.3g} | {found.ratio:.2f} |"


def _short(source: str) -> str:
    return source.split(",")[0].removeprefix("github.com/").removeprefix("machinelearning.apple.com/research/")


if __name__ == "__main__":
    main()
