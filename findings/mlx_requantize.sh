#!/usr/bin/env bash
# MLX's affine quantization is not idempotent: quantizing weights that came from it moves a tenth of them at 4 bits, by up
# to two thirds of a step, and by nearly a whole step at 8 bits. GGUF's Q4_0 and Q8_0 move none. Expected: what lies on a
# grid stays on it. A folder that is dequantized and quantized again is not the folder that it was.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "mlx[cpu]==0.32.4" gguf==0.19.0 2>/dev/null
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import gguf
import mlx.core as mx
import numpy as np

print("mlx", version("mlx"), "gguf", version("gguf"))
values = np.random.default_rng(0).normal(size=(64, 256)).astype(np.float32)
moved = {}
for bits in (4, 8):
    codes, scales, biases = mx.quantize(mx.array(values), group_size=64, bits=bits)
    once = mx.dequantize(codes, scales, biases, group_size=64, bits=bits)
    twice = mx.dequantize(*mx.quantize(once, group_size=64, bits=bits), group_size=64, bits=bits)
    steps = mx.abs(twice - once).reshape(64, -1, 64) / mx.abs(scales)[..., None]
    moved[f"mlx {bits} bits"] = float(mx.mean(steps > 1e-3)), float(mx.max(steps))
for name in ("Q4_0", "Q8_0"):
    kind = gguf.GGMLQuantizationType[name]
    once = gguf.quants.dequantize(gguf.quants.quantize(values, kind), kind)
    twice = gguf.quants.dequantize(gguf.quants.quantize(once, kind), kind)
    moved[f"gguf {name}"] = float((once != twice).mean()), float(np.abs(once - twice).max())
for name, (share, most) in moved.items():
    print(f"{name}: {share:.1%} moved, at most {most:.2f} steps")
same = 0.5 < moved["mlx 4 bits"][1] < 0.8 and 0.8 < moved["mlx 8 bits"][1] <= 1 and moved["gguf Q4_0"][1] == moved["gguf Q8_0"][1] == 0
raise SystemExit(0 if same else "behaves otherwise now")
PY
