#!/usr/bin/env bash
# Apple's Core AI wheels on Linux, three versions: what a module's buffer becomes, what a look-up table costs, what may be
# saved. In 1.0.0b1 and 1.0.0b2 a buffer is an input and an output, without a word, unless the program's optimize() is called;
# 1.0.0b3 has no such call and always makes a state. In all three the CPU runtime unfolds look-up tables at every call, which
# takes several times the matrix product. Expected: a state always; tables unfolded once. 3-bit tables pass every check of
# coreai-torch and then cannot be packed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 2>/dev/null
cat >"$folder/try.py" <<'PY'
import asyncio
import importlib
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

import coreai_torch

importlib.import_module("coreai_torch._compression.custom_layers")
from coreai.authoring import AIModelAsset
from coreai.runtime import NDArray

folder = Path(sys.argv[1])
print("coreai-core", version("coreai-core"), "coreai-torch", version("coreai-torch"), "torch", torch.__version__)


class Counter(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(1, 4))

    def forward(self, x):
        self.total[:, :] = self.total + x
        return self.total * 1.0


class Product(torch.nn.Module):
    def __init__(self, bits, size=512):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        codes = torch.randint(0, 1 << bits, (size, size), generator=generator, dtype=torch.uint8)
        self.register_buffer("indices", codes)
        self.register_buffer("lut", torch.randn(16, 1, 1 << bits, 1, generator=generator))

    def forward(self, x):
        return x @ torch.ops.coreai.lut_to_dense(self.indices, self.lut, 0).T


class Dense(torch.nn.Module):
    def __init__(self, size=512):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(size, size))

    def forward(self, x):
        return x @ self.weight.T


def converted(model, inputs, states, name, is_optimized=True):
    with torch.no_grad():
        exported = torch.export.export(model.eval(), inputs).run_decompositions(coreai_torch.get_decomp_table())
    converter = coreai_torch.TorchConverter()
    converter.add_exported_program(exported, input_names=["x"], output_names=["y"], state_names=states)
    program = converter.to_coreai()
    if is_optimized and hasattr(program, "optimize"):
        program.optimize()
    return program.save_asset(folder / f"{name}.aimodel")


def ms(asset):
    async def run():
        async with asset.executable() as model:
            function = model.load_function("main")
            times = []
            for _ in range(8):
                began = time.process_time()
                await function({"x": NDArray(np.ones((1, 512), np.float32))})
                times.append(1e3 * (time.process_time() - began))
            return statistics.median(times)

    return asyncio.run(run())


for is_optimized in (False, True):
    asset = converted(Counter(), (torch.zeros(1, 4),), ["total"], f"counter{is_optimized}", is_optimized)
    inputs = [name for name, _ in asset.summary().function_inputs("main")]
    print("inputs,", "optimized" if is_optimized else "as it comes", inputs)
x = (torch.zeros(1, 512),)
tables, dense = ms(converted(Product(4), x, [], "tables")), ms(converted(Dense(), x, [], "dense"))
print("a table is unfolded at every call:", tables > 2 * dense)
print(f"timings, ms: tables {tables:.2f}, dense {dense:.2f}", file=sys.stderr)
try:
    converted(Product(3), x, [], "three")
    print("3 bits: converted")
except ValueError as error:
    print("3 bits:", error)
PY
for pair in "1.0.0b1 0.4.0" "1.0.0b2 0.4.2" "1.0.0b3 0.4.3"; do
    read -r core converter <<<"$pair"
    "$folder/venv/bin/pip" install -q --no-deps "coreai-core==$core" "coreai-torch==$converter" 2>/dev/null
    "$folder/venv/bin/pip" install -q ml-dtypes networkx packaging scipy sympy strenum "rich<16" pillow yuvio 2>/dev/null
    mkdir "$folder/$core"
    "$folder/venv/bin/python" -W ignore "$folder/try.py" "$folder/$core" | grep -v "converting\|^ODIE" | tee -a "$folder/seen"
done
expected="inputs, as it comes ['total', 'x']
inputs, optimized ['x']
a table is unfolded at every call: True
3 bits: only uint1/2/4/6 is supported yet, nbits=3 is given.
inputs, as it comes ['total', 'x']
inputs, optimized ['x']
a table is unfolded at every call: True
3 bits: only uint1/2/4/6 is supported yet, nbits=3 is given.
inputs, as it comes ['x']
inputs, optimized ['x']
a table is unfolded at every call: True
3 bits: only uint1/2/4/6 is supported yet, nbits=3 is given."
[ "$(grep -v ^coreai "$folder/seen")" = "$expected" ] || { echo "behaves otherwise now"; exit 1; }
