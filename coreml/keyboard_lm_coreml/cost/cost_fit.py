"""Fits the cost model to published latencies, and says how far it is off for chips it has not seen.

The coefficients are positive, so their logarithms are fitted, to the logarithms of the times: nonlinear least squares
with a prior for each coefficient (what one would say without the data, and how sure), errors of Student's t (some of
the published figures are of calls that ran elsewhere in part), and weights by which the rows of one source about one
chip count together no more than the square root of their number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.device.cost_model import CostModel, Work, chips
from keyboard_lm.errors import ConfigError
from keyboard_lm.tables import parse_toml

Array = NDArray[np.float64]

# Coefficient: the prior's median, and the factor around it that holds two thirds of the prior.
PRIORS = {
    "dispatch_ms": (0.25, 2.0),
    "layer_ms": (0.09, 2.0),
    "direct_share": (0.5, 2.0),
    "yearly": (0.92, 1.06),
    "phone_share": (0.65, 1.3),
    "port_gb_s": (62.0, 1.15),
    "compute_share": (0.4, 1.6),
}
_ERROR = 0.3  # typical error of a logarithm; with Student's t of 3 degrees, so that outliers pull little
_FREEDOM = 3.0
_QUANTILE = 0.9  # of the errors lie within the factor that is reported


@dataclass(frozen=True)
class Published:
    """One published latency.

    Attributes:
        model: what ran.
        chip: on what; empty if that is not known.
        work: of the call.
        ms: the published time.
        source: where it was published.
        unfit: why it is not fitted; empty if it is.
        note: what else there is to know.
    """

    model: str
    chip: str
    work: Work
    ms: float
    source: str
    unfit: str
    note: str

    @property
    def is_fitted(self) -> bool:
        return not self.unfit


@dataclass(frozen=True)
class Prediction:
    """A published latency beside what the model says that was fitted without its chip."""

    row: Published
    ms: float

    @property
    def ratio(self) -> float:
        """Predicted over published."""
        return self.ms / self.row.ms


@cache
def published() -> tuple[Published, ...]:
    """Return the published latencies that ship with the package.

    Raises:
        ConfigError: a row is not complete, or names a chip or source that there is not.
    """
    text = resources.files(__package__).joinpath("published.toml").read_text(encoding="utf-8")
    return parse_published(parse_toml(text, "published.toml"))


def parse_published(values: dict[str, Any]) -> tuple[Published, ...]:
    """Build rows from parsed TOML.

    Raises:
        ConfigError: see `published`.
    """
    sources = {source["key"]: source["where"] for source in values["source"]}
    rows = []
    for row in values["row"]:
        name = f"published latency {row.get('model')!r}"
        missing = [key for key in ("model", "runtime", "layers", "read_mb", "gmacs", "ms", "source") if key not in row]
        chip = row.get("chip", "")
        if missing:
            raise ConfigError(f"{name}: {', '.join(missing)} missing")
        if row["source"] not in sources or row["runtime"] not in ("coreml", "direct"):
            raise ConfigError(f"{name}: unknown source or runtime, {row['source']!r}, {row['runtime']!r}")
        if chip not in chips() and (chip or "unfit" not in row):
            raise ConfigError(f"{name}: unknown chip {chip!r}")
        work = Work(row["layers"], row["read_mb"] * 1e6, row["gmacs"] * 1e9, is_direct=row["runtime"] == "direct")
        where = sources[row["source"]]
        rows.append(Published(row["model"], chip, work, row["ms"], where, row.get("unfit", ""), row.get("note", "")))
    return tuple(rows)


def fit(rows: Sequence[Published], factor: float = 1.0) -> CostModel:
    """Return the coefficients that fit rows best, those marked unfit left out.

    Args:
        rows: none of them for the priors' medians.
        factor: the uncertainty that the result carries; `uncertainty` finds it.
    """
    used = [row for row in rows if row.is_fitted]
    sizes = Counter((row.chip, row.source) for row in used)
    weights = np.array([sizes[row.chip, row.source] ** -0.5 for row in used])
    target = np.log(np.array([row.ms for row in used]))
    middle = np.log(np.array([median for median, _ in PRIORS.values()]))
    spread = np.log(np.array([width for _, width in PRIORS.values()]))

    def predicted(values: Array) -> Array:
        model = _model(values, factor)
        logs: Array = np.log(np.array([model.ms(chips()[row.chip], row.work) for row in used]))
        return logs

    values = middle.copy()
    for _ in range(100):  # Gauss-Newton, each error's weight renewed at every step
        now = predicted(values)
        slopes = np.array([(predicted(values + step) - now) / 1e-6 for step in 1e-6 * np.eye(len(values))])
        errors = target - now
        weight = weights / (1 + (errors / _ERROR) ** 2 / _FREEDOM) / _ERROR**2
        curvature = (slopes * weight) @ slopes.T + np.diag(spread**-2)
        step = np.linalg.solve(curvature, slopes @ (weight * errors) - (values - middle) / spread**2)
        values = values + np.clip(step, -0.5, 0.5)
        if float(np.abs(step).max()) < 1e-9:
            break
    return _model(values, factor)


def leave_one_chip_out(rows: Sequence[Published]) -> tuple[Prediction, ...]:
    """Return each row of a known chip with the prediction of a model fitted without that chip."""
    models = {chip: fit([row for row in rows if row.chip != chip]) for chip in {row.chip for row in rows if row.chip}}
    return tuple(Prediction(row, models[row.chip].ms(chips()[row.chip], row.work)) for row in rows if row.chip)


def uncertainty(predictions: Sequence[Prediction]) -> float:
    """Return the factor within which nine of ten predictions are right, of the fitted rows of networks with attention.

    Single matrices and convolutional networks are predicted better, but are not what is asked about.
    """
    errors = [
        abs(np.log(found.ratio)) for found in predictions if found.row.is_fitted and found.row.work.num_layers > 0
    ]
    return float(np.exp(np.quantile(errors, _QUANTILE)))


def _model(values: Array, factor: float) -> CostModel:
    return CostModel(**dict(zip(PRIORS, np.exp(values).tolist(), strict=True)), factor=factor)
