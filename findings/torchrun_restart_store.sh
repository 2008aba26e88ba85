#!/usr/bin/env bash
# torch 2.13.0: when torchrun starts failed processes again (--max-restarts) they get the store of the attempt before, with
# all that was written to it. `env://` puts no attempt number in front of its keys ("we create a new TCPStore for every retry",
# its source says), so the new processes read the addresses of dead ones, and `init_process_group` waits until its time-out.
# TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1, or a PrefixStore with the attempt's number, helps. Expected: a store without old keys.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy 2>/dev/null
cat > "$folder/worker.py" <<'PY'
import os
import sys

import torch
from torch.distributed.rendezvous import rendezvous

attempt = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
store, rank, world_size = next(iter(rendezvous("env://")))
if attempt == 0:
    store.set("left", "by the first attempt")
    sys.exit(1)
print("torch", torch.__version__, "attempt", attempt, "finds what the one before left:", store.check(["left"]))
PY
run() { "$folder/venv/bin/python" -m torch.distributed.run --standalone --nproc-per-node 1 --max-restarts 1 "$folder/worker.py" 2>/dev/null; }
shared=$(run)
echo "as it is: $shared"
own=$(TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 run)
echo "with TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1: $own"
[[ $shared == *True && $own == *False ]] || { echo "behaves otherwise now"; exit 1; }
