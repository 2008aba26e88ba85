"""Words as people really typed them, read from recordings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from keyboard_lm.errors import DataError
from keyboard_lm.evaluation.alignment import Pair, align, distance
from keyboard_lm.evaluation.touch_recording import BACKSPACE, parse_recording
from keyboard_lm.evaluation.words import WordSpan, words_of
from keyboard_lm.text.form import normalise
from keyboard_lm.touch.layout import SPACE, Tap

_SILENT_KEYS = frozenset({"SHIFT", "CAPS_LOCK", "NUM_LK", "CTRL", "ALT", "ALT_GR", "WIN", "PAUSE"})
_BACKSPACE_KEYS = frozenset({"BKSP", BACKSPACE})


@dataclass(frozen=True)
class ReplayedUnit:
    """A word, or two that ran together, as somebody typed it.

    Attributes:
        context: the text before it, as it was meant; ``""`` where none is known.
        intended: what was to be typed.
        typed: what was typed.
        taps: one for each character of `typed`; empty where none was recorded.
    """

    context: str
    intended: str
    typed: str
    taps: tuple[Tap | None, ...] = ()


@dataclass(frozen=True)
class _Key:
    char: str  # BACKSPACE among them
    tap: Tap | None = None


def read_replay(path: Path) -> list[tuple[ReplayedUnit, ...]]:
    """Read a recording of real typing, whose format is told by what is in it.

    - Taps on a phone (JSON lines; see `keyboard_lm.evaluation.touch_recording`). Recordings made with a mouse are left
      out, as are repetitions of the same presses.
    - Keystrokes on a desktop keyboard (JSON lines with ``user``, ``prompt``, ``typed`` and ``keys``). A line is left
      out if it has keys without name or keys that move the cursor, or if the keys do not make up ``typed``.
    - Misspellings (lines of what was typed, a tab, and what was meant).

    Of typing with corrections, a word counts as it was when it was first left with a space (or at the end of the line),
    not as it was after its author went back. What was typed is aligned with the prompt; a word is taken together with
    its neighbour if the single space between them was missed or doubled. Left out are words next to a mistake in the
    punctuation, and those of which more than half of the characters differ (one swap of two counts as one): they are
    other words. Letters take the
    prompt's case, since the recordings do not tell it reliably.

    Returns:
        What belongs together: a person's words, or the misspellings of one word. Intervals are taken over these.

    Raises:
        DataError: the file cannot be read, is not UTF-8, has no typing in it or is in none of these formats.
    """
    lines = [(number, line) for number, line in enumerate(_read_text(path).splitlines(), 1) if line.strip()]
    if not lines:
        raise DataError(f"{path}: no text in this file")
    is_json = lines[0][1].lstrip().startswith("{")
    recordings = _read_json(path, lines) if is_json else _read_misspellings(path, lines)
    documents = [tuple(units) for units in recordings if units]
    if not documents:
        raise DataError(f"{path}: none of its recordings can be used; see keyboard_lm.evaluation.replay")
    return documents


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start + 1}; convert it, for example with iconv") from None


def _read_misspellings(path: Path, lines: Sequence[tuple[int, str]]) -> Iterator[list[ReplayedUnit]]:
    units = []
    for number, line in lines:
        columns = [normalise(column) for column in line.split("\t")]
        if len(columns) != 2 or not all(columns):
            raise DataError(
                f"{path}: line {number} is neither a recording in JSON nor typed and meant with a tab between"
            )
        units.append(ReplayedUnit("", columns[1], columns[0]))
    for _, group in groupby(units, key=lambda unit: unit.intended):
        yield list(group)


def _read_json(path: Path, lines: Sequence[tuple[int, str]]) -> Iterable[list[ReplayedUnit]]:
    people: dict[str, list[ReplayedUnit]] = {}
    seen: set[tuple[object, ...]] = set()
    for number, line in lines:
        try:
            values = json.loads(line)
            person, prompt, keys = _touches(values) if "events" in values else _keystrokes(values)
            prompt = normalise(prompt).replace("\n", " ")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise DataError(
                f"{path}: line {number} is no recording of taps (session, prompt, screen, keys, events) or keystrokes "
                f"(user, prompt, typed, keys): {reason}"
            ) from None
        identity = (person, *keys)
        if any(key.tap for key in keys) and identity in seen:
            continue
        seen.add(identity)
        people.setdefault(person, []).extend(_units(prompt, keys))
    return people.values()


def _touches(values: Mapping[str, Any]) -> tuple[str, str, list[_Key]]:
    recording = parse_recording(values)
    presses = () if recording.is_mouse else recording.presses
    keys = [_Key(press.char, press.tap) for press in presses if press.char is not None]
    return recording.session, recording.prompt, keys


def _keystrokes(values: Mapping[str, Any]) -> tuple[str, str, list[_Key]]:
    person, prompt, typed, names = str(values["user"]), values["prompt"], values["typed"], values["keys"]
    if not all(isinstance(value, str) for value in (prompt, typed, *names)):
        raise ValueError("prompt, typed and keys must be text")
    keys = []
    for name in names:
        if name in _BACKSPACE_KEYS:
            keys.append(_Key(BACKSPACE))
        elif len(name) == 1:
            keys.append(_Key(name))
        elif name not in _SILENT_KEYS:
            return person, prompt, []
    field = "".join(key.char for key in list(_snapshots(keys))[-1]) if keys else ""
    is_told = field.casefold().split() == typed.casefold().split()
    return person, prompt, keys if is_told else []


def _snapshots(keys: Sequence[_Key]) -> Iterator[list[_Key]]:
    # The field whenever its author began to delete, and in the end.
    field: list[_Key] = []
    is_deleting = True
    for key in keys:
        if key.char != BACKSPACE:
            field.append(key)
        else:
            if not is_deleting:
                yield field.copy()
            if field:
                field.pop()
        is_deleting = key.char == BACKSPACE
    yield field


def _units(prompt: str, keys: Sequence[_Key]) -> list[ReplayedUnit]:
    # One unit for each word of the prompt that was finished, as it was when it was first finished.
    units: dict[int, ReplayedUnit] = {}
    taken: set[int] = set()
    words = list(words_of(prompt))
    snapshots = list(_snapshots(keys))
    for number, field in enumerate(snapshots, 1):
        is_last = number == len(snapshots)
        if not is_last:
            length = max((end for end, key in enumerate(field, 1) if key.char == SPACE), default=0)
            field = field[:length]
        for indices, typed in _finished(prompt, words, "".join(key.char for key in field), is_last):
            if taken.isdisjoint(indices):
                taken.update(indices)
                start, end = words[indices[0]].start, words[indices[-1]].end
                intended = prompt[start:end]
                written = "".join(field[i].char for i in typed)
                units[start] = _unit(prompt[:start], intended, written, tuple(field[i].tap for i in typed))
    return [units[start] for start in sorted(units) if _is_same_word(units[start])]


def _finished(prompt: str, words: Sequence[WordSpan], typed: str, is_complete: bool) -> Iterator[tuple[range, range]]:
    # Yields words of the prompt (by index) that lie between two gaps that were typed rightly, and what was typed there.
    folded, meant = _folded(typed), _folded(prompt)
    # Only what lies between the words that agree at the beginning and at the end needs to be aligned.
    agreed = _common_prefix(folded, meant)
    head = max((word.start for word in words if word.start <= agreed), default=0)
    tail = 0
    if is_complete:
        agreed = min(_common_prefix(folded[::-1], meant[::-1]), len(folded) - head, len(meant) - head)
        tail = max((len(meant) - word.end for word in words if len(meant) - word.end <= agreed), default=0)
    inner_typed, inner_meant = folded[head : len(folded) - tail], meant[head : len(meant) - tail]
    if not is_complete:
        inner_meant = inner_meant[: 2 * len(inner_typed) + 1]  # further on it costs more than to leave out all of it
    pairs: list[Pair] = [(i, i) for i in range(head)]
    for i, j in align(inner_typed, inner_meant, is_complete):
        pairs.append((None if i is None else i + head, None if j is None else j + head))
    pairs += [(len(folded) - i, len(meant) - i) for i in range(tail, 0, -1)]
    first = 0  # word of the segment
    begin: int | None = None  # where it begins in `typed`; None if what is before it is wrong
    for index in range(len(words) + 1):
        gap_start = words[index - 1].end if index else 0
        gap_end = words[index].start if index < len(words) else len(prompt)
        place = _typed_gap(pairs, folded, meant, gap_start, gap_end, len(typed), is_complete)
        if place is None:
            if prompt[gap_start:gap_end] == SPACE:
                continue  # the two words belong together
            begin, first = None, index
            continue
        if begin is not None and 0 < index - first <= 2:
            yield range(first, index), range(begin, place[0])
        begin, first = place[1], index


def _typed_gap(
    pairs: Sequence[Pair], typed: str, meant: str, start: int, end: int, length: int, is_complete: bool
) -> tuple[int, int] | None:
    # Where in `typed` meant[start:end] stands without mistake; None if it does not.
    if start == end:  # the beginning or the end of the prompt
        if start == 0:
            return 0, 0
        return (length, length) if is_complete else None
    if typed[-1:] == SPACE and end == len(meant) and not is_complete:
        return None
    at = [index for index, (_, j) in enumerate(pairs) if j is not None and start <= j < end]
    if len(at) != end - start or at[-1] - at[0] != end - start - 1:
        return None
    places = [pairs[index][0] for index in at]
    first, last = places[0], places[-1]
    if first is None or last is None or any(i is None or typed[i] != meant[j] for i, j in _both(pairs, at)):
        return None
    # A blank too many beside the gap is part of it.
    if typed[first - 1 : first] == SPACE or typed[last + 1 : last + 2] == SPACE:
        return None
    return first, last + 1


def _both(pairs: Sequence[Pair], at: Sequence[int]) -> Iterator[tuple[int | None, int]]:
    for index in at:
        i, j = pairs[index]
        assert j is not None
        yield i, j


def _unit(context: str, intended: str, typed: str, taps: tuple[Tap | None, ...]) -> ReplayedUnit:
    written = list(typed)
    for i, j in align(_folded(typed), _folded(intended)):
        if i is not None and j is not None and _folded(typed[i]) == _folded(intended[j]):
            written[i] = intended[j]
    return ReplayedUnit(context, intended, "".join(written), taps if any(taps) else ())


def _is_same_word(unit: ReplayedUnit) -> bool:
    # Whether at most half of it is wrong, something of every word was typed, and nothing but letters at the edges.
    if unit.typed == unit.intended:
        return True
    typed, intended = _folded(unit.typed), _folded(unit.intended)
    if not (typed[:1].isalnum() and typed[-1:].isalnum()):
        return False
    pairs = align(typed, intended)
    found = {j for i, j in pairs if i is not None and j is not None and typed[i] == intended[j]}
    return 2 * distance(typed, intended) <= max(len(intended), 2) and all(
        3 * sum(j in found for j in range(word.start, word.end)) >= len(word.text) for word in words_of(intended)
    )


def _folded(text: str) -> str:
    # Lower-case, without changing the number of characters.
    return "".join(char.lower() if len(char.lower()) == 1 else char for char in text)


def _common_prefix(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
