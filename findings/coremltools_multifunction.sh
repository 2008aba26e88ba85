#!/usr/bin/env bash
# coremltools 9.0 does not edit packages of several functions: milproto's loader returns a program whose default function is
# "main" (there is none) and that is not marked as having several; rename_feature and MLModel.input_description look at the
# empty top level, change and find nothing, and raise nothing. Expected: the functions' own features, or an error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q coremltools==9.0 "numpy<2.4" 2>/dev/null
cd "$folder"
"$folder/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import coremltools as ct
import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend.milproto.load import load

print("coremltools", ct.__version__)
descriptor = ct.utils.MultiFunctionDescriptor()
for name, factor in (("one", 1.0), ("two", 2.0)):

    @mb.program(input_specs=[mb.TensorSpec(shape=(4,))], opset_version=ct.target.iOS18)
    def program(x):
        return mb.mul(x=x, y=np.full(4, factor, np.float32), name="y")

    ct.convert(program, minimum_deployment_target=ct.target.iOS18, skip_model_load=True).save(f"{name}.mlpackage")
    descriptor.add_function(f"{name}.mlpackage", "main", name)
descriptor.default_function_name = "one"
ct.utils.save_multifunction(descriptor, "both.mlpackage")
spec = ct.utils.load_spec("both.mlpackage")
outputs = [feature.name for function in spec.description.functions for feature in function.output]
ct.utils.rename_feature(spec, "y", "z")
renamed = [feature.name for function in spec.description.functions for feature in function.output]
described = list(ct.models.MLModel("both.mlpackage", skip_model_load=True).input_description)
program = load(spec, spec.specificationVersion, file_weights_dir="both.mlpackage/Data/com.apple.CoreML/weights")
print("functions", sorted(program.functions), "default", program.default_function_name, "of several", program.export_as_multifunction)
print("outputs", outputs, "after rename_feature", renamed, "input_description", described)
same = program.default_function_name == "main" and not program.export_as_multifunction and renamed == outputs and not described
raise SystemExit(0 if same else "behaves otherwise now")
PY
