"""Whether secrets can be told from a federated model: those that a writer had against those that nobody had.

    python tests/benchmarks/federated_canaries.py --writers DIALOGUES.txt.xz [--rounds 40] [--clients-per-round 20]

Twice as many secrets are drawn as are planted, and a coin says which: so before a run nothing tells one half from the
other, and whatever does afterwards has come through the model (Steinke et al. 2023, "Privacy auditing with one training
run"). A planted secret is the whole text of one writer, ten times, who is asked once. Two attacks look at what the
rounds made of the adapters. One ranks secrets by how much likelier the model finds each. The other knows what change
each secret would have made to the adapters it began with, explains the change that there is by all of these (least
squares), and ranks secrets by their coefficients. AUC is the chance that a planted one ranks above one that was not,
0.5 by chance; its interval is by bootstrap over secrets, p by permutation of the coins. Exposure is Carlini et al.'s
(2019, "The secret sharer"): log2 of the number of secrets that nobody had, less log2 of the rank among them; 1.44 by
chance.

What epsilon allows: noise of z C on a sum hides a change of norm C along its own direction as a shift of 1/z standard
deviations hides, so whoever sees every round reaches an AUC of at most Phi(1 / (z sqrt 2)); the model at the end has
the noise of all rounds, and a secret the signal of one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from pathlib import Path
from statistics import NormalDist

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"

import numpy as np
import torch
from federated_gain import REPEATS, secret, words_of
from keyboard_lm_training.federated.client_app import client_app
from keyboard_lm_training.federated.in_process import InProcessGrid
from keyboard_lm_training.federated.local_training import AdaptedNetwork
from keyboard_lm_training.federated.options import FederatedConfig, Site
from keyboard_lm_training.federated.server import noise_multiplier_of
from keyboard_lm_training.federated.server_app import train_rounds
from keyboard_lm_training.federated.writers import load_writers, token_windows
from numpy.typing import NDArray
from safetensors.numpy import load_file

from keyboard_lm.cli.table import format_table
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder

DRAWS = 4000

Scores = NDArray[np.float64]


def auc(planted: Scores, absent: Scores) -> float:
    """Return the chance that a planted secret's score is above an absent one's; ties count half."""
    values = np.concatenate([planted, absent])
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(1, len(values) + 1)
    _, group = np.unique(values, return_inverse=True)
    ranks = (np.bincount(group, ranks) / np.bincount(group))[group]
    return float((ranks[: len(planted)].sum() / len(planted) - (len(planted) + 1) / 2) / len(absent))


def judged(planted: Scores, absent: Scores, rng: np.random.Generator) -> dict[str, float]:
    """Return AUC with its interval of 95 %, p of a one-sided permutation test, and the mean exposure in bits."""
    measured = auc(planted, absent)
    drawn = [auc(rng.choice(planted, len(planted)), rng.choice(absent, len(absent))) for _ in range(DRAWS)]
    both = np.concatenate([planted, absent])
    by_chance = []
    for _ in range(DRAWS):
        rng.shuffle(both)
        by_chance.append(auc(both[: len(planted)], both[len(planted) :]))
    ranks = 1 + (absent[None, :] > planted[:, None]).sum(1)
    return {
        "auc": measured,
        "low": float(np.quantile(drawn, 0.025)),
        "high": float(np.quantile(drawn, 0.975)),
        "p": (1 + sum(chance >= measured for chance in by_chance)) / (1 + DRAWS),
        "exposure": float(np.mean(np.log2(len(absent) + 1) - np.log2(ranks))),
    }


def main() -> None:
    """Plant, train with and without noise, attack, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--clients-per-round", type=int, default=20)
    parser.add_argument("--planted", type=int, default=150)
    parser.add_argument("--epsilons", type=float, nargs="*", default=[8.0])
    parser.add_argument("--rank", type=int, default=1)
    parser.add_argument("--clip-norm", type=float, default=1.0)
    parser.add_argument("--local-rate", type=float, default=4.0)
    parser.add_argument("--server-rate", type=float, default=1.0)
    parser.add_argument("--server-momentum", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1, help="of writers, secrets and coins; the noise has none")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng = random.Random(arguments.seed)
    writers = list(load_writers((str(arguments.writers),)))
    words = words_of(writers)
    population = arguments.rounds * arguments.clients_per_round
    secrets = [secret(words, rng) for _ in range(2 * arguments.planted)]
    planted = sorted(rng.sample(range(len(secrets)), arguments.planted))
    absent = [number for number in range(len(secrets)) if number not in set(planted)]
    chosen = rng.sample(writers, population - len(planted)) + [(secrets[number],) * REPEATS for number in planted]
    rng.shuffle(chosen)
    checkpoint = Checkpoint.load(bundled_folder())
    common = {
        "rounds": arguments.rounds, "clients_per_round": arguments.clients_per_round, "rank": arguments.rank,
        "clip_norm": arguments.clip_norm, "local_rate": arguments.local_rate, "server_rate": arguments.server_rate,
        "server_momentum": arguments.server_momentum, "seq_len": 64, "max_tokens": 64, "precision": "bf16",
    }  # fmt: skip
    network = AdaptedNetwork(checkpoint, FederatedConfig(**{**common, "precision": "fp32"}))
    windows = [token_windows(checkpoint.tokenizer, (text,), 64, 64) for text in secrets]

    def nats(vector: NDArray[np.float32]) -> Scores:
        return np.array([network.nats_per_token(vector, window) for window in windows])

    start = network.vector()
    before = nats(start)
    device = AdaptedNetwork(checkpoint, FederatedConfig(**common))
    texts = [token_windows(checkpoint.tokenizer, (text,) * REPEATS, 64, 64) for text in secrets]  # as a writer has it
    changes = np.array([device.update(start, text, arguments.clip_norm).change for text in texts], np.float64)
    explained = np.linalg.pinv(changes.T)  # (secrets, P)
    found: dict[str, dict[str, dict[str, float]]] = {}
    bounds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "writers.txt"
        text.write_text("\n".join("".join(f"{line}\n" for line in messages) for messages in chosen), encoding="utf-8")
        for epsilon in (None, *arguments.epsilons):
            name = "no noise" if epsilon is None else f"epsilon {epsilon:g}"
            config = FederatedConfig(
                **common, epsilon=epsilon, **({"noise_multiplier": 0.0} if epsilon is None else {})
            )
            site = Site(str(bundled_folder()), (str(text),), population, str(Path(folder) / name))
            grid = InProcessGrid(client_app(), population, {**site.to_run_config(), **config.to_run_config()})
            train_rounds(grid, site, config)
            end = load_file(Path(site.output) / "state" / "adapters.safetensors")["adapters"]
            z = noise_multiplier_of(config)
            bounds[name] = NormalDist().cdf(1 / (z * 2**0.5)) if z else 1.0
            found[name] = {
                attack: judged(scores[planted], scores[absent], np.random.default_rng(arguments.seed))
                for attack, scores in (
                    ("likelihood", before - nats(end)),
                    ("direction", explained @ (end - start).astype(np.float64)),
                )
            }
            print(name, found[name], flush=True)
    rows = [["", "attack", "AUC", "95 %", "p", "exposure, bits", "AUC of whoever sees every round, at most"]]
    rows += [
        [name, attack, f"{v['auc']:.3f}", f"{v['low']:.3f} to {v['high']:.3f}", f"{v['p']:.4f}",
         f"{v['exposure']:.2f}", f"{bounds[name]:.3f}"]
        for name, attacks in found.items() for attack, v in attacks.items()
    ]  # fmt: skip
    print(format_table(rows))
    print(json.dumps({**vars(arguments), "writers": arguments.writers.name, "bounds": bounds, "found": found}))


if __name__ == "__main__":
    main()
