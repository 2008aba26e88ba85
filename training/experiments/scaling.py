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

from keyboard_lm.checkpoint import Checkpoint

_EXPONENTS = np.linspace(0.05, 1.0, 96)

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


def fit(sizes: Floats, tokens: Floats, losses: Floats) -> Curve:
    """Return the curve of least squares, all of whose terms are positive."""
    best, least = None, np.inf
    for a in _EXPONENTS:
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
@click.option("--source", default="all", show_default=True, help="Held-out source.")
def command(runs: tuple[Path, ...], points: tuple[str, ...], source: str) -> None:
    """Fit a curve to RUNS, each the folder of a finished run."""
    if len(runs) < 6:
        raise click.UsageError("five numbers are fitted; give six runs or more")
    rows = []
    for run in runs:
        last = json.loads((run / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
        network = Checkpoint.load(run / "checkpoint").config
        rows.append((network.num_parameters, last["tokens"], last["bits_per_byte"][source]))
    sizes, tokens, losses = np.array(rows, np.float64).T
    curve = fit(sizes, tokens, losses)
    click.echo(json.dumps(curve._asdict()))
    for i, run in enumerate(runs):
        others = np.arange(len(runs)) != i
        unseen = fit(sizes[others], tokens[others], losses[others]).at(sizes[i : i + 1], tokens[i : i + 1])[0]
        fitted = curve.at(sizes[i : i + 1], tokens[i : i + 1])[0]
        click.echo(
            f"{run.name:20}{sizes[i] / 1e6:8.2f} M{tokens[i] / 1e6:8.2f} M tokens  measured {losses[i]:.4f}  "
            f"fitted {fitted:.4f}  left out {unseen:.4f}"
        )
    for point in points:
        num_parameters, num_tokens = map(float, point.split(","))
        predicted = curve.at(np.array([num_parameters]), np.array([num_tokens]))[0]
        click.echo(f"{num_parameters / 1e6:.0f} M parameters, {num_tokens / 1e9:.2f} G tokens: {predicted:.3f}")


if __name__ == "__main__":
    command()
