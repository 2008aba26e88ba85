"""How large a network's activations are, and how much each of its inputs is used, on text of its own making.

Text that the network samples from itself needs no corpus, suits every tokenizer and is nobody's evaluation text
(sampling calibration data from the model: LLM-QAT, Liu et al. 2023, section 3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from keyboard_lm.network.model import KVCache, OpenELM
from keyboard_lm.network.tensor_names import FINAL_NORM, TABLE

_MOST_SAMPLES, _FEWEST_SAMPLES = 32, 4
_SAMPLED_WEIGHTS = 2_000_000_000  # samples times parameters: a quarter of a minute on two cores
_NUM_TOKENS = 96


@dataclass(frozen=True)
class Activations:
    """What was seen.

    Attributes:
        moments: mean of x x^T over the inputs x of each matrix by its name, (K, K).
        num_tokens: that they were taken over.
        largest: largest magnitude in the residual stream, and of what is added to it before the last projection.
    """

    moments: Mapping[str, NDArray[np.float32]]
    num_tokens: int
    largest: float


@torch.inference_mode()
def measure(model: OpenELM, first_id: int, num_samples: int | None = None, seed: int = 0) -> Activations:
    """Sample text from a network and look at it meanwhile.

    Args:
        model: in evaluation mode.
        first_id: token that begins a text.
        num_samples: texts; by default as many as the size of the network leaves time for.
        seed: of the sampling.
    """
    if num_samples is None:
        num_samples = _SAMPLED_WEIGHTS // model.config.num_parameters
        num_samples = max(_FEWEST_SAMPLES, min(_MOST_SAMPLES, num_samples))
    sums: dict[str, Tensor] = {}
    largest = 0.0

    def look(name: str, x: Tensor) -> None:
        flat = x.reshape(-1, x.shape[-1])  # (n, K)
        if name in sums:
            sums[name].addmm_(flat.T, flat)
        else:
            sums[name] = flat.T @ flat

    def look_at_stream(x: Tensor) -> None:
        nonlocal largest
        largest = max(largest, float(x.abs().max()))

    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            hooks.append(module.register_forward_pre_hook(lambda _, args, n=f"{name}.weight": look(n, args[0])))
        if name.endswith(("out_proj", "proj_2")):
            hooks.append(module.register_forward_pre_hook(lambda _, args: look_at_stream(args[0])))
            hooks.append(module.register_forward_hook(lambda _, args, out: look_at_stream(out)))
        if name.endswith(("attn_norm", "ffn_norm", FINAL_NORM.removesuffix(".weight"))):
            hooks.append(module.register_forward_pre_hook(lambda _, args: look_at_stream(args[0])))
    generator = torch.Generator().manual_seed(seed)
    length = min(_NUM_TOKENS, model.config.max_context_length)
    cache = KVCache(model.config, length, num_samples)
    ids = torch.full((num_samples, 1), first_id)
    try:
        for _ in range(length):
            hidden = model.hidden(ids, cache=cache)[:, 0]  # (B, C)
            cache.length += 1
            look(TABLE, hidden)
            ids = torch.multinomial(model.head(hidden).softmax(dim=-1), 1, generator=generator)  # (B, 1)
    finally:
        for hook in hooks:
            hook.remove()
    num_tokens = length * num_samples
    return Activations({name: (total / num_tokens).numpy() for name, total in sums.items()}, num_tokens, largest)
