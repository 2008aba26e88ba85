"""What privacy costs: the gain of federated rounds with noise over that without, and whether secrets come out.

    python tests/benchmarks/federated_gain.py --writers DIALOGUES.txt.xz --heldout OTHERS.txt

Both runs ask the same writers, each once. Some of them are canaries: a writer whose whole text is one secret, ten
times. A secret's rank among so many others that nobody wrote, by how much likelier the run made it, says what the model
tells: 0.5 on average is chance. Figures are in CPU time, so that a busy machine does not show.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from pathlib import Path

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"

import numpy as np
import torch
from keyboard_lm_training.federated.client_app import client_app
from keyboard_lm_training.federated.in_process import InProcessGrid
from keyboard_lm_training.federated.local_training import AdaptedNetwork
from keyboard_lm_training.federated.options import FederatedConfig, Site
from keyboard_lm_training.federated.server_app import train_rounds
from keyboard_lm_training.federated.writers import load_writers, token_windows

from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder

SECRET_WORDS = 4
REPEATS = 10


def words_of(writers: list[tuple[str, ...]]) -> list[str]:
    """Return the longer words of the first writers, which secrets are made of."""
    return sorted({w for m in writers[:300] for line in m for w in line.lower().split() if w.isalpha() and len(w) > 3})


def secret(words: list[str], rng: random.Random) -> str:
    return "my secret is " + " ".join(rng.sample(words, SECRET_WORDS))


def measured(network: AdaptedNetwork, checkpoint: Checkpoint, texts: list[tuple[str, ...]]) -> list[float]:
    """Return the mean NLL of each text."""
    start = network.vector()
    return [network.nats_per_token(start, token_windows(checkpoint.tokenizer, text, 128, 128)) for text in texts]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--writers", type=Path, required=True)
    parser.add_argument("--heldout", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--clients-per-round", type=int, default=200)
    parser.add_argument("--server-rate", type=float, default=1.5)
    parser.add_argument("--epsilon", type=float, default=8.0)
    parser.add_argument("--rank", type=int, default=2)
    parser.add_argument("--canaries", type=int, default=16)
    parser.add_argument("--others", type=int, default=200, help="secrets that nobody wrote, to rank each one among")
    parser.add_argument("--heldout-texts", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1, help="of the writers and the secrets; the noise has none")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng = random.Random(arguments.seed)
    writers = list(load_writers((str(arguments.writers),)))
    words = words_of(writers)
    population = arguments.rounds * arguments.clients_per_round
    secrets = [secret(words, rng) for _ in range(arguments.canaries)]
    others = [secret(words, rng) for _ in range(arguments.others)]
    chosen = rng.sample(writers, population - len(secrets)) + [(text,) * REPEATS for text in secrets]
    rng.shuffle(chosen)
    heldout = list(load_writers((str(arguments.heldout),)))
    if len(heldout) == 1:  # a file of single messages
        heldout = [heldout[0][start : start + 8] for start in range(0, len(heldout[0]), 8)]
    heldout = heldout[: arguments.heldout_texts]
    common = {
        "rounds": arguments.rounds, "clients_per_round": arguments.clients_per_round, "rank": arguments.rank,
        "clip_norm": 1.0, "server_rate": arguments.server_rate,
        "local_rate": 4.0, "seq_len": 128, "max_tokens": 128, "precision": "bf16",
    }  # fmt: skip
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "writers.txt"
        text.write_text("\n".join("".join(f"{line}\n" for line in messages) for messages in chosen), encoding="utf-8")

        def score(model: Path) -> tuple[list[float], np.ndarray]:
            read = Checkpoint.load(model)
            network = AdaptedNetwork(read, FederatedConfig(rank=1))
            told = np.array(measured(network, read, [(line,) for line in [*secrets, *others]]))
            return measured(network, read, heldout), told

        base, base_told = score(bundled_folder())
        print(f"bundled: {np.mean(base):.4f} nats a token on {len(base)} texts", flush=True)
        for name, privacy in (
            ("noiseless", {"epsilon": None, "noise_multiplier": 0.0}),
            ("private", {"epsilon": arguments.epsilon}),
        ):
            config = FederatedConfig(**common, **privacy)  # type: ignore[arg-type]
            site = Site(str(bundled_folder()), (str(text),), population, str(Path(folder) / name))
            grid = InProcessGrid(client_app(), population, {**site.to_run_config(), **config.to_run_config()})
            inside = 0.0
            update = AdaptedNetwork.update

            def timed(*args: object, update: object = update) -> object:
                nonlocal inside
                started = time.process_time()
                try:
                    return update(*args)  # type: ignore[operator]
                finally:
                    inside += time.process_time() - started

            AdaptedNetwork.update = timed  # type: ignore[assignment, method-assign]
            started = time.process_time()
            done = train_rounds(
                grid, site, config, lambda done: print(done.round_number, round(done.signal_norm, 3), flush=True)
            )
            seconds = time.process_time() - started
            AdaptedNetwork.update = update  # type: ignore[method-assign]
            nats, told = score(done.folder)
            likelier = base_told - told
            ranks = [(likelier[len(secrets) :] > value).mean() for value in likelier[: len(secrets)]]
            gains = np.array(base) - np.array(nats)
            found[name] = {
                "nats": float(np.mean(nats)),
                "gain": float(gains.mean()),
                "gain_error": float(gains.std(ddof=1) / len(gains) ** 0.5),
                "canary_rank": float(np.mean(ranks)),
                "canaries_first": int(sum(rank == 0 for rank in ranks)),
                "epsilon": done.record()["federated"]["epsilon_spent"]["participation"]["1e-05"],
                "cpu_seconds": seconds,
                "engine_share": 1 - inside / seconds,
            }
            print(
                name,
                {key: value if value is None else round(value, 4) for key, value in found[name].items()},
                flush=True,
            )
    kept = found["private"]["gain"] / found["noiseless"]["gain"]
    error = (1 / 12 / max(1, len(secrets))) ** 0.5
    print(f"gain kept at epsilon {arguments.epsilon:g}: {100 * kept:.0f} %; mean rank by chance 0.5 +- {error:.3f}")
    print(json.dumps({"kept": kept, "chance_error": error, **found}))


if __name__ == "__main__":
    main()
