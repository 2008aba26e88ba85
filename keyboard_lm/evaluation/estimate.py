"""From counts of documents to figures with confidence intervals, alone and in pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_RESAMPLES = 1000

Counts = Mapping[str, float]  # of one document, by name
Sums = Mapping[str, NDArray[np.float64]]  # of many documents, one sum for each resample, (R,)


@dataclass(frozen=True)
class Metric:
    """A figure that is a function of summed counts.

    Attributes:
        name: in JSON.
        label: in a table, with its unit.
        of: sums (R,) of counts to values (R,); where there is nothing to divide by, the value is NaN.
        digits: after the point in a table.
        higher_is_better: None where neither is.
        is_skewed: whether its interval is far from symmetric.
    """

    name: str
    label: str
    of: Callable[[Sums], NDArray[np.float64]]
    digits: int = 1
    higher_is_better: bool | None = True
    is_skewed: bool = False


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval; NaN where it is not defined (an interval needs two documents)."""

    value: float
    low: float
    high: float

    @property
    def margin(self) -> float:
        """Half the interval's width."""
        return (self.high - self.low) / 2


def ratio(numerator: str, denominator: str, scale: float = 100) -> Callable[[Sums], NDArray[np.float64]]:
    """Return the function ``scale * sum(numerator) / sum(denominator)``."""
    return lambda sums: scale * sums[numerator] / sums[denominator]


def count(name: str, label: str) -> Metric:
    """Return the metric that is a sum itself."""
    return Metric(name, label, lambda sums: sums[name], digits=0, higher_is_better=None)


def estimate(
    documents: Sequence[Counts], metrics: Sequence[Metric], seed: int, sizes: Sequence[int] | None = None
) -> dict[str, Estimate]:
    """Return each metric over all documents with its percentile interval.

    What depends on each other stays together: documents are drawn with replacement, not words (Efron & Tibshirani 1993,
    "An Introduction to the Bootstrap", chapters 8 and 13). Which texts there are is no accident, so each text's
    documents are drawn among themselves, as many as it has (the same, section 8.3, on two samples).

    Args:
        documents: counts, the same names in each.
        metrics: what to compute.
        seed: of the resamples; the same for the same numbers of documents gives the same draws.
        sizes: how many documents each text has, in their order; None for one text.
    """
    whole, resampled = _sums(documents, seed, sizes)
    return {metric.name: _estimate(metric, whole, resampled) for metric in metrics}


def difference(
    before: Sequence[Counts],
    after: Sequence[Counts],
    metrics: Sequence[Metric],
    seed: int,
    sizes: Sequence[int] | None = None,
) -> dict[str, Estimate]:
    """Return each metric of `after` minus that of `before` with its paired interval.

    Both are drawn together, document by document, so what makes a document hard for either cancels.

    Raises:
        ValueError: not the same number of documents.
    """
    if len(before) != len(after):
        raise ValueError(f"{len(before)} and {len(after)} documents cannot be paired")
    whole_before, before_drawn = _sums(before, seed, sizes)
    whole_after, after_drawn = _sums(after, seed, sizes)
    found = {}
    for metric in metrics:
        with np.errstate(divide="ignore", invalid="ignore"):
            value = metric.of(whole_after) - metric.of(whole_before)
            drawn = metric.of(after_drawn) - metric.of(before_drawn)
        found[metric.name] = _interval(float(value[0]), drawn)
    return found


def _sums(documents: Sequence[Counts], seed: int, sizes: Sequence[int] | None) -> tuple[Sums, Sums]:
    # The sums over all documents, as arrays of one value, and over each resample; none of single documents.
    if not documents:
        raise ValueError("no document to sum up")
    names = list(documents[0])
    table = np.array([[document[name] for name in names] for document in documents], np.float64)  # (D, K)
    strata = (len(documents),) if sizes is None else sizes
    if sum(strata) != len(documents):
        raise ValueError(f"texts of {sum(strata)} documents, but {len(documents)} documents")
    num_resamples = NUM_RESAMPLES if max(strata) > 1 else 0
    rng = np.random.default_rng(seed)
    draws = np.hstack([rng.multinomial(n, np.full(n, 1 / n), num_resamples) for n in strata if n])
    # (R, D): how often each document was drawn
    return _by_name(names, table.sum(axis=0, keepdims=True)), _by_name(names, draws @ table)


def _by_name(names: list[str], table: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    return dict(zip(names, table.T, strict=True))


def _estimate(metric: Metric, whole: Sums, resampled: Sums) -> Estimate:
    with np.errstate(divide="ignore", invalid="ignore"):
        return _interval(float(metric.of(whole)[0]), metric.of(resampled))


def _interval(value: float, drawn: NDArray[np.float64]) -> Estimate:
    defined = drawn[np.isfinite(drawn)]
    if not len(defined) or not math.isfinite(value):
        return Estimate(value if math.isfinite(value) else math.nan, math.nan, math.nan)
    low, high = np.percentile(defined, (2.5, 97.5))
    return Estimate(value, float(low), float(high))
