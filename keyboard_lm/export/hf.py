"""Folders in the layout of Apple's OpenELM checkpoints on Hugging Face, read and written.

    config.json                          OpenELM's fields; widths per layer
    model.safetensors                    or shards that `model.safetensors.index.json` lists
    tokenizer.model                      Llama 2's, which its user has to get (the published folders have none)

Source: the ``config.json`` files and tensor names of apple/OpenELM-270M to -3B and their instruct variants.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.errors import CheckpointError, ConfigError, MissingExtraError
from keyboard_lm.export.hf_tokenizer import TOKENIZER_JSON, write_tokenizer
from keyboard_lm.files import replaced_folder
from keyboard_lm.network.checkpoint import Checkpoint, Weights, save_checkpoint, weight_shapes
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tokenizer import TOKENIZER_FILE, Tokenizer

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
WHERE_FROM = "OpenELM uses Llama 2's: get tokenizer.model from huggingface.co/meta-llama/Llama-2-7b-hf (its licence)"
# What the published files say beside the shape, and what it must be for our network to be theirs.
_FIXED = {
    "model_type": "openelm", "activation_fn_name": "swish", "normalization_layer_name": "rms_norm",
    "ffn_with_glu": True,
}  # fmt: skip
_FIELDS = (
    "num_transformer_layers", "model_dim", "head_dim", "vocab_size", "max_context_length", "num_gqa_groups",
    "qkv_multipliers", "ffn_dim_divisor", "rope_freq_constant", "normalize_qk_projections",
    "share_input_output_layers", "rms_norm_eps", "num_query_heads", "num_kv_heads",
)  # fmt: skip
_DTYPES = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}  # numpy has no bfloat16: read as its bits


def import_folder(folder: Path, output: Path, tokenizer: Path | None = None) -> Checkpoint:
    """Turn a folder in Hugging Face's layout into a checkpoint; nothing is left of it when something does not fit.

    Weights keep their precision, bfloat16 becomes fp32.

    Args:
        folder: the model.
        output: the checkpoint folder to write.
        tokenizer: the SentencePiece model; by default ``tokenizer.model`` in the folder.

    Raises:
        CheckpointError: a file is missing or damaged, or a tensor has not the shape that the configuration asks for.
        ConfigError: the configuration is not of a network that this project runs.
        MissingExtraError: safetensors is not installed.
    """
    config = read_config(folder / CONFIG_FILE)
    path = tokenizer or folder / TOKENIZER_FILE
    if not path.is_file():
        if (folder / TOKENIZER_JSON).is_file():
            raise CheckpointError(
                f"{path}: no such file. {TOKENIZER_JSON}, all that mlx-lm leaves when it saves a folder again, is not "
                "enough; name the tokenizer.model of the folder it was made from with --tokenizer"
            )
        raise CheckpointError(f"{path}: no such file. {WHERE_FROM}; put it there, or name it with --tokenizer")
    pieces = Tokenizer(path.read_bytes())
    if pieces.vocab_size != config.vocab_size:
        raise CheckpointError(
            f"{path}: has {pieces.vocab_size} pieces, and the network {config.vocab_size}. {WHERE_FROM}"
        )
    weights = read_weights(folder, config)
    record = {"imported_from": folder.resolve().name, "layout": "openelm (Hugging Face)"}
    return save_checkpoint(output, config, pieces, weights, record)


def read_config(path: Path) -> ModelConfig:
    """Read OpenELM's ``config.json``.

    Raises:
        CheckpointError: it is missing or no JSON object.
        ConfigError: it describes another kind of network, or its widths do not follow OpenELM's scaling rule.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); give a folder in Hugging Face's layout") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: not a JSON object; give a folder in Hugging Face's layout")
    for name, wanted in _FIXED.items():
        if values.get(name, wanted) != wanted:
            raise ConfigError(f"{path}: {name} is {values[name]!r}; only {wanted!r} can be imported (OpenELM's)")
    fields = {name: values[name] for name in _FIELDS if name in values}
    multipliers = values.get("ffn_multipliers")
    if not isinstance(multipliers, list) or not multipliers:
        raise ConfigError(f"{path}: ffn_multipliers must be a list of numbers, not {multipliers!r}")
    fields["ffn_multipliers"] = (multipliers[0], multipliers[-1])
    if isinstance(fields.get("qkv_multipliers"), list):
        fields["qkv_multipliers"] = (fields["qkv_multipliers"][0], fields["qkv_multipliers"][-1])
    config = ModelConfig.from_dict(fields, str(path))
    if len(multipliers) > 2 and tuple(multipliers) != config.layer_ffn_multipliers:
        raise ConfigError(f"{path}: ffn_multipliers are {multipliers}, not evenly spaced as in OpenELM")
    return config


def read_weights(folder: Path, config: ModelConfig) -> Weights:
    """Return all tensors of a folder, as fp16 or fp32, each of the shape that the configuration asks for.

    Raises:
        CheckpointError: a file or tensor is missing, damaged, unknown, or of another shape.
        MissingExtraError: safetensors is not installed.
    """
    wanted = weight_shapes(config)
    weights: Weights = {}
    for file in _weight_files(folder):
        for name, values in _tensors(file):
            if name == "lm_head.weight":
                continue  # a copy of the tied table that some tools write
            if name.endswith((".scales", ".biases")):
                raise CheckpointError(
                    f"{file}: the weights are quantized (MLX); import the folder that they were made from, since "
                    "dequantizing them and storing them in few bits again moves them twice"
                )
            if name not in wanted:
                raise CheckpointError(f"{file}: unknown tensor {name}; only OpenELM's can be imported")
            if values.shape != wanted[name]:
                raise CheckpointError(
                    f"{file}: {name} is {values.shape}, but {folder / CONFIG_FILE} asks for {wanted[name]}"
                )
            weights[name] = values
    missing = sorted(wanted.keys() - weights.keys())
    if missing:
        raise CheckpointError(f"{folder}: {len(missing)} tensors are missing, the first {missing[0]}; get it again")
    return weights


def _weight_files(folder: Path) -> list[Path]:
    index = folder / INDEX_FILE
    if not index.is_file():
        if not (folder / WEIGHTS_FILE).is_file():
            raise CheckpointError(f"{folder}: has neither {WEIGHTS_FILE} nor {INDEX_FILE}; get it again")
        return [folder / WEIGHTS_FILE]
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index}: cannot be read ({error}); get it again") from None
    files = [folder / Path(name).name for name in names]
    for file in files:
        if not file.is_file():
            raise CheckpointError(f"{file}: listed in {INDEX_FILE} but missing; get it again")
    return files


def _tensors(file: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    try:
        import safetensors
    except ImportError:
        raise MissingExtraError("safetensors", "train") from None
    try:
        read: Any = safetensors.deserialize  # untyped
        found = read(file.read_bytes())
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{file}: cannot be read ({error}); get it again") from None
    while found:
        name, tensor = found.pop()
        if tensor["dtype"] not in _DTYPES:
            raise CheckpointError(f"{file}: {name} is {tensor['dtype']}; only F32, F16 and BF16 can be imported")
        values = np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]]).reshape(tensor["shape"])
        if tensor["dtype"] == "BF16":  # the upper half of an fp32
            values = (values.astype(np.uint32) << 16).view(np.float32)
        yield name, values


def hf_config(config: ModelConfig) -> dict[str, Any]:
    """Return ``config.json`` as OpenELM's published folders have it, widths per layer included."""
    return {
        "architectures": ["OpenELMForCausalLM"],
        "activation_fn_name": "swish",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "ffn_dim_divisor": config.ffn_dim_divisor,
        "ffn_multipliers": list(config.layer_ffn_multipliers),
        "ffn_with_glu": True,
        "head_dim": config.head_dim,
        "initializer_range": 0.02,
        "max_context_length": config.max_context_length,
        "model_dim": config.model_dim,
        "model_type": "openelm",
        "normalization_layer_name": "rms_norm",
        "normalize_qk_projections": True,
        "num_gqa_groups": config.num_gqa_groups,
        "num_kv_heads": list(config.num_kv_heads),
        "num_query_heads": list(config.num_query_heads),
        "num_transformer_layers": config.num_transformer_layers,
        "qkv_multipliers": list(config.qkv_multipliers),
        "rms_norm_eps": config.rms_norm_eps,
        "rope_freq_constant": config.rope_freq_constant,
        "rope_max_length": 2 * config.max_context_length,
        "share_input_output_layers": True,
        "use_cache": True,
        "vocab_size": config.vocab_size,
    }


def export_folder(checkpoint: Checkpoint, output: Path) -> None:
    """Write a checkpoint in Hugging Face's layout, whole or not at all; a folder of that name is replaced.

    Raises:
        CheckpointError: the weights are missing or damaged, or the folder cannot be written.
        MissingExtraError: safetensors is not installed.
    """
    weights = checkpoint.weights()
    dtype = "float16" if all(value.dtype == np.float16 for value in weights.values()) else "float32"
    values = {**hf_config(checkpoint.config), "torch_dtype": dtype}
    write_folder(output, checkpoint, weights, values)


def write_folder(output: Path, checkpoint: Checkpoint, tensors: Weights, config: dict[str, Any]) -> None:
    """Write configuration, tensors and tokenizer, whole or not at all.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    config = {**config, "bos_token_id": checkpoint.tokenizer.bos_id, "eos_token_id": checkpoint.tokenizer.eos_id}
    with replaced_folder(output) as draft:
        (draft / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        write_tokenizer(checkpoint.tokenizer, draft)
        try:
            save_file(
                {name: np.ascontiguousarray(value) for name, value in tensors.items()},
                draft / WEIGHTS_FILE,
                metadata={"format": "pt"},
            )
        except SafetensorError as error:  # what a full disk looks like through safetensors
            raise CheckpointError(f"{output}: cannot be written ({error}); free space or choose another") from None
        (draft / WEIGHTS_FILE).chmod(0o644)  # safetensors makes it private
