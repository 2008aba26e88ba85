"""How long a save holds up a sharded run: a copy of each process's part, against the whole state through the first one.

    torchrun --nproc-per-node 2 tests/benchmarks/save_stall.py --size 270m

Both saves are of the same state, in turns, in one run. The stall is the wall time of the call on the slowest process;
how long the writing behind it took is told apart. The first sharded save also makes the memory it copies into, and is
left out.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
from keyboard_lm_training.run.devices import LossModel, placed, shared
from keyboard_lm_training.run.optimizer import build_optimizers
from keyboard_lm_training.run.run_state import RunState, save_state
from keyboard_lm_training.run.sharded_saves import ShardedSaves
from keyboard_lm_training.run.sharded_state import whole_state
from keyboard_lm_training.run.train_config import TrainConfig

from keyboard_lm.network.config import model_size
from keyboard_lm.network.model import OpenELM


def slowest(seconds: float) -> float:
    value = torch.tensor(seconds)
    dist.all_reduce(value, dist.ReduceOp.MAX)
    return float(value)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", default="270m")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="on a disk that every process sees  [default: the system's]")
    arguments = parser.parse_args()
    config = TrainConfig(size=arguments.size, strategy="fsdp", optimizer="adamw", precision="fp32")
    with placed("cpu") as place:
        model = OpenELM(model_size(arguments.size))
        module = LossModel(model, 0.0, torch.float32)
        wrapped = shared(module, "fsdp", place)
        optimizers = build_optimizers(module, config, torch.float32)
        for parameter in wrapped.parameters():
            parameter.grad = torch.zeros_like(parameter)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        names = [str(arguments.folder) if arguments.folder else tempfile.mkdtemp()] if place.is_main else [""]
        dist.broadcast_object_list(names)
        folder = Path(names[0])
        saves = ShardedSaves(folder / "sharded", place)
        stalls: dict[str, list[float]] = {"whole": [], "sharded": [], "sharded_behind": []}
        for step in range(arguments.rounds + 1):
            place.wait()
            started = time.perf_counter()
            saves.save(step, {}, wrapped, optimizers, {})
            stall = slowest(time.perf_counter() - started)
            saves.wait()
            behind = slowest(time.perf_counter() - started) - stall
            if step == 0:
                continue
            stalls["sharded"].append(stall)
            stalls["sharded_behind"].append(behind)
            place.wait()
            started = time.perf_counter()
            tensors = whole_state(wrapped, optimizers)
            if place.is_main:
                save_state(folder / "whole", RunState(step, {}, tensors))
            del tensors
            place.wait()  # as training does: the next step waits for the process that writes
            stalls["whole"].append(slowest(time.perf_counter() - started))
        saves.close()
        if place.is_main:
            means = {name: sum(values) / len(values) for name, values in stalls.items()}
            print(f"{arguments.size} on {place.world_size} processes, mean of {arguments.rounds} saves each")
            for name, label in (
                ("whole", "whole, through the first process"), ("sharded", "sharded, held up"),
                ("sharded_behind", "sharded, written behind"),
            ):  # fmt: skip
                print(f"{label:34} {means[name]:8.2f} s")
            print(json.dumps({"size": arguments.size, "ratio": means["sharded"] / means["whole"], **means}))


if __name__ == "__main__":
    main()
