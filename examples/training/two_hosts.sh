#!/usr/bin/env bash
# A run over plain machines, without a scheduler: start this on each of them within ten minutes, with the same arguments.
#     two_hosts.sh FIRST_HOST CORPUS RUN_FOLDER [options of keyboard-lm train]
# HOSTS machines (2), PROCESSES on each (1; on GPUs as many as it has). FIRST_HOST is one of them, by a name that all of them
# know. The run folder lies on a disk that all see; the corpus there, too, or in an object store (s3://...). Where a process
# dies all start again from the last saved step, three times at most; a machine that is gone for good ends the run, and the
# same command with HOSTS one less goes on with it.
set -euo pipefail
first=$1 corpus=$2 run=$3
shift 3
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 # torch 2.13 would start again on the store of the dead
exec "${PYTHON:-python3}" -m torch.distributed.run \
    --nnodes "${HOSTS:-2}" --nproc-per-node "${PROCESSES:-1}" --max-restarts 3 \
    --rdzv-backend c10d --rdzv-id keyboard-lm --rdzv-endpoint "$first:${PORT:-29400}" \
    -m keyboard_lm train --data "$corpus" --output "$run" --strategy fsdp --optimizer adamw --timeout-seconds 600 "$@"
