"""What a suggestion bar is asked and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from keyboard_lm.text.case import fold
from keyboard_lm.touch.layout import Tap
from keyboard_lm.touch.path import PathPoint

Taps = Sequence[Tap | None]  # of the last characters of a text, one for each; None where it is not known
Kind = Literal["literal", "correction", "completion", "next_word", "emoji", "swiped"]
Shift = Literal["off", "on", "lock"]
Stage = Literal["full", "fewer_branches", "no_branches", "cached", "personal_and_lexicon"]


@dataclass(frozen=True)
class Correction:
    """What a space typed now would change.

    Attributes:
        replaced: the end of the text before the cursor that would go (``"teh"``; ``"t he"``; ``"bit"`` and the word
            before it).
        text: what would stand in its place, without the space.
    """

    replaced: str
    text: str


@dataclass(frozen=True)
class Request:
    """A field as the bar needs to know it.

    Attributes:
        text: all before the cursor.
        taps: where its last characters were touched, at least those of the word under the cursor; empty where none is
            known.
        shift: the state of the shift key; None where the text alone decides on capitals.
        may_correct: whether a correction could be applied here.
        revision: which state of the field this is, for the answer to be told from those to earlier ones.
        path: that a finger drew for the next word; empty where none did. The slots are then the words it may have
            meant, one more than usual: the first is for the field, the others for the bar.
    """

    text: str
    taps: Taps = ()
    shift: Shift | None = None
    may_correct: bool = True
    revision: int = 0
    path: tuple[PathPoint, ...] = ()


@dataclass(frozen=True)
class Slot:
    """One entry of the bar.

    Attributes:
        text: what would be inserted; a space follows it.
        kind: what it is. The ``literal`` is what was typed, and is there whenever a space would replace that.
        probability: in a word, its share of all that may have been meant, as far as it was looked at; between words,
            that the next token of the text is this word.
        replaced: the end of the text before the cursor that it stands for: the word under the cursor, ``""`` between
            words, more where a space too many is taken out.
    """

    text: str
    kind: Kind
    probability: float
    replaced: str = ""


@dataclass(frozen=True)
class Ghost:
    """Text offered ahead of the cursor.

    Attributes:
        text: the rest of the word under the cursor, if it is not finished, and the words after it.
        probability: that the writer goes on exactly so.
    """

    text: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """A bar.

    Attributes:
        slots: best first, or as `arranged` put them.
        correction: what a space would change; None where the typed word would stay.
        ghost: text ahead of the cursor; None where nothing is likely enough.
        stage: how far the engine got within its budget.
        num_model_calls: calls of the network that the answer took.
        device_ms: what they are estimated to take on the device.
        host_ms: what the answer took on this machine.
        revision: of the request.
    """

    slots: tuple[Slot, ...] = ()
    correction: Correction | None = None
    ghost: Ghost | None = None
    stage: Stage = "full"
    num_model_calls: int = 0
    device_ms: float = 0.0
    host_ms: float = 0.0
    revision: int = 0


CONTENDER = 0.5  # of the worth of the word that would have its place: what keeps one


def arranged(slots: Sequence[Slot], shown: Sequence[Slot]) -> tuple[Slot, ...]:
    """Return slots in an order that keeps the bar calm: a contender that was shown already stays where it is.

    Best first, from the left. A word keeps its place only while it is worth at least half of what would stand there
    without it: calm is worth something, a dead slot nothing. The literal comes first and what a space would put in its
    place second, always, as on an iPhone.

    Args:
        slots: the new bar, best first.
        shown: the bar before.
    """
    fixed = [slot for slot in slots if slot.kind == "literal"]
    if fixed:
        fixed += [slot for slot in slots if slot.kind == "correction"][:1]
    waiting = [slot for slot in slots if slot not in fixed]
    placed = list(fixed)
    for place in range(len(fixed), len(slots)):
        before = fold(shown[place].text) if place < len(shown) else None
        kept = next((slot for slot in waiting if fold(slot.text) == before), waiting[0])
        best = kept if kept.probability >= CONTENDER * waiting[0].probability else waiting[0]
        waiting.remove(best)
        placed.append(best)
    return tuple(placed)
