#!/usr/bin/env bash
# torch 2.13.0, CPU: under bf16 autocast `torch.sparse.mm` of two fp32 matrices takes the sparse one to bf16 as well. In the
# coordinate layout the product comes back in bf16, a hundredth off, without a word; in compressed rows the same call raises
# NotImplementedError. The table of autocast's operators speaks of dense ones. Expected: fp32 as outside, or bf16 in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy 2>/dev/null
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import torch

print("torch", torch.__version__)
torch.manual_seed(1)
dense = torch.rand(40, 30) * (torch.rand(40, 30) < 0.1)
other = torch.rand(30, 8)
exact = dense @ other
outside = torch.sparse.mm(dense.to_sparse(), other)
with torch.autocast("cpu", torch.bfloat16):
    inside = torch.sparse.mm(dense.to_sparse(), other)
    try:
        torch.sparse.mm(dense.to_sparse_csr(), other)
        rows = "runs"
    except NotImplementedError as error:
        rows = f"NotImplementedError: {error}"
for name, found in (("outside", outside), ("under autocast", inside)):
    print(f"coordinates, {name}: {found.dtype}, largest error {(found - exact).abs().max():.1e}")
print("compressed rows, under autocast:", rows)
assert outside.dtype == torch.float32 and inside.dtype == torch.bfloat16
assert (inside - exact).abs().max() > 1e-3 > (outside - exact).abs().max()
assert rows.startswith("NotImplementedError")
PY
