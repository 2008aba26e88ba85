"""Texts that stand for writers: each dialogue of a file is what one device holds."""

from __future__ import annotations

import itertools
import lzma
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.errors import DataError
from keyboard_lm.network.tokenizer import Tokenizer


@lru_cache(maxsize=8)
def load_writers(paths: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the messages of every dialogue in some text files.

    Args:
        paths: of files with a message a line and a blank line between dialogues, plain or `.xz`.

    Raises:
        DataError: a file cannot be read, or there is no dialogue.
    """
    writers: list[tuple[str, ...]] = []
    for path in map(Path, paths):
        try:
            text = (lzma.open if path.suffix == ".xz" else open)(path, "rt", encoding="utf-8").read()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: byte {error.start + 1} is not UTF-8; convert the file (iconv -t UTF-8)") from None
        except (OSError, EOFError, lzma.LZMAError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"{path}: cannot be read ({reason}); give text, plain or .xz") from None
        messages: list[str] = []
        for line in [*text.splitlines(), ""]:
            if line.strip():
                messages.append(line.strip())
            elif messages:
                writers.append(tuple(messages))
                messages = []
    if not writers:
        raise DataError(f"{', '.join(paths)}: no text; one dialogue stands for a writer, a blank line ends it")
    return tuple(writers)


def token_windows(
    tokenizer: Tokenizer, messages: Sequence[str], seq_len: int, max_tokens: int
) -> list[NDArray[np.int64]]:
    """Return a text as windows of at most `seq_len` + 1 tokens, the last of one being the first of the next.

    Args:
        tokenizer: of the network.
        messages: one after the other.
        seq_len: tokens to learn from in a window.
        max_tokens: in all; what is left of the text is not used.
    """
    ids = [tokenizer.bos_id]
    for message in messages:
        ids += tokenizer.encode_message(message)
        if len(ids) > max_tokens:
            break
    tokens = np.array(ids[: max_tokens + 1], np.int64)
    count = max(1, -(-(len(tokens) - 1) // seq_len))
    edges = np.linspace(0, len(tokens) - 1, count + 1).round().astype(int)  # near-equal, so that no step is of one word
    return [tokens[start : end + 1] for start, end in itertools.pairwise(edges) if end > start]
