"""Each operation on a saved program against torch, and states against what was written into them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keyboard_lm_coreml.execute.executor import Executor
from keyboard_lm_coreml.package.package import Package

from keyboard_lm.errors import PackageError

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
from torch.nn import functional as F  # noqa: E402

from .mil_packages import mb, save_program  # noqa: E402

RNG = np.random.default_rng(1)


def _half(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float16)


WEIGHT, BIAS = _half(6, 8), _half(6)
TABLE = _half(10, 4)
HALF_GAMMA = _half(8)
CHANNELS = _half(1, 8, 1, 5)

# name: (shape of the fp16 input x, the operation, torch's answer)
CASES: dict[str, tuple[tuple[int, ...], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "add": ((2, 3), lambda x: mb.add(x=x, y=_Y), lambda x: x + torch.from_numpy(_Y).float()),
    "sub": ((2, 3), lambda x: mb.sub(x=_Y, y=x), lambda x: torch.from_numpy(_Y).float() - x),
    "mul-broadcast": ((4, 2, 3), lambda x: mb.mul(x=x, y=_Y), lambda x: x * torch.from_numpy(_Y).float()),
    "real_div": ((2, 3), lambda x: mb.real_div(x=_Y, y=x), lambda x: torch.from_numpy(_Y).float() / x),
    "pow": ((2, 3), lambda x: mb.pow(x=x, y=np.float16(2)), lambda x: x**2),
    "minimum": ((2, 3), lambda x: mb.minimum(x=x, y=np.float16(0.1)), lambda x: x.clamp(max=float(np.float16(0.1)))),
    "maximum": ((2, 3), lambda x: mb.maximum(x=x, y=np.float16(0)), lambda x: x.clamp(min=0)),
    "rsqrt": ((2, 3), lambda x: mb.rsqrt(x=mb.square(x=x)), lambda x: x.abs().reciprocal()),
    "exp-log": ((2, 3), lambda x: mb.log(x=mb.exp(x=x)), lambda x: x),
    "silu": ((2, 3), lambda x: mb.silu(x=x), F.silu),
    "sigmoid-tanh": ((2, 3), lambda x: mb.tanh(x=mb.sigmoid(x=x)), lambda x: x.sigmoid().tanh()),
    "softplus": ((2, 3), lambda x: mb.softplus(x=x), F.softplus),
    "clip": ((2, 3), lambda x: mb.clip(x=x, alpha=np.float16(-1), beta=np.float16(1)), lambda x: x.clamp(-1, 1)),
    "select": (
        (2, 3),
        lambda x: mb.select(cond=mb.greater_equal(x=x, y=np.float16(0)), a=x, b=np.float16(7)),
        lambda x: torch.where(x >= 0, x, torch.tensor(7.0)),
    ),
    "cast": (
        (2, 3),
        lambda x: mb.cast(x=mb.cast(x=mb.mul(x=x, y=np.float16(10)), dtype="int32"), dtype="fp16"),
        lambda x: (x * 10).int().float(),
    ),
    "conv": ((1, 8, 1, 5), lambda x: mb.conv(x=x, weight=WEIGHT[:, :, None, None], bias=BIAS),
             lambda x: F.conv2d(x, _t(WEIGHT)[:, :, None, None], _t(BIAS))),
    "conv-one-token": ((1, 8, 1, 1), lambda x: mb.conv(x=x, weight=WEIGHT[:, :, None, None]),
                       lambda x: F.conv2d(x, _t(WEIGHT)[:, :, None, None])),
    "conv-1d-batch": ((3, 8, 5), lambda x: mb.conv(x=x, weight=WEIGHT[:, :, None]),
                      lambda x: F.conv1d(x, _t(WEIGHT)[:, :, None])),
    "conv-computed-weights": (
        (6, 8, 1, 1),
        lambda x: mb.conv(x=CHANNELS, weight=mb.mul(x=x, y=np.float16(2)), bias=BIAS),
        lambda x: F.conv2d(_t(CHANNELS), 2 * x, _t(BIAS)),
    ),
    "linear": ((2, 5, 8), lambda x: mb.linear(x=x, weight=WEIGHT, bias=BIAS),
               lambda x: F.linear(x, _t(WEIGHT), _t(BIAS))),
    "matmul": ((2, 5, 8), lambda x: mb.matmul(x=x, y=WEIGHT, transpose_y=True), lambda x: x @ _t(WEIGHT).T),
    "matmul-both-swapped": ((2, 8, 5), lambda x: mb.matmul(x=x, y=WEIGHT, transpose_x=True, transpose_y=True),
                            lambda x: x.transpose(1, 2) @ _t(WEIGHT).T),
    "attention": (
        (1, 2, 5, 8),
        lambda x: mb.scaled_dot_product_attention(query=x, key=x, value=mb.mul(x=x, y=np.float16(2)), attn_mask=_MASK),
        lambda x: F.scaled_dot_product_attention(x, x, 2 * x, torch.from_numpy(_MASK).float()),
    ),
    "softmax": ((2, 3, 4), lambda x: mb.softmax(x=x, axis=1), lambda x: x.softmax(1)),
    "layer_norm": (
        (2, 3, 8),
        lambda x: mb.layer_norm(x=x, axes=[-1], gamma=HALF_GAMMA, beta=HALF_GAMMA, epsilon=np.float16(1e-3)),
        lambda x: F.layer_norm(x, (8,), _t(HALF_GAMMA), _t(HALF_GAMMA), float(np.float16(1e-3))),
    ),
    "layer_norm-of-channels": (
        (1, 8, 1, 3),
        lambda x: mb.layer_norm(x=x, axes=[1], epsilon=np.float16(1e-3)),
        lambda x: F.layer_norm(x.transpose(1, 3), (8,), eps=float(np.float16(1e-3))).transpose(1, 3),
    ),
    "reduce_mean": ((2, 3, 4), lambda x: mb.reduce_mean(x=x, axes=[0, 2], keep_dims=True),
                    lambda x: x.mean((0, 2), keepdim=True)),
    "reduce_sum": ((2, 3, 4), lambda x: mb.reduce_sum(x=x, axes=[1], keep_dims=False), lambda x: x.sum(1)),
    "reduce_max": ((2, 3, 4), lambda x: mb.reduce_max(x=x, axes=[-1], keep_dims=False), lambda x: x.amax(-1)),
    "reduce_log_sum_exp": ((2, 3, 4), lambda x: mb.reduce_log_sum_exp(x=x, axes=[-1], keep_dims=True),
                           lambda x: x.logsumexp(-1, keepdim=True)),
    "topk": ((2, 9), lambda x: mb.topk(x=x, k=3, axis=-1)[0], lambda x: x.topk(3).values),
    "gather": (
        (10, 4),
        lambda x: mb.gather(x=x, indices=np.array([[3, -1], [0, 9]], np.int32), axis=0, validate_indices=False),
        lambda x: x[torch.tensor([[3, 9], [0, 9]])],
    ),
    "reshape": ((2, 6), lambda x: mb.reshape(x=x, shape=[3, -1]), lambda x: x.reshape(3, 4)),
    "transpose": ((2, 3, 4), lambda x: mb.transpose(x=x, perm=[2, 0, 1]), lambda x: x.permute(2, 0, 1)),
    "expand-squeeze": ((2, 3), lambda x: mb.squeeze(x=mb.expand_dims(x=x, axes=[0, 2]), axes=[0]),
                       lambda x: x[:, None]),
    "concat": ((2, 3), lambda x: mb.concat(values=(x, mb.square(x=x)), axis=-1), lambda x: torch.cat((x, x * x), -1)),
    "stack": ((2, 3), lambda x: mb.stack(values=(x, mb.square(x=x)), axis=1), lambda x: torch.stack((x, x * x), 1)),
    "split": ((2, 5), lambda x: mb.split(x=x, split_sizes=[2, 3], axis=1)[1], lambda x: x[:, 2:]),
    "tile": ((2, 3), lambda x: mb.tile(x=x, reps=[2, 1]), lambda x: x.repeat(2, 1)),
    "slice": (
        (4, 6, 3),
        lambda x: mb.slice_by_index(
            x=x, begin=[1, 0, -2], end=[0, -1, 0], stride=[1, 2, 1], begin_mask=[False, True, False],
            end_mask=[False, False, True], squeeze_mask=[True, False, False],
        ),
        lambda x: x[1, :-1:2, -2:],
    ),
    "slice_update": (
        (4, 6),
        lambda x: mb.slice_update(x=x, update=np.ones((2, 6), np.float16), begin=[1, 0], end=[3, 6]),
        lambda x: torch.cat((x[:1], torch.ones(2, 6), x[3:])),
    ),
}  # fmt: skip
_Y = _half(2, 3)
_MASK = np.where(np.tri(5), 0, -1e4).astype(np.float16)


def _t(array: Any) -> Any:
    return torch.from_numpy(array).float()


@pytest.fixture(scope="module", params=list(CASES))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    shape, build, oracle = CASES[request.param]
    path = tmp_path_factory.mktemp("ops") / f"{request.param}.mlpackage"
    x = _half(*shape)
    save_program(path, [(shape, "fp16")], build, clean=False)
    return path, x, oracle(_t(x)).numpy()


def _run(path: Path, x: Any, is_rounding: bool = False) -> Any:
    (output,) = Executor(Package(path), is_rounding).run("main", {"x": x}).values()
    return output


def test_operation_is_torchs(case: tuple[Path, Any, Any]) -> None:
    path, x, expected = case
    output = _run(path, x)
    assert output.shape == expected.shape
    assert output.dtype == np.float32
    np.testing.assert_allclose(output, expected, rtol=2e-6, atol=2e-6)


def test_rounding_leaves_half_precision_and_little_error(case: tuple[Path, Any, Any]) -> None:
    path, x, expected = case
    output = _run(path, x, is_rounding=True)
    assert np.array_equal(output, output.astype(np.float16).astype(np.float32))
    np.testing.assert_allclose(output, expected, rtol=4e-3, atol=4e-3)


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state of 4 x 3; each call writes x into the row at `at`, and returns the state before and after."""

    def build(x: Any, at: Any, s: Any) -> Any:
        before = mb.read_state(input=s)
        end = mb.add(x=at, y=np.array([1], np.int32))
        zero, three = np.array([0], np.int32), np.array([3], np.int32)
        begins, ends = mb.concat(values=(at, zero), axis=0), mb.concat(values=(end, three), axis=0)
        after = mb.slice_update(x=before, update=x, begin=begins, end=ends)
        again = mb.coreml_update_state(state=s, value=after)
        return mb.mul(x=before, y=np.float16(1)), mb.mul(x=again, y=np.float16(1))

    path = tmp_path_factory.mktemp("state") / "counter.mlpackage"
    return save_program(path, [((1, 3), "fp16"), ((1,), "int32")], build, states=[(4, 3)])


def test_a_state_is_kept_and_what_was_read_before_a_write_stays(counter: Path) -> None:
    executor = Executor(Package(counter))
    expected = np.zeros((4, 3), np.float32)
    for at in (2, 0, 2, 3):
        x = _half(1, 3)
        before, after = executor.run("main", {"x": x, "at": np.array([at], np.int32)}).values()
        assert np.array_equal(before, expected)
        expected[at] = x[0]
        assert np.array_equal(after, expected)
    assert np.array_equal(executor.state("s"), expected)
    executor.reset()
    assert not executor.state("s").any()


def test_a_write_behind_the_end_names_the_operation(counter: Path) -> None:
    executor = Executor(Package(counter))
    with pytest.raises(PackageError, match=r"function main, operation \d+ '.*' \(slice_update\): .*do not fit"):
        executor.run("main", {"x": _half(1, 3), "at": np.array([4], np.int32)})


def test_wrong_inputs_are_named(counter: Path) -> None:
    executor = Executor(Package(counter))
    with pytest.raises(PackageError, match=r"input 'x' of function main is \(1, 4\), not float16 \(1, 3\)"):
        executor.run("main", {"x": _half(1, 4), "at": np.array([0], np.int32)})
    with pytest.raises(PackageError, match="needs an input 'at'"):
        executor.run("main", {"x": _half(1, 3)})


def test_an_unknown_operation_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "erf.mlpackage"
    save_program(path, [((2, 3), "fp16")], lambda x: mb.erf(x=x), clean=False)
    with pytest.raises(PackageError, match=r"function main, operation \d+ '.*' \(erf\): no such operation is known"):
        Executor(Package(path)).prepare("main")


def test_a_convolution_that_is_no_matrix_product_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.mlpackage"
    save_program(path, [((1, 2, 1, 9), "fp16")], lambda x: mb.conv(x=x, weight=_half(3, 2, 1, 3)), clean=False)
    with pytest.raises(PackageError, match=r"\(conv\): a convolution with weights of shape \(3, 2, 1, 3\)"):
        Executor(Package(path)).prepare("main")
