"""Our rounds against Apple's pfl: the same adapters, writers and steps.

    pip install --target /tmp/pfl pfl==0.6.0        # a place of its own: it wants an older attrs
    python tests/benchmarks/federated_peer.py --writers DIALOGUES.txt.xz --pfl /tmp/pfl

Ours go through Flower's messages, the ledger, noise from the system's generator and a saved state; pfl's through its
simulated backend with norm clipping and Gaussian noise. In process the two take turns, and CPU and wall time are told;
`--simulation N` measures Flower's simulation on Ray with N workers instead, by the clock, between pfl's rounds before
and after it. Loading is left out on both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"

import numpy as np
import torch
import torch.nn.functional as F
from keyboard_lm_training.federated.client_app import client_app
from keyboard_lm_training.federated.devices import OwnDevices
from keyboard_lm_training.federated.exchange import PlainExchange
from keyboard_lm_training.federated.in_process import InProcessGrid
from keyboard_lm_training.federated.ledger import LedgerTerms, PrivacyLedger
from keyboard_lm_training.federated.local_training import AdaptedNetwork
from keyboard_lm_training.federated.options import FederatedConfig, Site
from keyboard_lm_training.federated.server import FederatedServer, RoundReport
from keyboard_lm_training.federated.simulation import run_simulation_on_ray
from keyboard_lm_training.federated.writers import load_writers, token_windows

from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--writers", type=Path, required=True)
    parser.add_argument("--pfl", required=True, help="site-packages that hold pfl")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--clients-per-round", type=int, default=10)
    parser.add_argument("--simulation", type=int, default=0, metavar="WORKERS", help="measure Flower's on Ray instead")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rounds, clients = arguments.rounds, arguments.clients_per_round
    writers = load_writers((str(arguments.writers),))[: (rounds + 1) * clients]
    checkpoint = Checkpoint.load(bundled_folder())
    config = FederatedConfig(
        rounds=rounds + 1, clients_per_round=clients, rank=2, clip_norm=1.0, local_rate=1.0, seq_len=128, max_tokens=128
    )
    peer_round = pfl_rounds(arguments.pfl, AdaptedNetwork(checkpoint, config), checkpoint, writers, config)
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "writers.txt"
        text.write_text("\n".join("".join(f"{line}\n" for line in messages) for messages in writers), encoding="utf-8")
        site = Site(str(bundled_folder()), (str(text),), len(writers), folder)
        if arguments.simulation:
            measure_simulation(site, config, peer_round, arguments.simulation)
            return
        grid = InProcessGrid(client_app(), len(writers), {**site.to_run_config(), **config.to_run_config()})
        ledger = PrivacyLedger(Path(folder) / "ledger", LedgerTerms("", len(writers), 1, 8.0, 1e-5, "participation"))
        start = AdaptedNetwork(checkpoint, config).vector()
        server = FederatedServer(config, Path(folder), start, ledger, choose=lambda nodes, count: nodes[:count])
        exchange = PlainExchange(OwnDevices(grid), 60)
        seconds: dict[str, list[float]] = {"ours": [], "pfl": []}
        wall: dict[str, list[float]] = {"ours": [], "pfl": []}
        for number in range(rounds + 1):
            for name, run in (("ours", lambda: server._round(exchange)), ("pfl", lambda: peer_round(number))):  # noqa: B023
                started, began = time.process_time(), time.perf_counter()
                run()
                if number:  # the first loads and warms up
                    seconds[name].append(time.process_time() - started)
                    wall[name].append(time.perf_counter() - began)
    ratios = {}
    for kind, taken in (("CPU", seconds), ("wall", wall)):
        ours, pfl = sum(taken["ours"]), sum(taken["pfl"])
        ratios[kind] = ours / pfl
        print(f"{rounds} rounds of {clients} writers, {kind} seconds: ours {ours:.2f}, pfl {pfl:.2f}, {ours / pfl:.2f}")
    print(json.dumps({"cpu": seconds, "wall": wall, "ratios": ratios}))


def measure_simulation(site: Site, config: FederatedConfig, peer_round: Callable[[int], None], workers: int) -> None:
    """Time pfl's rounds, then those on Ray, then pfl's again; print."""
    times = [time.perf_counter()]

    def peer_seconds() -> list[float]:
        seconds = []
        for number in range(config.rounds):
            began = time.perf_counter()
            peer_round(number)
            seconds.append(time.perf_counter() - began)
        return seconds

    def report(done: RoundReport) -> None:
        times.append(time.perf_counter())

    peer_round(0)  # loads and warms up
    pfl = peer_seconds()
    run_config = {**site.to_run_config(), **config.to_run_config()}
    times[0] = time.perf_counter()
    run_simulation_on_ray(run_config, workers, report)
    pfl += peer_seconds()
    start, *ours = np.diff(times).tolist()
    ratio = float(np.mean(ours) / np.mean(pfl))
    print(
        f"rounds of {config.clients_per_round} writers, wall seconds each: on Ray with {workers} workers "
        f"{np.mean(ours):.2f}, pfl {np.mean(pfl):.2f}, {ratio:.2f}; start and first round {start:.1f}"
    )
    print(json.dumps({"simulation": ours, "pfl": pfl, "ratio": ratio, "start_and_first": start}))


def pfl_rounds(
    path: str, adapted: AdaptedNetwork, checkpoint: Checkpoint, writers: Any, config: FederatedConfig
) -> Any:
    """Return a function that runs one round of pfl's over the next writers."""
    sys.path.append(path)
    from pfl.aggregate.simulate import SimulatedBackend
    from pfl.algorithm.base import NNAlgorithmParams
    from pfl.algorithm.federated_averaging import FederatedAveraging
    from pfl.data.dataset import Dataset
    from pfl.data.federated_dataset import FederatedDataset
    from pfl.hyperparam.base import NNEvalHyperParams, NNTrainHyperParams
    from pfl.metrics import Weighted
    from pfl.model.pytorch import PyTorchModel
    from pfl.privacy.gaussian_mechanism import GaussianMechanism
    from pfl.privacy.privacy_mechanism import CentrallyAppliedPrivacyMechanism

    class Peer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = adapted.network

        def loss(self, tokens: torch.Tensor) -> torch.Tensor:
            logits = self.network(tokens[:, :-1])
            return F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())

        def metrics(self, tokens: torch.Tensor) -> dict[str, Any]:
            return {"loss": Weighted(0.0, 1)}  # it would measure each writer before and after; ours does not

    module = Peer()
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    model = PyTorchModel(
        module,
        lambda parameters, lr: torch.optim.SGD([p for p in parameters if p.requires_grad], lr=lr),
        torch.optim.SGD(learned, lr=1.0, momentum=0.9),
    )
    state = {"next": 0}

    def next_user() -> int:
        state["next"] += 1
        return (state["next"] - 1) % len(writers)

    def user(number: int) -> Dataset:
        (window,) = token_windows(checkpoint.tokenizer, writers[number], 128, 128)  # as a device of ours does
        return Dataset([torch.from_numpy(np.ascontiguousarray(window))[None]])

    privacy = CentrallyAppliedPrivacyMechanism(GaussianMechanism(config.clip_norm, 0.64))
    data = FederatedDataset(user, next_user)
    backend = SimulatedBackend(data, data, [privacy])

    def run(number: int) -> None:
        params = NNAlgorithmParams(
            central_num_iterations=1, evaluation_frequency=10**6, train_cohort_size=config.clients_per_round,
            val_cohort_size=0,
        )  # fmt: skip
        train = NNTrainHyperParams(local_num_epochs=1, local_learning_rate=config.local_rate, local_batch_size=None)
        FederatedAveraging().run(params, backend, model, train, NNEvalHyperParams(local_batch_size=None), callbacks=[])

    return run


if __name__ == "__main__":
    main()
