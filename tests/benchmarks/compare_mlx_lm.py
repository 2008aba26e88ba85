"""Our network against mlx-lm's OpenELM on random weights of the exact 270M shape, whole and step by step.

    pip install "mlx[cpu]" mlx-lm
    python tests/benchmarks/compare_mlx_lm.py [--size 270m] [--tokens 16]

A folder in Hugging Face's layout is written with random weights and a stand-in tokenizer, read by mlx-lm as it is,
imported by ours, and both are run in fp32. Prints the largest difference of a logit and whether the first token is the
same everywhere, then one JSON line. Needs about 6 GB for 270m.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import load_model
from safetensors.numpy import save_file
from sentencepiece import SentencePieceTrainer

from keyboard_lm.backends.torch import TorchBackend
from keyboard_lm.evaluation.texts import shipped_texts
from keyboard_lm.export.hf import hf_config, import_folder
from keyboard_lm.network.checkpoint import weight_shapes
from keyboard_lm.network.config import model_size


def write_tokenizer(path: Path, vocab_size: int) -> None:
    """Write a prefix-space byte-fallback tokenizer of as many pieces, filled up with unused ones."""
    lines = [message for text in shipped_texts() for document in text.documents for message in document]
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=vocab_size, model_type="bpe", byte_fallback=True,
        user_defined_symbols=[f"<unused{i}>" for i in range(vocab_size - 3000)], minloglevel=2,
    )  # fmt: skip
    path.write_bytes(model.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="270m")
    parser.add_argument("--tokens", type=int, default=16)
    options = parser.parse_args()
    config = model_size(options.size)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(hf_config(config)))
        weights = {
            tensor: (
                rng.normal(size=shape).astype(np.float32) * shape[-1] ** -0.5
                if len(shape) > 1
                else rng.uniform(0.7, 1.4, shape).astype(np.float32)
            )
            for tensor, shape in weight_shapes(config).items()
        }
        save_file(weights, folder / "model.safetensors")
        del weights
        write_tokenizer(folder / "tokenizer.model", config.vocab_size)
        ids = rng.integers(3, config.vocab_size, options.tokens).tolist()
        ours = TorchBackend.load(import_folder(folder, Path(name) / "checkpoint"), capacity=options.tokens)
        expected = np.stack([ours.prefill(ids[:1]), *(ours.decode([token]) for token in ids[1:])])
        theirs, _ = load_model(folder, lazy=False)
        whole = np.array(theirs(mx.array([ids])))[0]
        cache = make_prompt_cache(theirs)
        steps = np.concatenate([np.array(theirs(mx.array([[token]]), cache=cache))[0] for token in ids])
    report = {"size": options.size, "parameters": config.num_parameters, "tokens": options.tokens}
    for kind, got in (("whole", whole), ("steps", steps)):
        largest, is_same = float(np.abs(got - expected).max()), bool((got.argmax(-1) == expected.argmax(-1)).all())
        report |= {f"{kind}_max_abs": largest, f"{kind}_same_first": is_same}
        print(f"{kind}: max |d logit| {largest:.2g}, first token the same: {is_same}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
