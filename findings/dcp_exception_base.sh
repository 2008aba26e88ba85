#!/usr/bin/env bash
# torch 2.13.0: what torch.distributed.checkpoint raises where a process failed, `CheckpointException`, is a BaseException and
# no Exception, like KeyboardInterrupt: `except Exception` around a load of a damaged checkpoint does not see it, and neither do
# retry loops, loggers and test runners that go by that. Expected: an Exception.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy 2>/dev/null
"$folder/venv/bin/python" -W ignore - "$folder/saved" <<'PY'
import pathlib
import sys

import torch
import torch.distributed.checkpoint as dcp

print("torch", torch.__version__)
dcp.save({"a": torch.ones(2)}, checkpoint_id=sys.argv[1], no_dist=True)
next(pathlib.Path(sys.argv[1]).glob("*.distcp")).write_bytes(b"")
caught = "nothing"
try:
    dcp.load({"a": torch.zeros(2)}, checkpoint_id=sys.argv[1], no_dist=True)
except Exception as error:
    caught = f"an Exception, {type(error).__name__}"
except BaseException as error:
    caught = f"no Exception, {type(error).__name__}"
print("loading a damaged file raises", caught)
raise SystemExit(0 if caught == "no Exception, CheckpointException" else "behaves otherwise now")
PY
