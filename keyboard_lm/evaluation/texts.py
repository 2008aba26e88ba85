"""Evaluation text: what ships, files of one message per line, and recordings of real typing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from keyboard_lm.errors import DataError
from keyboard_lm.evaluation.replay import ReplayedUnit, read_replay
from keyboard_lm.text.form import normalise

SHIPPED = ("comm", "aac", "casino", "common_voice")
_TEXT_SUFFIX = ".txt"
_REPLAY_SUFFIXES = (".tsv", ".jsonl")

MAX_MESSAGE_CHARS = 10_000  # a bar after each character of a longer one would take hours

Messages = tuple[str, ...]  # that follow one another, normalised
Recording = tuple[ReplayedUnit, ...]


@dataclass(frozen=True)
class EvaluationText:
    """One file.

    Attributes:
        name: of its row in a table.
        sha256: of what is evaluated, so that results can be told to be of the same text.
        documents: messages that follow one another; empty for a recording.
        recordings: what people really typed, one entry for each stretch that belongs together; empty for a text.
    """

    name: str
    sha256: str
    documents: tuple[Messages, ...] = ()
    recordings: tuple[Recording, ...] = ()

    @cached_property
    def is_folded(self) -> bool:
        """Whether there is no capital in it, so that a typist who copies it cannot mean any."""
        return not any(char.isupper() for messages in self.documents for message in messages for char in message)

    @property
    def num_messages(self) -> int:
        """Messages, or recorded stretches."""
        return sum(map(len, self.documents or self.recordings))

    def __len__(self) -> int:
        return len(self.documents or self.recordings)


def shipped_texts() -> list[EvaluationText]:
    """Return the texts that come with the package; their sources and licences are in ``data/SOURCES.md``."""
    return [_shipped(name) for name in SHIPPED]


def load_texts(source: str) -> list[EvaluationText]:
    """Return the texts of a shipped name, a file, or a folder's ``.txt`` files by name.

    ``.tsv`` (typed, tab, meant) and ``.jsonl`` files hold recordings; see `keyboard_lm.evaluation.replay`.

    Raises:
        DataError: there is nothing of that name, or no text in it.
    """
    path = Path(source)
    if source in SHIPPED and not path.exists():
        return [_shipped(source)]
    if not path.exists():
        raise DataError(f"{source}: no such file or folder, and no shipped text ({', '.join(SHIPPED)})")
    if not path.is_dir():
        return [_read(path)]
    files = sorted(path.glob(f"*{_TEXT_SUFFIX}"))
    if not files:
        raise DataError(f"{path}: no {_TEXT_SUFFIX} file in this folder")
    return [_read(file) for file in files]


def sample(text: EvaluationText, max_messages: int) -> EvaluationText:
    """Return a text of `max_messages` at most, from all over it (the last document may be cut short)."""
    groups = text.documents or text.recordings
    stride = max(1.0, text.num_messages / max_messages)
    kept: list[tuple[object, ...]] = []
    room = max_messages
    for number in range(len(groups)):
        if room > 0 and (index := int(number * stride)) < len(groups):
            kept.append(groups[index][:room])
            room -= len(kept[-1])
    return _with_groups(text, tuple(kept))


def _with_groups(text: EvaluationText, groups: tuple[tuple[object, ...], ...]) -> EvaluationText:
    digest = hashlib.sha256(repr(groups).encode()).hexdigest()
    field = "documents" if text.documents else "recordings"
    return replace(text, sha256=digest, **{field: groups})  # type: ignore[arg-type]


def _shipped(name: str) -> EvaluationText:
    return _as_text(name, resources.files(__package__).joinpath("data", name + _TEXT_SUFFIX))


def _read(path: Path) -> EvaluationText:
    if path.suffix in _REPLAY_SUFFIXES:
        recordings = tuple(tuple(units) for units in read_replay(path))
        return _with_groups(EvaluationText(path.name, "", recordings=recordings), recordings)
    return _as_text(path.name, path)


def _as_text(name: str, path: Traversable) -> EvaluationText:
    documents = tuple(read_documents(path))
    return _with_groups(EvaluationText(name, "", documents), documents)


def read_documents(path: Traversable) -> list[Messages]:
    """Read a file of one message per line.

    Blank lines separate documents (dialogues). In a file without blank lines the lines have nothing to do with each
    other, and each is a document.

    Raises:
        DataError: the file cannot be read, is not UTF-8, has no text, or has a line that no message is as long as.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start + 1}; convert it, for example with iconv") from None
    documents: list[list[str]] = [[]]
    for line in lines:
        if message := normalise(line).replace("\n", " "):
            if len(message) > MAX_MESSAGE_CHARS:
                raise DataError(f"{path}: a line of {len(message):,} characters; split it into messages")
            documents[-1].append(message)
        elif documents[-1]:
            documents.append([])
    documents = [document for document in documents if document]
    if not documents:
        raise DataError(f"{path}: no text in this file")
    return [(line,) for line in documents[0]] if len(documents) == 1 else [tuple(messages) for messages in documents]
