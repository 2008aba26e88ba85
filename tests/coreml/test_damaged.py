"""Whatever a package's bytes are: it runs, or one line says what is wrong with it, and no file makes memory grow."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyboard_lm_coreml.execute.executor import Executor
from keyboard_lm_coreml.package.package import Package
from keyboard_lm_coreml.package.protobuf import fields

from keyboard_lm.errors import PackageError

pytest.importorskip("coremltools")
from coremltools.converters.mil.mil import types

from .mil_packages import mb, save_program
from .mutations import MODEL, WEIGHTS, Files, damage, encoded

RNG = np.random.default_rng(5)
GROWTH_BYTES = 100 << 20


def _half(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float16)


def _network(x: Any, ids: Any, at: Any, s: Any) -> Any:
    # An operation of each kind that can allocate: looked-up weights, a table, a state, scores of tokens.
    indices = RNG.integers(0, 16, (32, 16)).astype(types.nptype_from_builtin(types.uint4))
    weight = mb.constexpr_lut_to_dense(indices=indices, lut=_half(4, 1, 16, 1))
    y = mb.linear(x=x, weight=weight, bias=_half(32))
    y = mb.add(x=y, y=mb.gather(x=_half(20, 32), indices=ids, axis=0))
    y = mb.layer_norm(x=y, axes=[-1], gamma=_half(32), epsilon=np.float16(1e-3))
    end = mb.add(x=at, y=np.array([2], np.int32))
    begins = mb.concat(values=(at, np.array([0], np.int32)), axis=0)
    ends = mb.concat(values=(end, np.array([32], np.int32)), axis=0)
    state = mb.slice_update(x=mb.read_state(input=s), update=y, begin=begins, end=ends)
    state = mb.coreml_update_state(state=s, value=state)
    scores = mb.softmax(x=mb.matmul(x=y, y=state, transpose_y=True), axis=-1)
    tiled = mb.tile(x=mb.matmul(x=scores, y=state), reps=[2, 1])
    return mb.slice_by_index(x=tiled, begin=[0, 1], end=[3, -1])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    path = tmp_path_factory.mktemp("damaged") / "whole.mlpackage"
    save_program(path, [((2, 16), "fp16"), ((2,), "int32"), ((1,), "int32")], _network, [(6, 32)])
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def _write(folder: Path, files: Files) -> Path:
    path = folder / "package.mlpackage"
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def _run(path: Path, is_rounding: bool = False) -> None:
    executor = Executor(Package(path), is_rounding)
    (name, *_) = executor.package.function_names
    inputs = {
        named.name: np.zeros(named.type.fixed_shape or (), named.type.dtype.numpy)
        for named in executor.prepare(name).function.inputs
        if not named.type.is_state
    }
    executor.run(name, inputs)


def test_the_whole_package_runs(files: Files, tmp_path: Path) -> None:
    _run(_write(tmp_path, files))


@settings(max_examples=200)
@given(seed=st.integers(0, 1 << 32))
def test_a_damaged_package_runs_or_ends_in_one_line(
    files: Files, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    path = _write(tmp_path_factory.getbasetemp(), damage(files, random.Random(seed)).files)
    message = f"{path}: "
    try:
        _run(path, is_rounding=bool(seed % 2))
    except PackageError as error:
        message = str(error)
    assert "\n" not in message
    assert str(path) in message


@pytest.mark.parametrize("name", [MODEL, WEIGHTS, "Manifest.json"])
@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_a_truncated_file_is_refused(files: Files, tmp_path: Path, name: str, share: float) -> None:
    path = _write(tmp_path, {**files, name: files[name][: int(share * len(files[name]))]})
    with pytest.raises(PackageError, match=r"package.mlpackage: "):
        _run(path)


def _numbers_at(message: bytes, change: Callable[[tuple[int, ...], int], int], at: tuple[int, ...] = ()) -> bytes:
    # Changes the numbers of a message by their path of field numbers.
    parts: list[tuple[int, int | bytes]] = []
    for number, value in fields(memoryview(message)):
        place = (*at, number)
        if isinstance(value, int):
            parts.append((number, change(place, value)))
        elif place in _MESSAGES:
            parts.append((number, _numbers_at(bytes(value), change, place)))
        else:
            parts.append((number, bytes(value)))
    return encoded(parts)


# Model 502 program, Program 2 functions, map entry 2, Function 3 blocks, map entry 2, Block 3 operations, Operation 3
# outputs and 5 attributes, ...: the way to the sizes of the tensors that operations declare.
_OPERATION = (502, 2, 2, 3, 2, 3)
_SIZE = (*_OPERATION, 3, 2, 1, 3, 1, 1)
_VALUE = (*_OPERATION, 5, 2, 2, 1, 3, 1, 1)
_MESSAGES = {place[:end] for place in (_SIZE, _VALUE) for end in range(1, len(_SIZE) + len(_VALUE))}


@pytest.mark.parametrize("size", [0, 1 << 20, 1 << 28, (1 << 31) - 1, 1 << 40, (1 << 64) - 1])
@pytest.mark.parametrize("which", [_SIZE, _VALUE, None])
def test_absurd_sizes_allocate_nothing(files: Files, tmp_path: Path, size: int, which: tuple[int, ...] | None) -> None:
    wanted = (_SIZE, _VALUE) if which is None else (which,)
    model = _numbers_at(files[MODEL], lambda place, value: size if place in wanted and value > 1 else value)
    assert model != files[MODEL]
    path = _write(tmp_path, {**files, MODEL: model})
    tracemalloc.start()
    try:
        with pytest.raises(PackageError, match=r"package.mlpackage: function main, operation \d+"):
            _run(path)
        assert tracemalloc.get_traced_memory()[1] < GROWTH_BYTES
    finally:
        tracemalloc.stop()


def test_weights_that_lie_elsewhere_are_refused(files: Files, tmp_path: Path) -> None:
    weights = bytearray(files[WEIGHTS])
    for at in range(64, len(weights), 64):
        if weights[at : at + 4] == b"\xef\xbe\xad\xde":
            weights[at + 16 : at + 24] = (1 << 62).to_bytes(8, "little")  # where its values are
    with pytest.raises(PackageError, match=r"weight.bin: the record at byte \d+ ends at \d+, but the file has"):
        _run(_write(tmp_path, {**files, WEIGHTS: bytes(weights)}))


def test_a_name_cannot_break_the_line_of_an_error(files: Files, tmp_path: Path) -> None:
    model = files[MODEL].replace(b"layer_norm", b"layer\nnorm").replace(b"constexpr_", b"constexpr\x1b")
    with pytest.raises(PackageError, match=r"operation \d+: a name is too long or has characters that cannot be"):
        _run(_write(tmp_path, {**files, MODEL: model}))
