"""Fit a scaling curve to finished runs: held-out bits per byte against parameters N and tokens D.

    python training/experiments/scaling.py runs/s1m-150 runs/s1m-300 ... --at 30e6,1e9 --at 270e6,10e9

L = E + A / N^a + B / D^b (Hoffmann et al. 2022, "Training compute-optimal large language models", approach 3), by least
squares: E, A and B exactly for each pair of exponents, the exponents by search. Runs should differ in N and D alone and
have gone down to a rate of zero. Says what the fit leaves at each run, and what it predicts when each run is left out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from keyboard_lm.network.checkpoint import Checkpoint

_EXPONENTS = np.linspace(0.05, 1.5, 146)

Floats = NDArray[np.float64]


class Curve(NamedTuple):
    """L = floor + by_size / N^size_exponent + by_tokens / D^token_exponent."""

    floor: float
    by_size: float
    size_exponent: float
    by_tokens: float
    token_exponent: float

    def at(self, sizes: Floats, tokens: Floats) -> Floats:
        """Return bits per byte of networks of `sizes` parameters after `tokens`."""
        return self.floor + self.by_size * sizes**-self.size_exponent + self.by_tokens * tokens**-self.token_exponent


def fit(sizes: Floats, tokens: Floats, losses: Floats, size_exponent: float | None = None) -> Curve:
    """Return the curve of least squares, all of whose terms are positive."""
    best, least = None, np.inf
    for a in _EXPONENTS if size_exponent is None else [size_exponent]:
        for b in _EXPONENTS:
            terms = np.stack([np.ones_like(sizes), (sizes / 1e6) ** -a, (tokens / 1e6) ** -b], axis=1)
            weights = np.linalg.lstsq(terms, losses, rcond=None)[0]
            error = float(((terms @ weights - losses) ** 2).sum())
            if error < least and (weights >= 0).all():
                floor, by_size, by_tokens = weights.tolist()
                best = Curve(floor, by_size * 1e6**a, float(a), by_tokens * 1e6**b, float(b))
                least = error
    if best is None:
        raise click.UsageError("no curve with positive terms fits these runs; give more of them")
    return best


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--at", "points", multiple=True, metavar="N,D", help="Parameters and tokens to predict for.")
@click.option("--size-exponent", type=float, help="Do not fit this one, which runs of few tokens say little about.")
@click.option("--source", default="all", show_default=True, help="Held-out source.")
def command(runs: tuple[Path, ...], points: tuple[str, ...], size_exponent: float | None, source: str) -> None:
    """Fit a curve to RUNS, each the folder of a finished run."""
    if len(runs) < 6:
        raise click.UsageError("five numbers are fitted; give six runs or more")
    rows = []
    for run in runs:
        last = json.loads((run / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
        network = Checkpoint.load(run / "checkpoint").config
        rows.append((network.num_parameters, last["tokens"], last["bits_per_byte"][source]))
    sizes, tokens, losses = np.array(rows, np.float64).T
    curve = fit(sizes, tokens, losses, size_exponent)
    click.echo(json.dumps(curve._asdict()))
    others = [np.arange(len(runs)) != i for i in range(len(runs))]
    unseen = [fit(sizes[kept], tokens[kept], losses[kept], size_exponent) for kept in others]
    for i, (run, fitted) in enumerate(zip(runs, curve.at(sizes, tokens), strict=True)):
        left_out = unseen[i].at(sizes, tokens)[i]
        click.echo(
            f"{run.name:20}{sizes[i] / 1e6:8.2f} M{tokens[i] / 1e6:8.2f} M tokens  measured {losses[i]:.4f}  "
            f"fitted {fitted:.4f}  left out {left_out:.4f}"
        )
    for point in points:
        at = [np.array([float(number)]) for number in point.split(",")]
        predicted = [float(each.at(*at)[0]) for each in (curve, *unseen)]
        click.echo(
            f"{at[0][0] / 1e6:.0f} M parameters, {at[1][0] / 1e9:.3f} G tokens: {predicted[0]:.3f}  "
            f"({min(predicted):.3f} to {max(predicted):.3f} with one run left out)"
        )


if __name__ == "__main__":
    command()
