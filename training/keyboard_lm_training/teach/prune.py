"""A small OpenELM cut out of a large Llama, as the origin of a training run.

Depth: the layers that turn the residual stream most stay (block influence, 1 - cosine of what goes in and what comes
out; Men et al. 2024, "ShortGPT"). Width of the feed-forward layers and number of heads: those neurons and groups of
heads stay whose output is largest, mean |activation| times the norm of its column (Muralidharan et al. 2024,
"Minitron"). What OpenELM has and Llama has not, the norm of queries and keys, gets the mean root mean square that they
have in the Llama as its weight. A piece's row of the table is the mean of the rows of the native tokens that spell it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from keyboard_lm.errors import TrainingError
from keyboard_lm.network.checkpoint import Checkpoint, save_checkpoint
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tensor_names import FINAL_NORM, TABLE, layer_prefix
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.form import META_SPACE, is_word_part
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.teach.llama import Llama
from keyboard_lm_training.teach.llama_files import ForeignModel
from keyboard_lm_training.teach.native_text import NativeText
from keyboard_lm_training.teach.native_tuning import padded

_WINDOWS_AT_ONCE = 8
_MEASURED_WINDOWS = 64


@dataclass(frozen=True)
class Importance:
    """What a network's parts do on some text, by layer.

    Attributes:
        influence: (L,) how much each layer turns the stream.
        neurons: of each layer, (F,).
        groups: of each layer, of each key-value head with its query heads, (G,).
        query_rms: of each layer, root mean square of the queries.
        key_rms: of the keys.
    """

    influence: NDArray[np.float64]
    neurons: list[NDArray[np.float64]]
    groups: list[NDArray[np.float64]]
    query_rms: NDArray[np.float64]
    key_rms: NDArray[np.float64]


def check_shape(network: Llama, config: ModelConfig) -> None:
    """Refuse a shape that cannot be cut out of a network.

    Raises:
        TrainingError: it cannot, with every reason.
    """
    large = network.config
    reasons = []
    if config.model_dim != large.width:
        reasons.append(f"model_dim must be {large.width}")
    if config.head_dim != large.head_dim:
        reasons.append(f"head_dim must be {large.head_dim}")
    if config.num_gqa_groups != large.num_query_heads // large.num_kv_heads:
        reasons.append(f"num_gqa_groups must be {large.num_query_heads // large.num_kv_heads}")
    if config.rope_freq_constant != large.rope_base:
        reasons.append(f"rope_freq_constant must be {large.rope_base}")
    if config.num_transformer_layers > large.num_layers:
        reasons.append(f"it has {large.num_layers} layers")
    if max(config.num_kv_heads) > large.num_kv_heads:
        reasons.append(f"it has {large.num_kv_heads} key-value heads")
    if max(config.ffn_dims) > large.ffn_dim:
        reasons.append(f"its feed-forward layers are {large.ffn_dim} wide")
    if reasons:
        raise TrainingError("this shape cannot be cut out of that network: " + "; ".join(reasons))


@torch.no_grad()
def measure_importance(network: Llama, text: NativeText, windows: NDArray[np.int64]) -> Importance:
    """Look at a network while it reads windows of our pieces."""
    watch = _Watch(network)
    try:
        for first in range(0, len(windows), _WINDOWS_AT_ONCE):
            ids = padded(text.translate(windows[first : first + _WINDOWS_AT_ONCE]))  # (B, T)
            watch.known = ids >= 0
            network.hidden(ids.clamp(min=0))
    finally:
        watch.stop()
    return watch.importance()


class _Watch:
    """Hooks that sum up what goes through a network."""

    def __init__(self, network: Llama) -> None:
        self.known = torch.empty(0, dtype=torch.bool)  # (B, T): which places are text
        layers = network.layers
        self._network = network
        self._turns = [0.0] * len(layers)
        self._neurons = [torch.zeros(network.config.ffn_dim) for _ in layers]
        self._heads = [torch.zeros(network.config.num_query_heads * network.config.head_dim) for _ in layers]
        self._squares = [[0.0, 0.0] for _ in layers]
        self._count = 0
        self._hooks = []
        for number, layer in enumerate(layers):
            self._hooks += [
                layer.register_forward_hook(lambda _, a, out, n=number: self._turned(n, a[0], out)),
                layer.mlp.down_proj.register_forward_pre_hook(lambda _, a, t=self._neurons[number]: self._sum(t, a[0])),
                layer.self_attn.o_proj.register_forward_pre_hook(
                    lambda _, a, t=self._heads[number]: self._sum(t, a[0])
                ),
                layer.self_attn.q_proj.register_forward_hook(lambda _, a, out, n=number: self._square(n, 0, out)),
                layer.self_attn.k_proj.register_forward_hook(lambda _, a, out, n=number: self._square(n, 1, out)),
            ]

    def stop(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def _turned(self, number: int, before: Tensor, after: Tensor) -> None:
        cosine = nn.functional.cosine_similarity(before[self.known].float(), after[self.known].float(), dim=-1)
        self._turns[number] += float((1 - cosine).sum())
        self._count += int(self.known.sum()) if number == 0 else 0

    def _sum(self, total: Tensor, x: Tensor) -> None:
        total += x[self.known].float().abs().sum(0)

    def _square(self, number: int, which: int, x: Tensor) -> None:
        # RMS does not change with the rotation.
        rows = x[self.known].float()  # (n, H D)
        heads = rows.view(len(rows), -1, self._network.config.head_dim)  # (n, H, D)
        self._squares[number][which] += float(heads.square().mean(-1).sqrt().mean(-1).sum())

    def importance(self) -> Importance:
        config, count = self._network.config, max(self._count, 1)
        layers = self._network.layers
        neurons, groups = [], []
        for number, layer in enumerate(layers):
            neurons.append(_strength(self._neurons[number], layer.mlp.down_proj.weight))
            heads = _strength(self._heads[number], layer.self_attn.o_proj.weight)
            groups.append(heads.reshape(config.num_kv_heads, -1).sum(1))
        rms = np.array(self._squares) / count  # (L, 2)
        return Importance(np.array(self._turns) / count, neurons, groups, rms[:, 0], rms[:, 1])


def _strength(activation: Tensor, weight: Tensor) -> NDArray[np.float64]:
    # Of each input of a matrix (N, K): how much of the output it makes, up to a factor.
    strength: NDArray[np.float64] = (activation * weight.float().norm(dim=0)).double().numpy()
    return strength


@torch.no_grad()
def prune(
    model: ForeignModel, importance: Importance, config: ModelConfig, tokenizer: Tokenizer
) -> dict[str, NDArray[np.float16]]:
    """Return the weights of an OpenELM by name.

    Args:
        model: what it is cut out of.
        importance: of its parts.
        config: the shape that is wanted.
        tokenizer: of the pieces.

    Raises:
        TrainingError: see `check_shape`.
    """
    network = model.network
    check_shape(network, config)
    kept = np.sort(np.argsort(-importance.influence, kind="stable")[: config.num_transformer_layers])
    weights: dict[str, Tensor] = {
        TABLE: _table(model, tokenizer),
        FINAL_NORM: network.model.norm.weight,
    }
    for new, old in enumerate(kept.tolist()):
        layer = network.layers[old]
        neurons = _largest(importance.neurons[old], config.ffn_dims[new])
        groups = _largest(importance.groups[old], config.num_kv_heads[new])
        attention, feed = layer.self_attn, layer.mlp
        queries = _rows_of(groups, config.num_gqa_groups * config.head_dim)
        keys = _rows_of(groups, config.head_dim)
        q, k, v = attention.q_proj.weight[queries], attention.k_proj.weight[keys], attention.v_proj.weight[keys]
        ones = torch.ones(config.head_dim)
        prefix = layer_prefix(new)
        weights |= {
            f"{prefix}attn_norm.weight": layer.input_layernorm.weight,
            f"{prefix}attn.qkv_proj.weight": torch.cat((q, k, v)),
            f"{prefix}attn.q_norm.weight": ones * float(importance.query_rms[old]),
            f"{prefix}attn.k_norm.weight": ones * float(importance.key_rms[old]),
            f"{prefix}attn.out_proj.weight": attention.o_proj.weight[:, queries],
            f"{prefix}ffn_norm.weight": layer.post_attention_layernorm.weight,
            f"{prefix}ffn.proj_1.weight": torch.cat((feed.gate_proj.weight[neurons], feed.up_proj.weight[neurons])),
            f"{prefix}ffn.proj_2.weight": feed.down_proj.weight[:, neurons],
        }
    return {name: value.float().numpy().astype(np.float16) for name, value in weights.items()}


def _largest(values: NDArray[np.float64], count: int) -> Tensor:
    return torch.from_numpy(np.sort(np.argsort(-values, kind="stable")[:count]))


def _rows_of(groups: Tensor, width: int) -> Tensor:
    return (groups[:, None] * width + torch.arange(width)).flatten()


def _table(model: ForeignModel, tokenizer: Tokenizer) -> Tensor:
    rows = model.network.table.float()  # (N, C)
    texts = [_plain(piece, i, tokenizer) for i, piece in enumerate(tokenizer.pieces)]
    encoded = [encoding.ids for encoding in model.tokenizer.encode_batch(texts, add_special_tokens=False)]
    mean = rows.mean(0)
    table = torch.stack([rows[ids].mean(0) if ids else mean for ids in encoded])
    table[tokenizer.bos_id] = rows[model.bos_id]
    return table  # (V, C)


def _plain(piece: str, piece_id: int, tokenizer: Tokenizer) -> str:
    # The piece as plain text has it inside a sentence; nothing where it has no text of its own.
    if piece_id == tokenizer.eos_id:
        return "\n"
    if piece_id in tokenizer.control_ids or piece_id in tokenizer.byte_ids:
        return ""
    text = piece.replace(META_SPACE, "")
    return f" {text}" if text and is_word_part(text) else text


def write_pruned(model: ForeignModel, config: ModelConfig, data: TrainingData, folder: Path) -> Checkpoint:
    """Cut a shape out of a foreign model, and write it as a checkpoint for a run to start from.

    Args:
        model: what it is cut out of.
        config: the shape.
        data: the corpus on whose first windows importance is measured, and whose pieces the checkpoint speaks.
        folder: to be made.

    Raises:
        TrainingError: see `check_shape`.
    """
    check_shape(model.network, config)
    text = NativeText(data.tokenizer, model.tokenizer, model.bos_id)
    importance = measure_importance(model.network, text, data.sampler.batch(0, _MEASURED_WINDOWS))
    weights = prune(model, importance, config, data.tokenizer)
    record = {"pruned_from": model.origin, "influence": [round(float(value), 5) for value in importance.influence]}
    return save_checkpoint(folder, config, data.tokenizer, weights, record)
