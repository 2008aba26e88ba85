"""The same package read by coremltools: its MIL loader, its decompression of weights.

The executor reads packages with code of this project alone, and the export and its checks could share a mistake. Here
coremltools' loader builds its own program from the same file, which infers every type anew, and every constant and
every compressed weight is compared bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.errors import MissingExtraError, PackageError
from keyboard_lm_coreml.convert.quiet import quiet
from keyboard_lm_coreml.package import constexpr
from keyboard_lm_coreml.package.package import Package
from keyboard_lm_coreml.package.program import Function


@dataclass(frozen=True)
class LoaderOpinion:
    """What coremltools found in a package.

    Attributes:
        version: coremltools'.
        num_operations: of all functions; the kinds and their order are the same in both programs.
        num_constants: compared bit for bit.
        num_compressed: weights that both decompressed, to the same bits.
        num_weights: numbers in those.
    """

    version: str
    num_operations: int
    num_constants: int
    num_compressed: int
    num_weights: int


def ask_coremltools(package: Package) -> LoaderOpinion:
    """Load a package with coremltools and compare what it holds.

    Raises:
        MissingExtraError: coremltools is not installed.
        PackageError: coremltools cannot load it, or reads something else; the message names it.
    """
    with quiet():
        try:
            import coremltools
            from coremltools.converters.mil.frontend.milproto.load import load
        except ModuleNotFoundError as error:
            if error.name != "coremltools":
                raise
            raise MissingExtraError("coremltools", "coreml") from None
        try:
            spec = coremltools.models.utils.load_spec(str(package.path))
            program = load(spec, spec.specificationVersion, file_weights_dir=str(package.weights_folder))
        except Exception as error:  # its errors have no common base
            what = " ".join(str(error).split())[:200]
            raise PackageError(f"{package.path}: coremltools cannot load it ({what})") from None
        if set(program.functions) != set(package.function_names):
            raise PackageError(f"{package.path}: coremltools finds functions {', '.join(sorted(program.functions))}")
        found = [_compare(package, package.function(name), program.functions[name]) for name in package.function_names]
    return LoaderOpinion(coremltools.__version__, *map(sum, zip(*found, strict=True)))


def _compare(package: Package, ours: Function, theirs: Any) -> tuple[int, int, int, int]:
    # Returns operations, constants, compressed weights, numbers in those.
    operations = {operation.outputs[0].name: operation for operation in theirs.operations if operation.outputs}
    constants = compressed = weights = 0
    for operation in ours.operations:
        if not operation.outputs:
            continue  # a state is written
        other = operations.get(operation.outputs[0].name)
        if other is None or not _is_same_kind(operation.kind, other.op_type):
            raise _differs(package, ours, operation.place, "has another operation in its place")
        if operation.kind == "const":
            constant = ours.constants[operation.outputs[0].name]
            if constant.type.dtype.name == "string":
                is_same = constant.text() == other.outputs[0].val
            else:
                is_same = _equal(constant.array(), other.outputs[0].val)
            constants += 1
        elif operation.kind.startswith("constexpr_"):
            decoded = constexpr.decode(ours, operation)
            is_same = _equal(decoded, other.materialized_val_inference())
            compressed += 1
            weights += decoded.size
        else:
            continue
        if not is_same:
            raise _differs(package, ours, operation.place, "reads other values")
    return len(ours.operations), constants, compressed, weights


def _is_same_kind(ours: str, theirs: str) -> bool:
    # coremltools makes one operation of a `write_state` and the `read_state` behind it.
    return ours == theirs or (ours, theirs) == ("read_state", "coreml_update_state")


def _equal(ours: NDArray[Any], theirs: Any) -> bool:
    other = np.asarray(theirs)
    return ours.dtype == other.dtype and ours.shape == other.shape and ours.tobytes() == other.tobytes()


def _differs(package: Package, function: Function, place: str, what: str) -> PackageError:
    return PackageError(f"{package.path}: function {function.name}, {place}: coremltools {what}; report this")
