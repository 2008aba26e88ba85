"""A tiny foreign model: a Llama of random weights with a byte-level tokenizer of its own, as folder and as GGUF."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFWriter
from keyboard_lm_training.teach.llama import Llama, LlamaConfig
from keyboard_lm_training.teach.native_text import NativeText
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from keyboard_lm.network.tokenizer import Tokenizer as OurTokenizer

TEXT = "I am going to the store. Do you want anything?\nNo thanks, I'm good\nSee you at 10\n" * 20
END = "<|endoftext|>"


def _tokenizer() -> Tokenizer:
    """Return a byte-level BPE of 300 tokens, digits apart."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=[END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    return tokenizer


def _llama(num_tokens: int, is_tied: bool = True) -> Llama:
    """Return a network of two layers with weights that are exact in fp16."""
    config = LlamaConfig(num_tokens, 32, 2, 4, 2, 8, 48, rope_base=1000.0, max_context=64, is_tied=is_tied)
    network = Llama(config)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            values = torch.randn(parameter.shape, generator=generator) * 0.3 + (parameter.dim() == 1)
            parameter.copy_(values.half().float())
    return network.requires_grad_(False).eval()


def _write_folder(folder: Path, network: Llama, tokenizer: Tokenizer) -> Path:
    """Write a Hugging Face folder."""
    folder.mkdir(parents=True)
    config = network.config
    values = {
        "model_type": "llama", "vocab_size": config.vocab_size, "hidden_size": config.width,
        "num_hidden_layers": config.num_layers, "num_attention_heads": config.num_query_heads,
        "num_key_value_heads": config.num_kv_heads, "head_dim": config.head_dim, "intermediate_size": config.ffn_dim,
        "rope_theta": config.rope_base, "rms_norm_eps": config.norm_eps, "max_position_embeddings": config.max_context,
        "tie_word_embeddings": config.is_tied, "bos_token_id": 0,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(values))
    save_file({name: value.clone() for name, value in network.state_dict().items()}, folder / "model.safetensors")
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def _write_gguf(path: Path, network: Llama, tokenizer: Tokenizer, architecture: str = "llama") -> Path:
    """Write a GGUF file as llama.cpp's converter does: q and k with the pairs that rotate side by side."""
    config = network.config
    writer = GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_license("apache-2.0")
    writer.add_context_length(config.max_context)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.num_layers)
    writer.add_feed_forward_length(config.ffn_dim)
    writer.add_head_count(config.num_query_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    state = json.loads(tokenizer.to_str())["model"]
    vocabulary = sorted(state["vocab"], key=state["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if token == END else 1 for token in vocabulary])
    writer.add_token_merges([" ".join(merge) for merge in state["merges"]])
    writer.add_bos_token_id(0)
    for name, value in network.state_dict().items():
        writer.add_tensor(*_gguf_tensor(name, value, config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _gguf_tensor(name: str, value: torch.Tensor, config: LlamaConfig) -> tuple[str, np.ndarray]:
    names = {
        "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
        "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    }  # fmt: skip
    top = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
           "lm_head.weight": "output.weight"}  # fmt: skip
    values = value.numpy()
    if name in top:
        return top[name], values if values.ndim == 1 else values.astype(np.float16)
    _, _, layer, rest = name.split(".", 3)
    rest = rest.removesuffix(".weight")
    if rest in ("self_attn.q_proj", "self_attn.k_proj"):
        heads = config.num_query_heads if rest == "self_attn.q_proj" else config.num_kv_heads
        values = values.reshape(heads, 2, config.head_dim // 2, -1).swapaxes(1, 2).reshape(values.shape)
    return f"blk.{layer}.{names[rest]}.weight", values if values.ndim == 1 else values.astype(np.float16)


@dataclass(frozen=True)
class Foreign:
    """A tiny foreign model and how to write it.

    Attributes:
        network: random weights, exact in fp16.
        tokenizer: of a few hundred tokens; number 0 stands in front of a text.
        write_folder: writes a Hugging Face folder.
        write_gguf: writes a GGUF file.
        llama: makes networks of so many tokens, with a tied table or not.
    """

    network: Llama
    tokenizer: Tokenizer
    write_folder: Callable[..., Path]
    write_gguf: Callable[..., Path]
    llama: Callable[..., Llama]


@pytest.fixture
def foreign() -> Foreign:
    """A tiny foreign model."""
    tokenizer = _tokenizer()
    return Foreign(_llama(tokenizer.get_vocab_size()), tokenizer, _write_folder, _write_gguf, _llama)


@pytest.fixture(scope="session")
def foreign_text(tiny_tokenizer: OurTokenizer) -> tuple[NativeText, Tokenizer]:
    """The tiny tokenizer's windows in the foreign one's tokens, and that one."""
    tokenizer = _tokenizer()
    return NativeText(tiny_tokenizer, tokenizer, 0), tokenizer
