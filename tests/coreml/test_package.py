"""The package reader against coremltools' own, and what it says about files that are broken."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyboard_lm_coreml.package import constexpr
from keyboard_lm_coreml.package.data_types import BY_NAME, packed_bytes, unpack
from keyboard_lm_coreml.package.package import Package, find_package, package_digest

from keyboard_lm.errors import PackageError

pytest.importorskip("coremltools")
from coremltools.converters.mil.frontend.milproto.load import load as load_program
from coremltools.models.utils import load_spec

from .mil_packages import mb, save_program

MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
RNG = np.random.default_rng(0)


def _indices(bits: int, shape: tuple[int, ...]) -> Any:
    from coremltools.converters.mil.mil import types

    name = f"uint{bits}"
    return RNG.integers(0, 1 << bits, shape).astype(types.nptype_from_builtin(types.string_to_builtin(name)))


def _int4(shape: tuple[int, ...]) -> Any:
    from coremltools.converters.mil.mil import types

    return RNG.integers(-8, 8, shape).astype(types.nptype_from_builtin(types.int4))


def _half(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float16)


def _sparse() -> Any:
    mask = _indices(1, (24, 16))
    return mb.constexpr_sparse_to_dense(nonzero_data=_half(int(mask.sum())), mask=mask)


COMPRESSED: dict[str, Callable[[], Any]] = {
    **{
        f"lut-{bits}-bit": lambda bits=bits: mb.constexpr_lut_to_dense(
            indices=_indices(bits, (24, 16)), lut=_half(3, 1, 1 << bits, 1)
        )
        for bits in (1, 2, 3, 4, 6, 8)
    },
    "lut-both-axes": lambda: mb.constexpr_lut_to_dense(indices=_indices(4, (24, 16)), lut=_half(3, 4, 16, 1)),
    "lut-vectors": lambda: mb.constexpr_lut_to_dense(
        indices=_indices(4, (12, 16)), lut=_half(3, 1, 16, 2), vector_axis=0
    ),
    "lut-vectors-along-rows": lambda: mb.constexpr_lut_to_dense(
        indices=_indices(2, (24, 4)), lut=_half(1, 1, 4, 4), vector_axis=1
    ),
    "blocks-int4": lambda: mb.constexpr_blockwise_shift_scale(data=_int4((24, 16)), scale=_half(24, 2)),
    "blocks-uint8-offset": lambda: mb.constexpr_blockwise_shift_scale(
        data=_indices(8, (24, 16)), scale=_half(24, 1), offset=_indices(8, (24, 1))
    ),
    "sparse": _sparse,
}


@pytest.fixture(scope="module", params=list(COMPRESSED))
def compressed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def build(x: Any) -> Any:
        y = mb.linear(x=x, weight=COMPRESSED[request.param](), bias=_half(24))
        return mb.mul(x=y, y=np.float16(0.1))

    path = tmp_path_factory.mktemp("compressed") / "model.mlpackage"
    return save_program(path, [((2, 16), "fp16")], build)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def build(x: Any) -> Any:
        y = mb.linear(x=x, weight=_half(70, 64), bias=_half(70))
        return mb.reshape(x=y, shape=[7, 10, 2])

    return save_program(tmp_path_factory.mktemp("plain") / "model.mlpackage", [((2, 64), "fp16")], build)


def _theirs(path: Path) -> dict[str, Any]:
    spec = load_spec(str(path))
    weights = path / "Data" / "com.apple.CoreML" / "weights"
    program = load_program(spec, specification_version=spec.specificationVersion, file_weights_dir=str(weights))
    return {op.outputs[0].name: op for op in program.functions["main"].operations}


def test_constants_are_read_as_coremltools_reads_them(plain: Path) -> None:
    theirs = _theirs(plain)
    function = Package(plain).function("main")
    assert len(function.constants) >= 3
    for name, constant in function.constants.items():
        value = theirs[name].outputs[0].val
        if constant.type.dtype.name == "string":
            assert constant.text() == value
        else:
            assert np.array_equal(constant.array(), value)


def test_compressed_weights_are_decoded_bit_for_bit(compressed: Path) -> None:
    function = Package(compressed).function("main")
    (operation,) = (op for op in function.operations if op.kind.startswith("constexpr_"))
    expected = _theirs(compressed)[operation.outputs[0].name].materialized_val_inference()
    got = constexpr.decode(function, operation)
    assert got.dtype == expected.dtype
    assert np.array_equal(got, expected)


def test_the_interface_is_read(plain: Path) -> None:
    package = Package(plain)
    (name,) = package.function_names
    assert package.default_function == name == "main"
    interface = package.interfaces["main"]
    assert [(f.name, f.shape) for f in interface.inputs] == [("x", (2, 64))]
    assert interface.inputs[0].dtype == BY_NAME["float16"]
    assert package.metadata.user["com.github.apple.coremltools.version"]
    assert package.num_bytes == sum(f.stat().st_size for f in plain.rglob("*") if f.is_file())


@given(bits=st.sampled_from([1, 2, 3, 4, 6]), values=st.lists(st.integers(0, 63), max_size=50))
def test_narrow_values_fill_bytes_from_the_lowest_bit(bits: int, values: list[int]) -> None:
    values = [value % (1 << bits) for value in values]
    number = sum(value << (bits * i) for i, value in enumerate(values))
    dtype = BY_NAME[f"uint{bits}"]
    data = number.to_bytes(packed_bytes(dtype, len(values)), "little")
    assert unpack(data, dtype, len(values)).tolist() == values


def test_int4_is_signed() -> None:
    assert unpack(bytes([0x8F, 0x70]), BY_NAME["int4"], 4).tolist() == [-1, -8, 0, 7]


def test_reading_imports_neither_coremltools_nor_protobuf() -> None:
    import subprocess

    code = "import sys, keyboard_lm_coreml.package.package; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"coremltools", "google", "torch"} & set(loaded)


@pytest.fixture
def copy(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain, tmp_path / "copy.mlpackage"))


def test_a_missing_package_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"nothing.mlpackage: no such package; .*export-coreml"):
        Package(tmp_path / "nothing.mlpackage")


def test_a_truncated_model_is_refused(copy: Path) -> None:
    content = (copy / MODEL).read_bytes()
    (copy / MODEL).write_bytes(content[: len(content) - 40])
    with pytest.raises(PackageError, match=r"copy.mlpackage: .*claims \d+ bytes where \d+ are left; export it again"):
        Package(copy).function("main")


def test_truncated_weights_are_refused_when_they_are_read(copy: Path) -> None:
    content = (copy / WEIGHTS).read_bytes()
    (copy / WEIGHTS).write_bytes(content[: len(content) // 2])
    constants = Package(copy).function("main").constants.values()
    with pytest.raises(PackageError, match=r"weight.bin: .*, but the file has"):
        [constant.array() for constant in constants]


def test_a_manifest_may_not_lead_out_of_the_package(copy: Path) -> None:
    manifest = json.loads((copy / "Manifest.json").read_text())
    for path in ("../../model.mlmodel", "/etc/passwd", 7, "a\0b"):
        manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"] = path
        (copy / "Manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(PackageError, match=r"Manifest.json .*; export it again"):
            Package(copy)


def test_an_unknown_function_lists_the_known_ones(plain: Path) -> None:
    with pytest.raises(PackageError, match="no function 'decode'; it has: main"):
        Package(plain).function("decode")


def test_a_bundle_folder_means_its_package(plain: Path, tmp_path: Path) -> None:
    assert find_package(plain) == plain
    assert find_package(plain.parent) == plain
    with pytest.raises(PackageError, match="no package"):
        find_package(tmp_path)


def test_the_digest_is_that_of_program_and_weights(copy: Path) -> None:
    before = package_digest(copy)
    (copy / "Manifest.json").write_text((copy / "Manifest.json").read_text() + "\n")
    assert package_digest(copy) == before
    content = (copy / WEIGHTS).read_bytes()
    (copy / WEIGHTS).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert package_digest(copy) != before
    with pytest.raises(PackageError, match="no such package"):
        package_digest(copy.parent / "other.mlpackage")


def test_vectors_cannot_make_a_small_file_large() -> None:
    from keyboard_lm_coreml.package.protobuf import MalformedError

    with pytest.raises(MalformedError, match="an index stands for 1000 weights"):
        constexpr.lut_to_dense(np.zeros((4, 4), np.uint8), np.zeros((1, 1, 16, 1000), np.float16), 0)
