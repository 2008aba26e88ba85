"""The work folder of a corpus under construction: the plan, the marks of finished tasks, and the names of all files.

Everything that a task needs is found from the folder's place, so a task can run in any process on any machine that
sees it. A task's files appear whole, its mark after them; whoever finds the mark does not run the task again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from keyboard_lm.errors import DataError
from keyboard_lm_training.corpus.recipe import Recipe
from keyboard_lm_training.corpus.sliced import Records, read_slices
from keyboard_lm_training.storage import open_storage

PLAN_FILE = "plan.json"
WORK_FORMAT = 1

Values = dict[str, Any]
Flags = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of whole documents in one file.

    Attributes:
        name: an input's path or URL, or the name of a file of the work folder.
        is_raw: whether it is a file of the work folder.
        kind: ``text``, ``rows`` (JSON lines) or ``documents`` (one JSON list of lines per line).
        origin: the input that the text comes from, for messages.
        start: first byte.
        end: byte after the last.
        line: lines of the origin before it.
        row: rows of the origin before it.
    """

    name: str
    is_raw: bool
    kind: str
    origin: str
    start: int
    end: int
    line: int
    row: int


@dataclass(frozen=True, slots=True)
class Part:
    """About 64 MB of one source: the unit of most tasks.

    Attributes:
        source: number of the source in the recipe.
        spans: what it consists of, in order.
    """

    source: int
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class CleanPart:
    """What cleaning made of a part.

    Attributes:
        num_items: messages and documents.
        num_bytes: of its clean text.
        start: where that text starts in the clean text of the whole source.
        num_signatures: documents that may be near duplicates.
    """

    num_items: int
    num_bytes: int
    start: int
    num_signatures: int


class Work:
    """A work folder and the corpus folder that comes out of it.

    Args:
        place: of the work folder.
        corpus_place: of the corpus folder.
    """

    def __init__(self, place: str, corpus_place: str) -> None:
        self.storage = open_storage(place, is_flushed=False)  # a mark says how long its task's files are
        self.corpus = open_storage(corpus_place)

    def __reduce__(self) -> tuple[Any, ...]:
        return Work, (self.storage.place, self.corpus.place)

    @cached_property
    def plan(self) -> Values:
        """What was decided at the start (see `keyboard_lm_training.corpus.plan`)."""
        return self.load(PLAN_FILE)

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe that the plan was made for."""
        return Recipe.from_dict(self.plan["recipe"])

    @cached_property
    def parts(self) -> list[Part]:
        """The parts of the corpus, in the order of everything."""
        return [
            Part(part["source"], tuple(Span(*span) for span in part["spans"]))
            for part in self.load("parts.json")["parts"]
        ]

    @cached_property
    def num_partitions(self) -> int:
        """Hash partitions, a power of two."""
        return int(self.load("parts.json")["num_partitions"])

    @cached_property
    def clean_parts(self) -> list[CleanPart]:
        """What cleaning made of each part."""
        return [CleanPart(**part) for part in self.load("items.json")["parts"]]

    def load(self, name: str) -> Values:
        """Read a JSON file of the work folder.

        Raises:
            DataError: it is missing or damaged.
        """
        try:
            values: Values = json.loads(self.storage.read(name))
        except ValueError as error:
            raise DataError(f"{self.storage.where(name)}: damaged ({error}); run again with --restart") from None
        return values

    def save(self, name: str, values: Mapping[str, Any]) -> None:
        """Write a JSON file of the work folder."""
        self.storage.write(name, json.dumps(values, ensure_ascii=False).encode("utf-8", "surrogatepass"))

    def mark(self, stage: str, index: int) -> Values:
        """Return what a finished task reported."""
        return self.load(_mark_name(stage, index))

    def marks(self, stage: str, count: int) -> list[Values]:
        """Return what all tasks of a finished stage reported."""
        return [self.mark(stage, index) for index in range(count)]

    def set_mark(self, stage: str, index: int, values: Mapping[str, Any], files: Mapping[str, int]) -> None:
        """Say that a task is finished.

        Args:
            stage: its stage.
            index: its number.
            values: what it reports.
            files: the bytes of each of its files, which have to be there.
        """
        self.save(_mark_name(stage, index), {**values, "files": files})

    def check_mark(self, stage: str, index: int, is_read: Callable[[str], bool]) -> bool:
        """Take a mark back if it is damaged, or one of its files has not the size it had; return whether it stands.

        Args:
            stage: the task's stage.
            index: its number.
            is_read: whether a file will still be read.
        """
        try:
            files = self.mark(stage, index)["files"].items()
            if all(self.storage.size(name) == size for name, size in files if is_read(name)):
                return True
        except (DataError, KeyError, AttributeError):
            pass
        self.storage.remove(_mark_name(stage, index))
        return False

    def has_mark(self, stage: str, index: int) -> bool:
        """Return whether a task is finished."""
        return self.storage.size(_mark_name(stage, index)) is not None

    def done(self, stage: str) -> set[int]:
        """Return the tasks of a stage that have a mark."""
        return {int(name.split(".")[0]) for name in self.storage.names(f"marks/{stage}") if name.endswith(".json")}

    def part_files(self, folder: str) -> list[str]:
        """Return the names of the files that a folder holds for all parts."""
        return [f"{folder}/{part}" for part in range(len(self.parts))]

    def partition_slices(self, folder: str, part: int, dtype: npt.DTypeLike) -> Iterable[Records]:
        """Return what the tasks of a stage over partitions found for one part."""
        return read_slices(self.storage, [f"{folder}/{k}" for k in range(self.num_partitions)], part, dtype)

    def numbers(self, name: str) -> npt.NDArray[np.uint32]:
        """Read a file of uint32."""
        return np.frombuffer(self.storage.read(name), "<u4").astype(np.uint32, copy=False)

    def flags(self, part: int) -> Flags:
        """Read what was decided about the items of a part: bits of `keyboard_lm_training.corpus.encoding`."""
        return np.frombuffer(self.storage.read(f"flags/{part}"), np.uint8)


def _mark_name(stage: str, index: int) -> str:
    return f"marks/{stage}/{index:07}.json"


@lru_cache(maxsize=1)
def opened_work(place: str, corpus_place: str, plan_digest: str) -> Work:
    """Return a work folder, once per process; the digest tells apart what one place held at different times."""
    return Work(place, corpus_place)
