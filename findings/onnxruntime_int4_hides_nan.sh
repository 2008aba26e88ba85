#!/usr/bin/env bash
# onnxruntime 1.32 on a CPU: MatMulNBits with accuracy_level 4 (int8 activations) turns a NaN of its input into finite
# numbers; with accuracy_level 0 the result is NaN. Expected: NaN in, NaN out. A check that outputs are finite passes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnxruntime==1.32.0 onnx==1.23.2 2>/dev/null
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

print("onnxruntime", onnxruntime.__version__)
rng = np.random.default_rng(0)
codes = numpy_helper.from_array(rng.integers(0, 256, (16, 2, 16)).astype(np.uint8), "codes")
scales = numpy_helper.from_array(np.full(32, 0.1, np.float32), "scales")
x = rng.normal(size=(1, 64)).astype(np.float32)
x[0, 3] = np.nan
finite = {}
for level in (0, 4):
    node = helper.make_node("MatMulNBits", ["x", "codes", "scales"], ["y"], domain="com.microsoft",
                            K=64, N=16, bits=4, block_size=32, accuracy_level=level)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 64))],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 16))], [codes, scales])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    finite[level] = float(np.isfinite(session.run(None, {"x": x})[0]).mean())
    print(f"accuracy_level {level}: {finite[level]:.0%} of the results are finite")
raise SystemExit(0 if finite == {0: 0.0, 4: 1.0} else "behaves otherwise now")
PY
