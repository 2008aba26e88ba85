"""A teacher's most probable next tokens on disk, so that a big teacher is run once for many students.

FOLDER/teacher.json       whose they are: teacher, corpus, windows, k, temperature
FOLDER/part-00000.bin     one record a token: k ids (uint16), k log-probabilities (fp16), the rest's (fp16)

Records follow the order of the training windows (`windows.py`), which depends on corpus, length and seed alone. A part
is written whole: one that has its name is complete, so that writing goes on where it was stopped, and further.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from keyboard_lm.errors import CheckpointError, TrainingError, WriteError
from keyboard_lm.files import replaced_file, write_text_whole
from keyboard_lm_training.run.devices import Placement
from keyboard_lm_training.run.windows import WindowSampler

TEACHER_FILE = "teacher.json"
FORMAT_VERSION = 1
_PART_TOKENS = 1 << 16


@dataclass(frozen=True)
class LogitsDescription:
    """What stored logits belong to; two folders with the same description hold the same values.

    Attributes:
        teacher_digest: of the teacher's checkpoint.
        corpus_digest: of the training data.
        seq_len: tokens per window (T).
        seed: of the order of windows.
        top_k: tokens kept per position (k).
        temperature: of the distribution they come from.
    """

    teacher_digest: str
    corpus_digest: str
    seq_len: int
    seed: int
    top_k: int
    temperature: float

    @property
    def record(self) -> np.dtype[Any]:
        """One position as it lies on disk."""
        return np.dtype([("ids", "<u2", (self.top_k,)), ("log_q", "<f2", (self.top_k,)), ("log_rest", "<f2")])

    @property
    def windows_per_part(self) -> int:
        return max(1, _PART_TOKENS // self.seq_len)

    def num_bytes(self, num_windows: int) -> int:
        """Return the size on disk of whole parts that hold `num_windows`."""
        parts = -(-num_windows // self.windows_per_part)
        return parts * self.windows_per_part * self.seq_len * self.record.itemsize


@dataclass(frozen=True)
class TopLogits:
    """The most probable tokens of N positions.

    Attributes:
        ids: (N, k), int64.
        log_q: (N, k), fp32.
        log_rest: (N, 1), fp32.
    """

    ids: Tensor
    log_q: Tensor
    log_rest: Tensor


def top_logits(logits: Tensor, top_k: int, temperature: float) -> TopLogits:
    """Return the `top_k` most probable tokens of logits (N, V), softened by the temperature."""
    log_q = (logits / temperature).log_softmax(dim=-1)  # (N, V)
    values, ids = log_q.topk(top_k, dim=-1)  # (N, k)
    others = log_q.scatter(1, ids, -torch.inf)  # (N, V)
    return TopLogits(ids, values, others.logsumexp(-1, keepdim=True))


class StoredLogits:
    """The logits in a folder.

    Args:
        folder: where the parts lie, or will.
        description: what they have to belong to.

    Raises:
        TrainingError: the folder holds those of another teacher, corpus or order, or cannot be read.
    """

    def __init__(self, folder: Path, description: LogitsDescription) -> None:
        self.folder, self.description = folder, description
        self._opened: dict[int, NDArray[Any]] = {}
        path = folder / TEACHER_FILE
        if path.is_file():
            _check_same(path, description)

    def missing_parts(self, num_windows: int) -> list[int]:
        """Return the numbers of the parts that the first `num_windows` windows lack."""
        count = -(-num_windows // self.description.windows_per_part)
        return [number for number in range(count) if not self._part(number).is_file()]

    def write(
        self,
        num_windows: int,
        sampler: WindowSampler,
        teacher: Callable[[NDArray[np.int64]], TopLogits],
        place: Placement,
        report: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Write the parts that are missing, each process its share of them.

        Args:
            num_windows: how many windows of the order are needed; the last part is filled up.
            sampler: the order.
            teacher: takes windows (B, T + 1), returns the most probable next tokens of B x T positions.
            place: this process.
            report: called after each part with this process's parts done and to do.

        Raises:
            TrainingError: the folder cannot be written.
        """
        per_part = self.description.windows_per_part
        missing = self.missing_parts(num_windows)
        place.wait()  # every process has looked before one writes
        mine = missing[place.rank :: place.world_size]
        try:
            if place.is_main:
                self.folder.mkdir(parents=True, exist_ok=True)
                described = {"format_version": FORMAT_VERSION, **dataclasses.asdict(self.description)}
                write_text_whole(self.folder / TEACHER_FILE, json.dumps(described, indent=2) + "\n")
            place.wait()
            for done, number in enumerate(mine, 1):
                self._write_part(number, teacher(sampler.batch(number * per_part, per_part)))
                report(done, len(mine))
        except (OSError, CheckpointError, WriteError) as error:
            reason = getattr(error, "strerror", None) or error
            raise TrainingError(
                f"{self.folder}: teacher logits cannot be written ({reason}); free some space and run the same command "
                "to go on"
            ) from None
        place.wait()

    def _write_part(self, number: int, top: TopLogits) -> None:
        records = np.empty(len(top.ids), self.description.record)  # (N,)
        records["ids"] = top.ids.cpu().numpy()
        records["log_q"] = top.log_q.cpu().numpy()
        records["log_rest"] = top.log_rest[:, 0].cpu().numpy()
        with replaced_file(self._part(number)) as draft:
            records.tofile(draft)

    def read(self, windows: NDArray[np.int64]) -> TopLogits:
        """Return the positions of windows, given their numbers in the order.

        Raises:
            TrainingError: they are not there, or damaged.
        """
        per_part, seq_len = self.description.windows_per_part, self.description.seq_len
        pieces = []
        for window in windows.tolist():
            number, offset = divmod(window, per_part)
            pieces.append(self._open(number)[offset * seq_len : (offset + 1) * seq_len])
        records = np.concatenate(pieces)  # (N,)
        return TopLogits(
            torch.from_numpy(records["ids"].astype(np.int64)),
            torch.from_numpy(records["log_q"].astype(np.float32)),
            torch.from_numpy(records["log_rest"].astype(np.float32)).unsqueeze(1),
        )

    def _open(self, number: int) -> NDArray[Any]:
        if number not in self._opened:
            self._opened[number] = self._checked(number)
        return self._opened[number]

    def _checked(self, number: int) -> NDArray[Any]:
        path, record = self._part(number), self.description.record
        expected = self.description.windows_per_part * self.description.seq_len * record.itemsize
        try:
            size = path.stat().st_size
            if size != expected:
                raise TrainingError(f"{path}: {size} bytes instead of {expected}; delete it and run the same command")
            return np.memmap(path, record, "r")
        except OSError as error:
            raise TrainingError(f"{path}: cannot be read ({error.strerror}); run the same command again") from None

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number:05}.bin"


def _check_same(path: Path, description: LogitsDescription) -> None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        version = found.pop("format_version")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise TrainingError(f"{path}: cannot be read ({error}); use another folder for the logits") from None
    wanted = dataclasses.asdict(description)
    changed = [name for name, value in wanted.items() if found.get(name) != value]
    if version != FORMAT_VERSION or changed:
        raise TrainingError(
            f"{path.parent} holds logits of something else ({', '.join(changed) or f'format {version}'}); use another "
            "folder for the logits"
        )
