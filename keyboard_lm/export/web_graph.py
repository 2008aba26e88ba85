"""The network as the graph that onnxruntime-web runs fast: int4 weights that are unfolded once, when it is opened.

WebAssembly has no fast kernel for ``MatMulNBits``: it unpacks a matrix at every call. Here the same codes and scales go
through ``DequantizeLinear``, which the runtime folds into fp32 constants at load as long as its handling of quantized
graphs is switched off (session option ``disable_quant_qdq``). The file stays as small.

For the WebGPU provider the norms are ``SimplifiedLayerNormalization``, since it has no ``RMSNormalization``, and
queries and keys are rotated before the attention: its ``GroupQueryAttention`` takes no notice of the positions it is
given (`findings/webgpu_gqa_positions.sh`), so that a tree's branches would stand one behind another.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import TensorProto, helper

from keyboard_lm.backends import onnx_format as names
from keyboard_lm.export.onnx_graph import CONTRIB, GraphBuilder, Matrix
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tensor_names import TABLE
from keyboard_lm.quantize.blockwise import BlockQuantized

FOLDING_OPTION = "session.disable_quant_qdq"  # "1" folds; the page sets the same


def build_web_graph(config: ModelConfig, weights: Mapping[str, Matrix], metadata: Mapping[str, str]) -> bytes:
    """Return the serialised graph of one network for onnxruntime-web.

    Args:
        config: the network's shape.
        weights: by OpenELM's tensor names; every matrix a `BlockQuantized` of 4 bits.
        metadata: strings that are kept in the file.
    """
    return _WebGraphBuilder(config, weights).build(metadata)


class _WebGraphBuilder(GraphBuilder):
    def _embedding(self) -> str:
        table = self._unfolded(TABLE)  # (V, C)
        return self._add("Gather", [table, names.TOKEN_IDS], axis=0)  # (1, T, C)

    def _rotated(self, x: str, heads: int) -> str:
        inputs = [x, names.POSITIONS, "rotary.cos", "rotary.sin"]
        return self._add("RotaryEmbedding", inputs, CONTRIB, num_heads=heads, interleaved=0)

    def _rotary_inputs(self) -> tuple[str, str, str]:
        return "", "", ""

    def _norm(self, residual: str, added: str | None, weight: str) -> tuple[str, str]:
        if added is not None:
            return super()._norm(residual, added, weight)
        scale = self._constant(weight, np.asarray(self._weights[weight], np.float32))
        epsilon = self._config.rms_norm_eps
        normed = self._add("SimplifiedLayerNormalization", [residual, scale], epsilon=epsilon, axis=-1, stash_type=1)
        return normed, residual

    def _head(self, x: str) -> None:
        flat = self._reshape(x, [-1, self._config.model_dim])  # (R, C)
        table = self._unfolded(TABLE)  # (V, C)
        logits = self._add("Gemm", [flat, table], transB=1)  # (R, V)
        self._reshape(logits, [1, -1, self._config.vocab_size], names.LOGITS)  # (1, R, V)

    def _linear(self, x: str, name: str) -> str:
        return self._add("MatMul", [x, self._add("Transpose", [self._unfolded(name)], perm=[1, 0])])

    def _unfolded(self, name: str) -> str:
        # The matrix (N, K) as the name of an fp32 tensor; the table that is also the head is unfolded once.
        output = f"{name}.fp32"
        if name in self._initializers:
            return output
        matrix = self._weights[name]
        if not isinstance(matrix, BlockQuantized) or matrix.bits != 4:
            raise ValueError(f"{name}: the web graph takes blocks of 4 bits")
        levels = matrix.codes.reshape(len(matrix.codes), -1)[:, : matrix.num_columns] ^ 8  # (N, K), two's complement
        flat = levels.reshape(-1)
        flat = np.append(flat, np.zeros(flat.size % 2, np.uint8)) & 15
        packed = (flat[0::2] | flat[1::2] << 4).astype(np.uint8).tobytes()
        self._initializers[name] = helper.make_tensor(name, TensorProto.INT4, levels.shape, packed, raw=True)
        scales = self._constant(f"{name}.scales", matrix.scales)  # (N, blocks)
        node = helper.make_node(
            "DequantizeLinear", [name, scales], [output], axis=1, block_size=matrix.block_size
        )  # fmt: skip
        self._nodes.append(node)
        return output
