"""Evaluation text: files of one message per line."""

from __future__ import annotations

import math
from pathlib import Path

from keyboard_lm.errors import DataError

Document = list[str]  # messages that follow one another


def text_files(path: Path) -> list[Path]:
    """Return `path` itself, or the ``.txt`` files of a folder by name.

    Raises:
        DataError: there is no such file, or no text in the folder.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: no .txt file in this folder")
    return files


def read_documents(path: Path) -> list[Document]:
    """Read a file of one message per line.

    Blank lines separate documents (dialogues). In a file without blank lines the lines have nothing to do with each
    other, and each is a document.

    Raises:
        DataError: the file cannot be read, is not UTF-8 or has no text.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start + 1}; convert it, for example with iconv") from None
    documents: list[Document] = [[]]
    for line in lines:
        if stripped := line.strip():
            documents[-1].append(stripped)
        elif documents[-1]:
            documents.append([])
    documents = [document for document in documents if document]
    if not documents:
        raise DataError(f"{path}: no text in this file")
    return [[line] for line in documents[0]] if len(documents) == 1 else documents


def sample(documents: list[Document], max_lines: int) -> list[Document]:
    """Return documents from all over a file, of `max_lines` lines at most (the last one may be cut short)."""
    stride = math.ceil(sum(map(len, documents)) / max_lines)
    kept: list[Document] = []
    room = max_lines
    for document in documents[::stride]:
        if room > 0:
            kept.append(document[:room])
            room -= len(kept[-1])
    return kept
