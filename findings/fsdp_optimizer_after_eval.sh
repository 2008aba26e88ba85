#!/usr/bin/env bash
# torch 2.13.0: `get_optimizer_state_dict` of an FSDP2 model raises KeyError: 0 after a forward pass that no backward pass
# followed, such as a measurement, and says nothing of why. The root's parameters are still gathered then, and are not the
# optimizer's. `get_model_state_dict` before it shards them again, and the same call works. Expected: the state, in any order.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy 2>/dev/null
OMP_NUM_THREADS=1 MASTER_ADDR=127.0.0.1 MASTER_PORT=29555 RANK=0 WORLD_SIZE=1 "$folder/venv/bin/python" -W ignore - <<'PY'
import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import get_model_state_dict, get_optimizer_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

print("torch", torch.__version__)
dist.init_process_group("gloo")
model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
optimizer = torch.optim.AdamW(model.parameters())


def asked(when):
    try:
        found = sorted(get_optimizer_state_dict(model, optimizer)["state"])
    except KeyError as error:
        found = f"KeyError: {error}"
    print(f"{when}: {found}")
    return found


model(torch.ones(2, 4)).sum().backward()
optimizer.step()
optimizer.zero_grad()
after_step = asked("after a step")
with torch.no_grad():
    model(torch.ones(2, 4))
after_measuring = asked("after a forward pass alone")
get_model_state_dict(model)
after_weights = asked("after asking for the weights")
dist.destroy_process_group()
raise SystemExit(0 if after_measuring == "KeyError: 0" and after_weights == after_step else "behaves otherwise now")
PY
