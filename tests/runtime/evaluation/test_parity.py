"""Parity of backends: what cannot run here says why; a mistake of ours is no reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyboard_lm.backends import load_backend
from keyboard_lm.backends.protocol import Backend
from keyboard_lm.errors import KeyboardLMError, MissingExtraError
from keyboard_lm.evaluation.parity import Other, measure, prompts
from keyboard_lm.evaluation.texts import shipped_texts
from keyboard_lm.network.checkpoint import Checkpoint


def failing(error: Exception) -> Backend:
    raise error


def test_what_cannot_run_here_becomes_a_row_and_a_mistake_is_raised(tiny_checkpoint: Path) -> None:
    checkpoint = Checkpoint.load(tiny_checkpoint)
    reference = load_backend("onnx", checkpoint, num_threads=1, bits=32)
    asked = prompts(checkpoint.tokenizer, shipped_texts(), 2, 20)
    messages = ["I am here"]

    def rows_with(error: Exception) -> list[str]:
        others = [Other("other", lambda: failing(error))]
        return [row.reason for row in measure(reference, others, checkpoint.tokenizer, asked, messages)]

    missing = MissingExtraError("mlx", "mlx")
    assert rows_with(missing) == ["", str(missing)]
    assert rows_with(KeyboardLMError("one line\nand another")) == ["", "one line"]
    for error in (ValueError("shapes do not match"), TypeError("a bug"), ImportError("our own module")):
        with pytest.raises(type(error)):
            rows_with(error)


def test_a_slow_backend_is_compared_on_fewer_and_the_row_says_so(tiny_checkpoint: Path) -> None:
    checkpoint = Checkpoint.load(tiny_checkpoint)
    reference = load_backend("onnx", checkpoint, num_threads=1, bits=32)
    asked = prompts(checkpoint.tokenizer, shipped_texts(), 3, 20)
    messages = ["I am here", "see you soon"]

    def other() -> Backend:
        return load_backend("onnx", checkpoint, num_threads=1, bits=4)

    others = [Other("all", other), Other("few", other, most_prompts=1, most_messages=1)]
    first, whole, part = measure(reference, others, checkpoint.tokenizer, asked, messages)
    assert (first.num_places, first.num_messages) == (whole.num_places, whole.num_messages) == (27, 2)
    assert (part.num_places, part.num_messages) == (9, 1)
    # The same as if no more had been asked for: its reference is typed with the same messages.
    (_, alone) = measure(reference, [Other("few", other)], checkpoint.tokenizer, asked[:1], messages[:1])
    assert part == alone
    assert part.max_logit_change <= whole.max_logit_change
