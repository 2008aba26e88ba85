"""From messages to the engine's types and back."""

from __future__ import annotations

from collections.abc import Sequence

from keyboard_lm.keyboard import events
from keyboard_lm.keyboard.bar import Answer, Correction, Shift, Stage
from keyboard_lm.keyboard.events import Edit, Event
from keyboard_lm.serve import messages as wire
from keyboard_lm.touch.layout import Tap
from keyboard_lm.touch.path import PathPoint


def event_of(message: wire.FieldEvent) -> Event:
    """Return what a keyboard is told; of a `FieldOpened` all but its cursor."""
    match message:
        case wire.KeyTyped():
            return events.Typed(message.char, tap_of(message.tap))
        case wire.PathSwiped():
            return events.Swiped(path_of(message.path))
        case wire.Backspace():
            return events.Backspaced()
        case wire.ShiftKey():
            return events.ShiftPressed(message.lock)
        case wire.SlotTapped():
            return events.SlotAccepted(message.word, message.replaced)
        case wire.GhostTapped():
            return events.GhostAccepted(message.ghost, message.only_word)
        case wire.CursorPut():
            return events.CursorMoved(message.cursor)
        case wire.TextReplaced():
            return events.TextChanged(message.text, message.cursor)
        case wire.FieldOpened():
            return events.FieldStarted(message.field.text, message.field.is_private)


def tap_of(place: wire.Place | None) -> Tap | None:
    """Return where a key was touched."""
    return Tap(place.x, place.y) if place is not None else None


def path_of(path: Sequence[wire.PathPlace]) -> tuple[PathPoint, ...]:
    """Return the way of a finger."""
    return tuple(PathPoint(point.x, point.y, point.t_ms) for point in path)


def edit_made(edit: Edit, revision: int, shift: Shift) -> wire.EditMade:
    """Return what a client is told to do to its field."""
    undone = edit.undone
    return wire.EditMade(
        revision,
        edit.deleted_before,
        edit.deleted_after,
        edit.inserted,
        _correction(edit.correction),
        wire.CorrectionMade(undone.literal, undone.corrected) if undone is not None else None,
        shift,
    )


def bar(answer: Answer, revision: int) -> wire.Bar:
    """Return a bar as a socket sends it."""
    return wire.Bar(revision, *_parts(answer))


def answer_given(answer: Answer, revision: int) -> wire.AnswerGiven:
    """Return a bar as HTTP sends it."""
    return wire.AnswerGiven(revision, *_parts(answer))


_Parts = tuple[tuple[wire.SlotShown, ...], wire.CorrectionMade | None, wire.GhostShown | None, Stage, int, float, float]


def _parts(answer: Answer) -> _Parts:
    ghost = answer.ghost
    return (
        tuple(wire.SlotShown(slot.text, slot.kind, float(slot.probability), slot.replaced) for slot in answer.slots),
        _correction(answer.correction),
        wire.GhostShown(ghost.text, float(ghost.probability)) if ghost is not None else None,
        answer.stage,
        answer.num_model_calls,
        answer.device_ms,
        answer.host_ms,
    )


def _correction(correction: Correction | None) -> wire.CorrectionMade | None:
    return wire.CorrectionMade(correction.replaced, correction.text) if correction is not None else None
