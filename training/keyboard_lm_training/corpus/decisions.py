"""What was decided about each item of a part: a byte each, from what the duplicate stages found."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from keyboard_lm_training.corpus.cleaning import DOCUMENT, HELDOUT_DOCUMENT
from keyboard_lm_training.corpus.duplicates import gone_documents
from keyboard_lm_training.corpus.work import Flags, Values, Work

EXACT = 4
NEAR = 8


def decide(work: Work, part: int) -> Values:
    """Write down for each item of a part what was decided about it.

    Returns:
        ``train_messages``: how many messages of it are trained on; ``too_long``: which of them, counted so, no
        tokenizer is trained on.
    """
    flags = np.frombuffer(work.storage.read(f"items/{part}"), np.uint8).copy()
    exact, near = gone_documents(work, part)
    flags[exact] |= EXACT
    flags[near] |= NEAR
    for repeated in work.partition_slices("repeated", part, "<u4"):
        flags[repeated] |= EXACT
    work.storage.write(f"flags/{part}", flags.tobytes())
    trained = train_messages(flags)
    too_long = np.flatnonzero(np.isin(trained, work.numbers(f"long/{part}")))
    return {"train_messages": len(trained), "too_long": too_long.tolist()}


def train_messages(flags: Flags) -> npt.NDArray[np.int64]:
    """Return the item numbers of the messages that are trained on."""
    ends = np.flatnonzero(flags & DOCUMENT)
    sizes = np.diff(ends, prepend=-1)
    is_out = np.repeat((flags[ends] & (HELDOUT_DOCUMENT | EXACT | NEAR)) != 0, sizes)
    return np.flatnonzero(~is_out & ((flags & (DOCUMENT | EXACT)) == 0))
