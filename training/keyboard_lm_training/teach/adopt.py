"""From a model that others have trained to a teacher of ours: tuned, laid on our pieces, mixed with our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from keyboard_lm.errors import ConfigError, TrainingError
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.teach.adapters import merge
from keyboard_lm_training.teach.foreign_teacher import ForeignTeacher, is_foreign, save_foreign_teacher
from keyboard_lm_training.teach.llama_files import ForeignModel
from keyboard_lm_training.teach.mixture import MixtureFit, MixturePlaces, fit_mixture
from keyboard_lm_training.teach.native_text import NativeText, NativeWindow
from keyboard_lm_training.teach.native_tuning import NativeTuner, NativeTuning, heldout_windows
from keyboard_lm_training.teach.networks import load_network
from keyboard_lm_training.teach.projection import Projection

TUNING_FOLDER = "tuning"
TEACHER_FOLDER = "teacher"
_COUNTED_AT_ONCE = 500


@dataclass(frozen=True)
class AdoptOptions:
    """How a teacher is made.

    Attributes:
        tuning: of the foreign network on our text; None leaves it as it is.
        counted_windows: windows of the corpus from which it is learned which native tokens begin our pieces.
        fitted_windows: held-out windows of each source on which the mixture is fitted.

    Raises:
        ConfigError: on construction.
    """

    tuning: NativeTuning | None = field(default_factory=NativeTuning)
    counted_windows: int = 16_000
    fitted_windows: int = 3

    def __post_init__(self) -> None:
        if self.counted_windows < 1 or self.fitted_windows < 1:
            raise ConfigError("a teacher needs at least one window to count and one of each source to fit the mixture")


@dataclass(frozen=True)
class Adopted:
    """A finished teacher.

    Attributes:
        teacher: its folder, opened.
        fit: what the mixture is worth on held-out text.
    """

    teacher: ForeignTeacher
    fit: MixtureFit


def adopt(
    model: ForeignModel,
    own: Checkpoint,
    data: TrainingData,
    folder: Path,
    options: AdoptOptions,
    report: Callable[[str], None] = lambda line: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Adopted | None:
    """Tune a foreign model, count, fit the mixture, and write `folder/teacher`.

    A folder in which the tuning was stopped goes on from its last saved state.

    Args:
        model: as it was read.
        own: a checkpoint with the corpus's tokenizer; the teacher's places inside words are its own.
        data: the corpus.
        folder: where tuning and teacher are kept.
        options: see `AdoptOptions`.
        report: called with a line for each step.
        should_stop: asked between steps.

    Returns:
        The teacher, None where it was stopped.

    Raises:
        TrainingError: the checkpoint has another tokenizer, or the folder holds a finished teacher.
    """
    if own.tokenizer.digest != data.tokenizer.digest:
        raise TrainingError(f"{own.folder} has another tokenizer than the corpus; build the corpus with --tokenizer")
    if is_foreign(folder / TEACHER_FOLDER):
        raise TrainingError(f"{folder / TEACHER_FOLDER} is finished; use it, or another folder")
    text = NativeText(data.tokenizer, model.tokenizer, model.bos_id)
    origin: dict[str, object] = dict(model.origin)
    if options.tuning is not None:
        tuner = NativeTuner(model.network, text, data, options.tuning, folder / TUNING_FOLDER, model.origin)
        if not tuner.run(lambda step, loss, rate: report(_step_line(step, loss, rate, options.tuning)), should_stop):
            return None
        merge(model.network)
        origin["tuned_tokens"] = options.tuning.steps * options.tuning.windows_per_step * data.sampler.seq_len
        origin["tuned_bits_per_byte"] = tuner.bits_per_byte
    network = model.network.requires_grad_(False).eval().to(torch.bfloat16)
    report("counting which tokens begin our pieces")
    projection = Projection.count(
        _pairs(data, text, options.counted_windows), data.tokenizer.vocab_size, network.config.vocab_size
    )
    report("fitting the mixture")
    places = MixturePlaces(network, load_network(own, torch.device("cpu")), text, projection)
    fit = fit_mixture(places, heldout_windows(data, options.fitted_windows))
    teacher = save_foreign_teacher(
        folder / TEACHER_FOLDER, network, model.tokenizer, model.bos_id, projection, own, fit.mixture.weights, origin
    )
    return Adopted(teacher, fit)


def _step_line(step: int, loss: float, rate: float, tuning: NativeTuning | None) -> str:
    steps = tuning.steps if tuning else 0
    return f"tuning: step {step} of {steps}, {loss:.3f} nats a token, {rate:,.0f} tokens/s"


def _pairs(data: TrainingData, text: NativeText, count: int) -> Iterator[tuple[NDArray[np.int64], NativeWindow]]:
    for start in range(0, count, _COUNTED_AT_ONCE):
        windows = data.sampler.batch(start, min(_COUNTED_AT_ONCE, count - start))
        yield from zip(windows, text.translate(windows), strict=True)
