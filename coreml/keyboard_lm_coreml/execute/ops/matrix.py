"""Operations that multiply matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from keyboard_lm_coreml.execute.ops.kernel import MAX_LIVE_BYTES, Array, Builder, Kernel, Node, broadcast, size_of
from keyboard_lm_coreml.execute.ops.reduction import softmax
from keyboard_lm_coreml.package.protobuf import MalformedError


def _conv(node: Node) -> Kernel:
    """Compile a convolution of width 1, which is a matrix product over the channels."""
    x, weight = node.value("x"), node.value("weight")
    if len(x.shape) < 3 or len(weight.shape) != len(x.shape) or any(size != 1 for size in weight.shape[2:]):
        raise MalformedError(f"a convolution with weights of shape {weight.shape} cannot be run, only widths of 1")
    spatial = (1,) * (len(x.shape) - 2)
    plain = node.ints("strides", spatial) == spatial and not any(node.ints("pad", (0,)))
    if not plain or node.integer("groups", 1) != 1:
        raise MalformedError("a convolution with strides, padding or groups cannot be run")
    batch, channels, *rest = x.shape
    outputs = weight.shape[0]
    if weight.shape[1] != channels:
        raise MalformedError(f"weights of shape {weight.shape} do not fit {channels} channels")
    shape = (batch, outputs, *rest)
    columns = int(np.prod(rest, dtype=np.int64))
    bias = node.value("bias").array().reshape(-1) if node.has("bias") else None
    if bias is not None and bias.shape != (outputs,):
        raise MalformedError(f"a bias of shape {bias.shape} for {outputs} channels")
    if bias is not None and not bias.any():
        bias = None
    if not weight.is_constant:

        def computed(w: Array, x: Array) -> Array:
            y = w.reshape(outputs, channels) @ x.reshape(batch, channels, columns)  # (B, O, T)
            return (y if bias is None else y + bias[:, None]).reshape(shape)

        return Kernel((weight, x), computed, (shape,))
    matrix = weight.array().reshape(outputs, channels)  # (O, C)

    def one(x: Array) -> Array:
        y = matrix @ x.reshape(channels)  # (O,)
        return (y if bias is None else y + bias).reshape(shape)

    def many(x: Array) -> Array:
        y = matrix @ x.reshape(batch, channels, columns)  # (B, O, T)
        return (y if bias is None else y + bias[:, None]).reshape(shape)

    return Kernel((x,), one if batch == columns == 1 else many, (shape,))


def _linear(node: Node) -> Kernel:
    x, weight = node.value("x"), node.value("weight")
    if len(weight.shape) != 2 or not x.shape or x.shape[-1] != weight.shape[1]:
        raise MalformedError(f"weights of shape {weight.shape} do not fit inputs of shape {x.shape}")
    shape = (*x.shape[:-1], weight.shape[0])
    matrix = weight.array()  # (O, C)
    bias = node.value("bias").array() if node.has("bias") else None
    if bias is not None and bias.shape != (weight.shape[0],):
        raise MalformedError(f"a bias of shape {bias.shape} for {weight.shape[0]} outputs")
    if bias is not None and not bias.any():
        bias = None
    channels = weight.shape[1]

    def call(x: Array) -> Array:
        rows = x.reshape(-1, channels)  # (T, C)
        y = (matrix @ rows[0])[None] if len(rows) == 1 else (matrix @ rows.T).T  # (T, O); as rows of O it is slower
        return (y if bias is None else y + bias).reshape(shape)

    return Kernel((x,), call, (shape,))


def _product_shape(x: tuple[int, ...], y: tuple[int, ...]) -> tuple[int, ...]:
    if len(x) < 2 or len(y) < 2 or x[-1] != y[-2]:
        raise MalformedError(f"matrices of shapes {x} and {y} cannot be multiplied")
    return (*broadcast(x[:-2], y[:-2]), x[-2], y[-1])


def _swapped(shape: tuple[int, ...], is_swapped: bool) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1], shape[-2]) if is_swapped and len(shape) > 1 else shape


def _matmul(node: Node) -> Kernel:
    x, y = node.value("x"), node.value("y")
    swap_x, swap_y = node.flag("transpose_x"), node.flag("transpose_y")
    shape = _product_shape(_swapped(x.shape, swap_x), _swapped(y.shape, swap_y))

    def call(x: Array, y: Array) -> Any:
        return np.matmul(x.swapaxes(-1, -2) if swap_x else x, y.swapaxes(-1, -2) if swap_y else y)

    return Kernel((x, y), call, (shape,))


def _attention(node: Node) -> Kernel:
    """Compile scaled_dot_product_attention: queries (..., T, D), keys (..., S, D), values (..., S, E)."""
    query, key, value = node.value("query"), node.value("key"), node.value("value")
    transposed = _swapped(key.shape, True)
    scores = _product_shape(query.shape, transposed)  # (..., T, S)
    if 4 * size_of(scores) > MAX_LIVE_BYTES:
        raise MalformedError(f"scores of shape {scores} take more than {MAX_LIVE_BYTES >> 20} MB")
    shape = _product_shape(scores, value.shape)  # (..., T, E)
    scale = np.float32(query.shape[-1] ** -0.5)
    arguments = (query, key, value)
    if not node.has("attn_mask"):
        return Kernel(arguments, lambda q, k, v: softmax((q * scale) @ k.swapaxes(-1, -2), -1) @ v, (shape,))
    mask = node.value("attn_mask")
    broadcast(scores, mask.shape)
    is_bool = not mask.is_float

    def call(q: Array, k: Array, v: Array, m: Array) -> Any:
        found = (q * scale) @ k.swapaxes(-1, -2)  # (..., T, S)
        found = np.where(m, found, np.float32(-np.inf)) if is_bool else found + m
        return softmax(found, -1) @ v

    return Kernel((*arguments, mask), call, (shape,))


BUILDERS: dict[str, Builder] = {
    "conv": _conv,
    "linear": _linear,
    "matmul": _matmul,
    "scaled_dot_product_attention": _attention,
}
