"""Operations over an axis: sums, norms, softmax, the largest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keyboard_lm_coreml.execute.ops.kernel import Array, Builder, Kernel, Node, Shape
from keyboard_lm_coreml.package.protobuf import MalformedError


def softmax(x: Array, axis: int) -> Array:
    """Return exp(x) over its sum along `axis`."""
    weights: Array = np.exp(x - x.max(axis, keepdims=True))
    weights /= weights.sum(axis, keepdims=True)
    return weights


def _softmax(node: Node) -> Kernel:
    x = node.value("x")
    axis = node.axis("axis", len(x.shape), -1)
    if 0 in x.shape:
        raise MalformedError("a softmax over nothing")
    return Kernel((x,), lambda x: softmax(x, axis), (x.shape,))


def _layer_norm(node: Node) -> Kernel:
    x = node.value("x")
    rank = len(x.shape)
    axes = node.axes("axes", rank, tuple(range(rank)))
    epsilon = np.float32(node.number("epsilon", 1e-5))
    over = tuple(x.shape[axis] for axis in axes)
    parameters: list[Array | None] = []
    for name in ("gamma", "beta"):
        if not node.has(name):
            parameters.append(None)
            continue
        array = node.value(name).array()
        if array.shape != over or axes != tuple(sorted(axes)):
            raise MalformedError(f"its {name} has shape {array.shape}, but the norm is over {over}")
        parameters.append(array.reshape([size if axis in axes else 1 for axis, size in enumerate(x.shape)]))
    gamma, beta = parameters

    def call(x: Array) -> Array:
        centred = x - x.mean(axes, keepdims=True)
        y = centred / np.sqrt(np.square(centred).mean(axes, keepdims=True) + epsilon)
        if gamma is not None:
            y = y * gamma
        result: Array = y if beta is None else y + beta
        return result

    return Kernel((x,), call, (x.shape,))


def _log_sum_exp(x: Array, axes: Shape, keepdims: bool) -> Any:
    top = x.max(axes, keepdims=True)
    found = np.log(np.exp(x - top).sum(axes, keepdims=True)) + top
    return found if keepdims else found.squeeze(axes)


def _reduce(function: Callable[[Array, Shape, bool], Any], is_exact: bool = False) -> Builder:
    def build(node: Node) -> Kernel:
        x = node.value("x")
        rank = len(x.shape)
        axes = node.axes("axes", rank, tuple(range(rank)))
        keep = node.flag("keep_dims")
        if any(x.shape[axis] == 0 for axis in axes):
            raise MalformedError("a reduction over nothing")
        shape = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape) if keep or axis not in axes)
        return Kernel((x,), lambda x: function(x, axes, keep), (shape,), is_exact)

    return build


def _topk(node: Node) -> Kernel:
    x = node.value("x")
    axis = node.axis("axis", len(x.shape), -1)
    count, ascending = node.integer("k", 1), node.flag("ascending")
    if not 1 <= count <= x.shape[axis]:
        raise MalformedError(f"the largest {count} of {x.shape[axis]}")
    shape = tuple(count if i == axis else size for i, size in enumerate(x.shape))

    def call(x: Array) -> tuple[Array, Array]:
        order = np.argsort(x if ascending else -x, axis, kind="stable")
        first = order.take(range(count), axis)
        return np.take_along_axis(x, first, axis), first.astype(np.int32)

    outputs = len(node.operation.outputs)
    if outputs == 1 and not node.flag("return_indices", True):
        return Kernel((x,), lambda x: call(x)[0], (shape,), is_exact=True)
    return Kernel((x,), call, (shape, shape), is_exact=True)


def _argmax(node: Node) -> Kernel:
    x = node.value("x")
    axis, keep = node.axis("axis", len(x.shape), -1), node.flag("keep_dims", True)
    if x.shape[axis] == 0:
        raise MalformedError("the largest of nothing")
    shape = tuple(1 if i == axis else size for i, size in enumerate(x.shape) if keep or i != axis)
    return Kernel((x,), lambda x: x.argmax(axis, keepdims=keep).astype(np.int32), (shape,), is_exact=True)


BUILDERS: dict[str, Builder] = {
    "softmax": _softmax,
    "layer_norm": _layer_norm,
    "reduce_sum": _reduce(lambda x, axes, keep: x.sum(axes, x.dtype, keepdims=keep)),
    "reduce_mean": _reduce(lambda x, axes, keep: x.mean(axes, keepdims=keep)),
    "reduce_max": _reduce(lambda x, axes, keep: x.max(axes, keepdims=keep), is_exact=True),
    "reduce_min": _reduce(lambda x, axes, keep: x.min(axes, keepdims=keep), is_exact=True),
    "reduce_sum_square": _reduce(lambda x, axes, keep: np.square(x).sum(axes, keepdims=keep)),
    "reduce_l2_norm": _reduce(lambda x, axes, keep: np.sqrt(np.square(x).sum(axes, keepdims=keep))),
    "reduce_log_sum_exp": _reduce(_log_sum_exp),
    "topk": _topk,
    "reduce_argmax": _argmax,
}
