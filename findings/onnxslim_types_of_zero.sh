#!/usr/bin/env bash
# onnxslim 0.1.98: for results of operators that ONNX's own shape inference does not know (onnxruntime's GatherBlockQuantized),
# it writes a value_info of element type 0 into the graph, which onnxruntime 1.32 then refuses to load. Expected: the same
# graph, smaller or not. With no_shape_infer=True it is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnxslim==0.1.98 onnx==1.23.2 onnxruntime==1.32.0 2>/dev/null
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
import onnxslim
from onnx import TensorProto, helper, numpy_helper

print("onnxslim", version("onnxslim"), "onnxruntime", onnxruntime.__version__)
rng = np.random.default_rng(0)
constants = [
    numpy_helper.from_array(rng.integers(0, 256, (16, 2, 16)).astype(np.uint8), "codes"),
    numpy_helper.from_array(np.full((16, 2, 1), 0.1, np.float32), "scales"),
    numpy_helper.from_array(np.array([1, -1, 64]), "shape"),
    numpy_helper.from_array(np.ones(64, np.float32), "weight"),
]
nodes = [
    helper.make_node("GatherBlockQuantized", ["codes", "ids", "scales"], ["blocks"], domain="com.microsoft",
                     gather_axis=0, quantize_axis=2, block_size=32, bits=4),
    helper.make_node("Reshape", ["blocks", "shape"], ["rows"]),
    helper.make_node("RMSNormalization", ["rows", "weight"], ["y"], axis=-1),
]
graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("ids", TensorProto.INT64, (1, "T"))],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, "T", 64))], constants)
opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
model = helper.make_model(graph, opset_imports=opsets, ir_version=10)


def loads(candidate):
    try:
        session = onnxruntime.InferenceSession(candidate.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception as error:
        return f"does not load: {str(error).split(':')[-1].strip()}"
    return f"loads, sum {session.run(None, {'ids': np.array([[1, 5]])})[0].sum():.3f}"


seen = [loads(model), loads(onnxslim.slim(onnx.load_from_string(model.SerializeToString()))),
        loads(onnxslim.slim(onnx.load_from_string(model.SerializeToString()), no_shape_infer=True))]
for name, what in zip(("as it is", "slim", "slim, no_shape_infer"), seen, strict=True):
    print(f"{name}: {what}")
raise SystemExit(0 if seen[0] == seen[2] and "does not load" in seen[1] else "behaves otherwise now")
PY
