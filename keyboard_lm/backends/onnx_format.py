"""The names that the exported graph and the runtime agree on."""

from __future__ import annotations

from keyboard_lm.network.checkpoint import ONNX_INT4_FILE

GRAPH_FORMAT = 1

# Inputs. T new tokens, S slots of the cache, L = length + T of them in use, R rows whose logits are wanted.
TOKEN_IDS = "token_ids"  # (1, T), int64
POSITIONS = "positions"  # (1, T), int64
BIAS = "attention_bias"  # (1, 1, T, L), fp32: added to the attention scores, which are causal in slot order anyway
LAST_SLOT = "last_slot"  # (1,), int32: L - 1
NUM_SLOTS = "num_slots"  # scalar, int32: L
ROWS = "rows"  # (R,), int64: indices into the T new tokens

LOGITS = "logits"  # (1, R, V), fp32

# Metadata.
META_FORMAT = "graph_format"
META_CHECKPOINT = "checkpoint_digest"
META_TOKENIZER = "tokenizer_digest"
META_BITS = "bits"
META_BLOCK_SIZE = "block_size"

HEAD_MULTIPLE = 16  # of head_dim: GroupQueryAttention with a rotation takes no other (ONNX Runtime 1.32, CPU)

BITS = (4, 8, 16, 32)  # 16 and 32 compute in fp32: they are oracles


def past_names(layer: int) -> tuple[str, str]:
    """Return the inputs that hold a layer's cached keys and values, each (1, G, S, D)."""
    return f"past_key.{layer}", f"past_value.{layer}"


def present_names(layer: int) -> tuple[str, str]:
    """Return the outputs that hold them with the new tokens added; the same buffers as the inputs."""
    return f"present_key.{layer}", f"present_value.{layer}"


def graph_file(bits: int) -> str:
    """Return the name of the graph with weights of `bits` in a checkpoint folder."""
    return {4: ONNX_INT4_FILE, 8: "model.int8.onnx", 16: "model.fp16.onnx", 32: "model.fp32.onnx"}[bits]
