"""Operations on each element: arithmetic, comparisons, activations, casts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keyboard_lm_coreml.execute.ops.kernel import Array, Builder, Kernel, Node, broadcast
from keyboard_lm_coreml.package.data_types import BY_NAME
from keyboard_lm_coreml.package.protobuf import MalformedError

# MIL's short names for types, as `cast` has them.
_CAST_TYPES = {"fp16": "float16", "fp32": "float32"}


def _binary(function: Callable[[Any, Any], Any]) -> Builder:
    def build(node: Node) -> Kernel:
        x, y = node.value("x"), node.value("y")
        return Kernel((x, y), function, (broadcast(x.shape, y.shape),))

    return build


def _unary(function: Callable[[Any], Any]) -> Builder:
    def build(node: Node) -> Kernel:
        x = node.value("x")
        return Kernel((x,), function, (x.shape,))

    return build


def _silu(x: Array) -> Any:
    return x / (1 + np.exp(-x))


def _sigmoid(x: Array) -> Any:
    return 1 / (1 + np.exp(-x))


def _divide(x: Array, y: Array) -> Any:
    # Integers are divided towards minus infinity, as coremltools' own evaluation does.
    return x // y if x.dtype.kind in "iu" else x / y


def _cast(node: Node) -> Kernel:
    x = node.value("x")
    name = node.text("dtype", "")
    dtype = BY_NAME.get(_CAST_TYPES.get(name, name))
    if dtype is None or dtype.numpy is None:
        raise MalformedError(f"a cast to '{name}' is unknown")
    if dtype != node.operation.outputs[0].type.dtype:
        raise MalformedError(f"a cast to '{name}' declares {node.operation.outputs[0].type}")
    if dtype.is_float and x.is_float:
        return Kernel((x,), lambda x: x, (x.shape,), is_exact=dtype.name != "float16", is_view=True)
    target = np.dtype(np.float32) if dtype.is_float else dtype.numpy
    return Kernel((x,), lambda x: x.astype(target), (x.shape,))


def _select(node: Node) -> Kernel:
    cond, a, b = node.value("cond"), node.value("a"), node.value("b")
    return Kernel((cond, a, b), np.where, (broadcast(cond.shape, a.shape, b.shape),), is_exact=True)


def _clip(node: Node) -> Kernel:
    x = node.value("x")
    low, high = np.float32(node.number("alpha", -np.inf)), np.float32(node.number("beta", np.inf))
    return Kernel((x,), lambda x: np.minimum(np.maximum(x, low), high), (x.shape,))


def _rsqrt(node: Node) -> Kernel:
    x, epsilon = node.value("x"), np.float32(node.number("epsilon", 1e-12))
    return Kernel((x,), lambda x: 1 / np.sqrt(x + epsilon), (x.shape,))


def _log(node: Node) -> Kernel:
    x, epsilon = node.value("x"), np.float32(node.number("epsilon", 1e-45))
    return Kernel((x,), lambda x: np.log(x + epsilon), (x.shape,))


def _inverse(node: Node) -> Kernel:
    x, epsilon = node.value("x"), np.float32(node.number("epsilon", 1e-4))
    return Kernel((x,), lambda x: 1 / (x + epsilon), (x.shape,))


def _softplus(x: Array) -> Any:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


BUILDERS: dict[str, Builder] = {
    "add": _binary(np.add),
    "sub": _binary(np.subtract),
    "mul": _binary(np.multiply),
    "real_div": _binary(_divide),
    "floor_div": _binary(np.floor_divide),
    "mod": _binary(np.mod),
    "pow": _binary(np.power),
    "maximum": _binary(np.maximum),
    "minimum": _binary(np.minimum),
    "equal": _binary(np.equal),
    "not_equal": _binary(np.not_equal),
    "less": _binary(np.less),
    "less_equal": _binary(np.less_equal),
    "greater": _binary(np.greater),
    "greater_equal": _binary(np.greater_equal),
    "logical_and": _binary(np.logical_and),
    "logical_or": _binary(np.logical_or),
    "logical_not": _unary(np.logical_not),
    "abs": _unary(np.abs),
    "exp": _unary(np.exp),
    "sqrt": _unary(np.sqrt),
    "square": _unary(np.square),
    "sigmoid": _unary(_sigmoid),
    "silu": _unary(_silu),
    "softplus": _unary(_softplus),
    "tanh": _unary(np.tanh),
    "relu": _unary(lambda x: np.maximum(x, 0)),
    "cos": _unary(np.cos),
    "sin": _unary(np.sin),
    "log": _log,
    "rsqrt": _rsqrt,
    "inverse": _inverse,
    "clip": _clip,
    "cast": _cast,
    "select": _select,
}
