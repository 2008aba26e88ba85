"""A checkpoint as the subject of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from keyboard_lm.backends import artefact, load_backend
from keyboard_lm.evaluation.engine import Engine
from keyboard_lm.evaluation.keyboard_engine import KeyboardEngine
from keyboard_lm.evaluation.language_model import LanguageModelScorer
from keyboard_lm.evaluation.predictor_engine import PredictorEngine
from keyboard_lm.evaluation.task import Subject
from keyboard_lm.network.checkpoint import Checkpoint

MAX_SLOTS = 5
MODEL, FULL = "model", "full"
ENGINES = (MODEL, FULL)


@dataclass(frozen=True)
class ModelSubject:
    """Loads a checkpoint; picklable, so that each process of an evaluation can do it.

    Attributes:
        folder: of the checkpoint.
        backend: what runs it.
        bits: of its graph's weights (ONNX Runtime only).
        num_threads: of one step. One by default: the processes share the cores, and what one thread computes does not
            depend on how many there are.
        max_slots: longest bar that will be asked for.
        keyboard: the model alone, or with corrections; one of `ENGINES`.
    """

    folder: Path
    backend: str
    bits: int = 4
    num_threads: int = 1
    max_slots: int = MAX_SLOTS
    keyboard: str = MODEL

    def __call__(self) -> Subject:
        """Load it.

        Raises:
            CheckpointError: the folder is missing or damaged, or has no graph of these bits.
            PackageError: its Core ML package is missing, damaged, or another model's.
            MissingExtraError: the backend is not installed.
        """
        checkpoint = Checkpoint.load(self.folder)
        network = load_backend(self.backend, checkpoint, num_threads=self.num_threads, bits=self.bits)
        engine: Engine = (
            KeyboardEngine(network, checkpoint.tokenizer)
            if self.keyboard == FULL
            else PredictorEngine(network, checkpoint.tokenizer, self.max_slots)
        )
        return Subject(engine, LanguageModelScorer(network, checkpoint.tokenizer))

    def engine(self) -> Engine:
        """Load the keyboard alone; as a bound method it is a picklable maker of engines.

        Raises: as calling the object does.
        """
        return self().engine

    def describe(self) -> str:
        """Return one line that tells this subject from any other: the weights' digest, the file that is run.

        Raises: as calling the object does.
        """
        checkpoint = Checkpoint.load(self.folder)
        parts = [checkpoint.digest[:16], self.backend]
        if file := artefact(self.backend, checkpoint, self.bits):
            parts.append(file)
        if self.keyboard != MODEL:
            parts.append(self.keyboard)
        return ", ".join(parts)
