"""Training tokens a second against litgpt: the same shape, the same batch, both in turns, in one process.

    pip install --no-deps --target /tmp/litgpt litgpt==0.5.13 lightning lightning-utilities torchmetrics psutil
    python tests/benchmarks/compare_litgpt.py --litgpt /tmp/litgpt

litgpt has no OpenELM: its model is a Llama of our 9m's layers, width and vocabulary with a tied head, as many heads in
every layer as ours has at most, and feed-forward parts so wide that both have as many parameters. A step is forward,
backward, clipping and AdamW in bf16 autocast on both sides, with litgpt's own chunked loss. CPU time, medians.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time
from typing import Any

import torch
from keyboard_lm_training.run.devices import LossModel
from keyboard_lm_training.run.train_config import preset_for

from keyboard_lm.network.config import model_size
from keyboard_lm.network.model import OpenELM


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--litgpt", required=True, help="site-packages that hold litgpt")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--sequences", type=int, default=16)
    parser.add_argument("--size", default="9m")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shape = model_size(arguments.size)
    seq_len = preset_for(arguments.size).seq_len
    windows = torch.randint(3, shape.vocab_size, (arguments.sequences, seq_len + 1))  # (B, T + 1)
    ours = OpenELM(dataclasses.replace(shape, max_context_length=seq_len))
    ours.init_weights(torch.Generator().manual_seed(0))
    loss_model = LossModel(ours, 0.0, torch.bfloat16)
    peer, peer_loss = litgpt_model(arguments.litgpt, shape, seq_len)

    def step(module: torch.nn.Module, optimizer: torch.optim.Optimizer, loss_of: Any) -> float:
        started = time.process_time()
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return time.process_time() - started

    sides = {
        "ours": (loss_model, lambda: loss_model(windows)[0]),
        "litgpt": (peer, lambda: peer_loss(windows)),
    }
    optimizers = {
        name: torch.optim.AdamW(module.parameters(), lr=1e-4, fused=True) for name, (module, _) in sides.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(arguments.steps + 1):
        for name, (module, loss_of) in sides.items():
            spent = step(module, optimizers[name], loss_of)
            if number:
                seconds[name].append(spent)
    tokens = windows.shape[0] * seq_len
    rates = {name: tokens / statistics.median(values) for name, values in seconds.items()}
    counts = {name: sum(p.numel() for p in module.parameters()) for name, (module, _) in sides.items()}
    ratio = statistics.median(theirs / mine for mine, theirs in zip(seconds["ours"], seconds["litgpt"], strict=True))
    for name in sides:
        print(f"{name:7} {counts[name] / 1e6:.2f} M parameters, {rates[name]:,.0f} tokens a CPU second")
    print(json.dumps({"ratio": ratio, "tokens_per_cpu_second": rates, "parameters": counts}))


def litgpt_model(path: str, shape: Any, seq_len: int) -> tuple[torch.nn.Module, Any]:
    """Return litgpt's network of our shape and its loss on windows."""
    sys.path.append(path)
    from litgpt.config import Config
    from litgpt.model import GPT
    from litgpt.utils import chunked_cross_entropy

    heads, groups = max(shape.num_query_heads), max(shape.num_kv_heads)
    ours = sum(parameter.numel() for parameter in OpenELM(shape).parameters())
    attention = shape.model_dim * shape.head_dim * (2 * heads + 2 * groups)
    rest = ours - shape.vocab_size * shape.model_dim - shape.num_transformer_layers * attention
    width = max(64, round(rest / (3 * shape.model_dim * shape.num_transformer_layers) / 64) * 64)
    config = Config(
        block_size=seq_len, vocab_size=shape.vocab_size, padded_vocab_size=shape.vocab_size,
        n_layer=shape.num_transformer_layers, n_embd=shape.model_dim, n_head=heads, n_query_groups=groups,
        head_size=shape.head_dim, rotary_percentage=1.0, parallel_residual=False, bias=False, norm_class_name="RMSNorm",
        mlp_class_name="LLaMAMLP", intermediate_size=width, norm_qk=True,
    )  # fmt: skip
    model = GPT(config)
    model.lm_head.weight = model.transformer.wte.weight

    def loss(windows: torch.Tensor) -> torch.Tensor:
        return chunked_cross_entropy(model(windows[:, :-1]), windows[:, 1:])  # its trainer's default chunks

    return model, loss


if __name__ == "__main__":
    main()
