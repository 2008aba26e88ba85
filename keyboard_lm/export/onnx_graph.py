"""OpenELM as an ONNX graph, built node by node from numpy weights.

The graph takes T new tokens at once behind a KV cache whose past and present are the same buffers. ONNX Runtime's
fused ``GroupQueryAttention`` does the rotation, the cache write and the softmax; an additive bias restricts it to a
tree. Its own QK-norm inputs exist on GPUs only, so those norms are nodes. Letters as in
`keyboard_lm.backends.onnx_format`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.backends import onnx_format as names
from keyboard_lm.errors import MissingExtraError
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tensor_names import FINAL_NORM, TABLE, layer_prefix
from keyboard_lm.quantize.blockwise import BlockQuantized

try:
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    raise MissingExtraError("onnx", "onnx") from None

OPSET = 23  # the first with RMSNormalization
IR_VERSION = 10
CONTRIB = "com.microsoft"

Matrix = NDArray[Any] | BlockQuantized


def build_graph(config: ModelConfig, weights: Mapping[str, Matrix], metadata: Mapping[str, str]) -> bytes:
    """Return the serialised graph of one network.

    Args:
        config: the network's shape.
        weights: by OpenELM's tensor names; matrices are `BlockQuantized` (computed with int8 activations) or plain
            arrays (fp16 ones are stored so; all of them are computed in fp32).
        metadata: strings that the runtime reads back.
    """
    return GraphBuilder(config, weights).build(metadata)


class GraphBuilder:
    """Collects nodes and initializers; every method adds what it names and returns the name of its output."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Matrix]) -> None:
        self._config = config
        self._weights = weights
        self._nodes: list[Any] = []
        self._initializers: dict[str, Any] = {}
        self._num_names = 0

    def build(self, metadata: Mapping[str, str]) -> bytes:
        config = self._config
        self._rotary_tables()
        residual = self._embedding()  # (1, T, C)
        added: str | None = None  # what the last block adds to the residual stream
        for layer in range(config.num_transformer_layers):
            prefix = layer_prefix(layer)
            normed, residual = self._norm(residual, added, f"{prefix}attn_norm.weight")
            mixed = self._attention(normed, layer, f"{prefix}attn")  # (1, T, H D)
            if layer == config.num_transformer_layers - 1:
                # From here on only the rows whose logits are wanted matter.
                mixed = self._add("Gather", [mixed, names.ROWS], axis=1)  # (1, R, H D)
                residual = self._add("Gather", [residual, names.ROWS], axis=1)  # (1, R, C)
            added = self._linear(mixed, f"{prefix}attn.out_proj.weight")
            normed, residual = self._norm(residual, added, f"{prefix}ffn_norm.weight")
            added = self._feed_forward(normed, layer, f"{prefix}ffn")
        normed, _ = self._norm(residual, added, FINAL_NORM)  # (1, R, C)
        self._head(normed)
        graph = helper.make_graph(
            self._nodes, "openelm", self._inputs(), self._outputs(), list(self._initializers.values())
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="keyboard-lm")
        helper.set_model_props(model, dict(metadata))
        content: bytes = model.SerializeToString(deterministic=True)
        return content

    def _inputs(self) -> list[Any]:
        tensors = [
            (names.TOKEN_IDS, TensorProto.INT64, (1, "T")),
            (names.POSITIONS, TensorProto.INT64, (1, "T")),
            (names.BIAS, TensorProto.FLOAT, (1, 1, "T", "L")),
            (names.LAST_SLOT, TensorProto.INT32, (1,)),
            (names.NUM_SLOTS, TensorProto.INT32, ()),
            (names.ROWS, TensorProto.INT64, ("R",)),
        ]
        return [helper.make_tensor_value_info(*tensor) for tensor in tensors] + self._caches(names.past_names)

    def _outputs(self) -> list[Any]:
        logits = (1, "R", self._config.vocab_size)
        return [
            helper.make_tensor_value_info(names.LOGITS, TensorProto.FLOAT, logits),
            *self._caches(names.present_names),
        ]

    def _caches(self, names_of: Any) -> list[Any]:
        config = self._config
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, heads, "S", config.head_dim))
            for layer, heads in enumerate(config.num_kv_heads)
            for name in names_of(layer)
        ]

    def _rotary_tables(self) -> None:
        config = self._config
        exponents = np.arange(0, config.head_dim, 2, dtype=np.float64) / config.head_dim
        # One more row than positions: the operator wants a row for every slot, and the runtime has a spare one.
        angles = np.arange(config.max_context_length + 1)[:, None] * config.rope_freq_constant**-exponents  # (S, D/2)
        self._constant("rotary.cos", np.cos(angles).astype(np.float32))
        self._constant("rotary.sin", np.sin(angles).astype(np.float32))

    def _embedding(self) -> str:
        name = TABLE
        table = self._weights[name]
        if not isinstance(table, BlockQuantized):
            return self._add("Gather", [self._fp32(name, table), names.TOKEN_IDS], axis=0)  # (1, T, C)
        # The head's own codes are read in three dimensions (V, blocks, block), so that the table is stored once.
        scales = self._constant(f"{name}.row_scales", table.scales[..., None])  # (V, blocks, 1)
        inputs = [self._codes(name, table), names.TOKEN_IDS, scales]
        layout = {"gather_axis": 0, "quantize_axis": 2, "block_size": table.block_size, "bits": table.bits}
        blocks = self._add("GatherBlockQuantized", inputs, CONTRIB, **layout)  # (1, T, blocks, block)
        rows = self._reshape(blocks, [1, -1, table.codes.shape[1] * table.block_size])  # (1, T, padded C)
        if table.num_columns % table.block_size == 0:
            return rows
        limits = {"embedding.start": 0, "embedding.end": table.num_columns, "embedding.axis": 2}
        return self._add("Slice", [rows, *(self._constant(key, np.array([at])) for key, at in limits.items())])

    def _norm(self, residual: str, added: str | None, weight: str) -> tuple[str, str]:
        # Returns the normed sum of the residual stream and what is added to it, then that sum.
        scale = self._constant(weight, np.asarray(self._weights[weight], np.float32))
        epsilon = self._config.rms_norm_eps
        if added is None:
            return self._add("RMSNormalization", [residual, scale], epsilon=epsilon, axis=-1), residual
        outputs = [self._fresh(), "", "", self._fresh()]
        node = helper.make_node(
            "SkipSimplifiedLayerNormalization", [residual, added, scale], outputs, domain=CONTRIB, epsilon=epsilon
        )
        self._nodes.append(node)
        return outputs[0], outputs[3]

    def _attention(self, x: str, layer: int, prefix: str) -> str:
        config = self._config
        heads, kv_heads = config.num_query_heads[layer], config.num_kv_heads[layer]
        widths = [n * config.head_dim for n in (heads, kv_heads, kv_heads)]
        q, k, v = self._split(self._linear(x, f"{prefix}.qkv_proj.weight"), widths)
        q = self._head_norm(q, heads, f"{prefix}.q_norm.weight")
        k = self._head_norm(k, kv_heads, f"{prefix}.k_norm.weight")
        q, k, rotation = self._rotated(q, heads), self._rotated(k, kv_heads), self._rotary_inputs()
        inputs = [q, k, v, *names.past_names(layer), names.LAST_SLOT, names.NUM_SLOTS, *rotation, names.BIAS]
        mixed = self._fresh()
        node = helper.make_node(
            "GroupQueryAttention", inputs, [mixed, *names.present_names(layer)],
            domain=CONTRIB, num_heads=heads, kv_num_heads=kv_heads, do_rotary=int(any(rotation)), rotary_interleaved=0,
        )  # fmt: skip
        self._nodes.append(node)
        return mixed

    def _rotated(self, x: str, heads: int) -> str:
        # Queries or keys (1, T, H D) on their way into the attention, which rotates them itself.
        return x

    def _rotary_inputs(self) -> tuple[str, str, str]:
        return "rotary.cos", "rotary.sin", names.POSITIONS

    def _head_norm(self, x: str, heads: int, weight: str) -> str:
        width = self._config.head_dim
        split = self._reshape(x, [1, -1, heads, width])  # (1, T, H, D)
        normed, _ = self._norm(split, None, weight)
        return self._reshape(normed, [1, -1, heads * width])  # (1, T, H D)

    def _feed_forward(self, x: str, layer: int, prefix: str) -> str:
        width = self._config.ffn_dims[layer]
        gate, up = self._split(self._linear(x, f"{prefix}.proj_1.weight"), [width, width])  # (1, T, F) each
        silu = self._add("QuickGelu", [gate], CONTRIB, alpha=1.0)
        return self._linear(self._add("Mul", [silu, up]), f"{prefix}.proj_2.weight")  # (1, T, C)

    def _head(self, x: str) -> None:
        name = TABLE
        table = self._weights[name]
        if isinstance(table, BlockQuantized):
            self._quantized_linear(x, name, table, names.LOGITS)  # (1, R, V)
            return
        flat = self._reshape(x, [-1, self._config.model_dim])  # (R, C)
        logits = self._add("Gemm", [flat, self._fp32(name, table)], transB=1)  # (R, V)
        self._reshape(logits, [1, -1, self._config.vocab_size], names.LOGITS)  # (1, R, V)

    def _linear(self, x: str, name: str) -> str:
        matrix = self._weights[name]
        if isinstance(matrix, BlockQuantized):
            return self._quantized_linear(x, name, matrix, self._fresh())
        return self._add("MatMul", [x, self._fp32(name, np.ascontiguousarray(matrix.T))])

    def _quantized_linear(self, x: str, name: str, matrix: BlockQuantized, output: str) -> str:
        scales = self._constant(f"{name}.scales", matrix.scales.reshape(-1))
        # accuracy_level 4: int8 activations, half the time of fp32 ones on AVX512-VNNI.
        node = helper.make_node(
            "MatMulNBits", [x, self._codes(name, matrix), scales], [output],
            domain=CONTRIB, K=matrix.num_columns, N=len(matrix.codes), bits=matrix.bits,
            block_size=matrix.block_size, accuracy_level=4,
        )  # fmt: skip
        self._nodes.append(node)
        return output

    def _codes(self, name: str, matrix: BlockQuantized) -> str:
        return self._constant(name, matrix.packed) if name not in self._initializers else name

    def _fp32(self, name: str, values: NDArray[Any]) -> str:
        if name in self._initializers:
            return name if values.dtype != np.float16 else f"{name}.fp32"
        if values.dtype != np.float16:
            return self._constant(name, values.astype(np.float32, copy=False))
        self._nodes.append(
            helper.make_node("Cast", [self._constant(name, values)], [f"{name}.fp32"], to=TensorProto.FLOAT)
        )
        return f"{name}.fp32"

    def _split(self, x: str, widths: Sequence[int]) -> list[str]:
        outputs = [self._fresh() for _ in widths]
        sizes = self._constant(f"{x}.widths", np.array(widths))
        self._nodes.append(helper.make_node("Split", [x, sizes], outputs, axis=-1))
        return outputs

    def _reshape(self, x: str, shape: Sequence[int], output: str | None = None) -> str:
        target = self._constant("shape." + "x".join(map(str, shape)), np.array(shape))
        output = output or self._fresh()
        self._nodes.append(helper.make_node("Reshape", [x, target], [output]))
        return output

    def _add(self, operator: str, inputs: Sequence[str], domain: str = "", **attributes: Any) -> str:
        output = self._fresh()
        self._nodes.append(helper.make_node(operator, list(inputs), [output], domain=domain, **attributes))
        return output

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        if name not in self._initializers:
            self._initializers[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def _fresh(self) -> str:
        self._num_names += 1
        return f"x{self._num_names}"
