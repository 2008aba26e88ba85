#!/usr/bin/env bash
# Opacus 1.6.0: per-sample gradients of an embedding whose table is also the head (`F.linear(x, emb.weight)`) lack the head's
# part: no error, no warning, the validator finds nothing, and their norm is some two thirds of what it should be, so that
# clipping and noise are of another gradient. GradSampleModuleExpandedWeights ("ew") is right. Expected: the sum, or an error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 opacus==1.6.0 2>/dev/null
"$folder/venv/bin/python" -W ignore - <<'PY'
import copy

import opacus
import torch
import torch.nn.functional as F
from opacus.grad_sample import GradSampleModule, GradSampleModuleExpandedWeights
from opacus.validators import ModuleValidator

print("opacus", opacus.__version__, "torch", torch.__version__)


class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.body = torch.nn.Embedding(12, 6), torch.nn.Linear(6, 6)

    def forward(self, ids):
        return F.linear(torch.tanh(self.body(self.table(ids))), self.table.weight)


torch.manual_seed(0)
model = Tied()
ids, targets = torch.randint(0, 12, (4, 5)), torch.randint(0, 12, (4, 5))


def losses(logits):
    return F.cross_entropy(logits.transpose(1, 2), targets, reduction="none").mean(1)


true = []
for sample in range(4):
    model.zero_grad()
    losses(model(ids))[sample].backward()
    true.append(model.table.weight.grad.clone())
true = torch.stack(true)
sizes = {}
for name, kind in (("hooks", GradSampleModule), ("ew", GradSampleModuleExpandedWeights)):
    wrapped = kind(copy.deepcopy(model), batch_first=True, loss_reduction="sum")
    losses(wrapped(ids)).sum().backward()
    found = wrapped._module.table.weight.grad_sample
    sizes[name] = ((found - true).norm() / true.norm()).item()
    print(f"{name}: relative error {sizes[name]:.3f}, norm {(found.norm() / true.norm()).item():.3f} of the true one")
print("validator:", ModuleValidator.validate(model))
raise SystemExit(0 if sizes["hooks"] > 0.3 and sizes["ew"] < 1e-5 else "behaves otherwise now")
PY
