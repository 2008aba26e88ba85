"""The inputs of a network's matrices: what a text-writing numpy network sees is what the network computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keyboard_lm.export.inputs import TABLE, _Writer, sample_inputs
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.reference import reference_logits


def test_texts_written_step_by_step_have_the_logits_of_the_reference(tiny_checkpoint: Path) -> None:
    checkpoint = Checkpoint.load(tiny_checkpoint)
    weights = {name: value.astype(np.float32) for name, value in checkpoint.weights().items()}
    texts = np.random.default_rng(0).integers(3, checkpoint.config.vocab_size, (3, 7))
    writer = _Writer(checkpoint.config, weights, 3, 7)
    steps = np.stack([writer.step(texts[:, place]) for place in range(7)], axis=1)  # (B, T, V)
    for text, logits in zip(texts, steps, strict=True):
        expected = reference_logits(checkpoint.config, weights, text.tolist())
        np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)


def test_every_matrix_has_moments_of_its_inputs_and_a_seed_repeats_them(tiny_checkpoint: Path) -> None:
    checkpoint = Checkpoint.load(tiny_checkpoint)
    weights = checkpoint.weights()
    seen, again, other = (
        sample_inputs(checkpoint.config, weights, checkpoint.tokenizer.bos_id, seed) for seed in (0, 0, 1)
    )
    for name, weight in weights.items():
        if weight.ndim == 2:
            moments = seen.moments[name]
            assert moments.shape == (weight.shape[1],) * 2
            np.testing.assert_array_equal(moments, again.moments[name])
            assert np.linalg.eigvalsh(moments.astype(np.float64)).min() > -1e-3 * np.abs(moments).max()
    assert not np.array_equal(seen.moments[TABLE], other.moments[TABLE])
