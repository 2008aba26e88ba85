"""Keystroke savings: how many keys a typist who looks before every one of them need not press."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.evaluation.engine import Engine, after_slot, finished, undone
from keyboard_lm.evaluation.estimate import Counts, Metric, Sums, count, ratio
from keyboard_lm.evaluation.task import Conditions, Subject
from keyboard_lm.evaluation.typist import TypedUnit

KEY_S = 0.33  # one key: 36.2 words a minute, the mean of 37,370 phone typists (Palin et al. 2019)
LOOK_S = 0.2  # one look at the bar; a round figure, since the literature has from 0.1 to over 0.5


@dataclass
class _Cost:
    keys: int = 0
    looks: int = 0
    taken: int = 0


class KeystrokeSavings:
    """Has each message typed by somebody who takes the wanted word from the bar as soon as it is there.

    Savings are 100 (C - K) / C: C characters of the message, K keys pressed (TextSlinger's definition). The typist
    looks at the bar before every key of a word, the first included, that a slot could save. Taking a slot is one key
    and brings the space after the word; punctuation typed next takes that space back. With typing errors, what follows
    a word corrects it as the engine says. A backspace takes back what should have stayed, where the keyboard has that;
    what else is wrong then is deleted from its first wrong character on and typed again, rightly. All these keys count.
    Of two words that a missed or doubled space would run together the first may be taken as well: its slot brings the
    space.
    """

    name = "savings"
    needs_scorer = False
    default_errors = "perfect"

    def metrics(self, slots: tuple[int, ...]) -> tuple[Metric, ...]:
        """Return savings for each bar length, and for the middle one what looking does to speed."""
        middle = slots[len(slots) // 2]
        return (
            count("chars", "characters"),
            *(Metric(f"savings{n}", f"{n} slots %", _savings(n)) for n in slots),
            Metric(f"taken{middle}", f"slots taken per 100 ({middle})", ratio(f"taken{middle}", "chars")),
            Metric(f"speed{middle}", f"char/s ({middle})", lambda sums: sums["chars"] / _seconds(sums, middle), 2),
            Metric("speed_unaided", "char/s unaided", lambda sums: sums["chars"] / (KEY_S * sums["keys0"]), 2),
            Metric(
                f"break_even{middle}",
                f"break-even look ms ({middle})",
                lambda sums: 1000 * KEY_S * (sums["keys0"] - sums[f"keys{middle}"]) / sums[f"looks{middle}"],
                0,
            ),
        )

    def measure(
        self, subject: Subject, document: Sequence[str], conditions: Conditions, rng: np.random.Generator
    ) -> Counts:
        """Return characters, and keys, looks and slots taken for each bar length; 0 slots is the keyboard unaided."""
        counts: dict[str, float] = {"chars": sum(map(len, document))}
        lengths = (0, *conditions.slots)
        for length in lengths:
            counts.update({f"keys{length}": 0, f"looks{length}": 0, f"taken{length}": 0})
        for message in document:
            units = conditions.typist.type_units(message, rng)
            subject.engine.start_field()
            for length in lengths:
                cost = _type(subject.engine, message, units, length, conditions)
                counts[f"keys{length}"] += cost.keys
                counts[f"looks{length}"] += cost.looks
                counts[f"taken{length}"] += cost.taken
        return counts


def _type(engine: Engine, message: str, units: Sequence[TypedUnit], num_slots: int, conditions: Conditions) -> _Cost:
    cost = _Cost()
    written = ""  # what stands in the field: the message so far, but for the case of words taken in folded text
    position = 0
    pending = list(reversed(units))
    while pending:
        unit = pending.pop()
        between = message[position : unit.start]
        cost.keys += len(between)
        before = written + between
        taken = _taken_slot(engine, before, unit, message, num_slots, conditions, cost)
        if taken is not None:
            written, word = taken
            position = word.end
            if message[position : position + 1] == " ":  # the slot brought it
                written += " "
                position += 1
            if word is not unit:
                pending += reversed(unit.parts[1:])
            continue
        result = before + unit.typed
        if num_slots and unit.end < len(message):  # what follows, a blank or a mark, finishes the word
            result = finished(engine, result, unit.taps)
        wanted = before + unit.intended
        if not conditions.same(result, wanted):
            is_broken = conditions.same(before + unit.typed, wanted)
            if is_broken and (restored := undone(engine)) is not None and conditions.same(restored, wanted):
                cost.keys += 1
                result = wanted
        if not conditions.same(result, wanted):
            same = _common_length(result, wanted, conditions)
            cost.keys += len(result) - same + len(wanted) - same
            result = wanted
        written = result
        position = unit.end
    cost.keys += len(message) - position
    return cost


def _taken_slot(
    engine: Engine,
    before: str,
    unit: TypedUnit,
    message: str,
    num_slots: int,
    conditions: Conditions,
    cost: _Cost,
) -> tuple[str, TypedUnit] | None:
    # Types the unit key by key. Returns the text once it, or the first of its words, was taken from the bar, and which
    # it was; None if all was typed.
    for length in range(len(unit.typed) + 1):
        prefix = unit.typed[:length]
        wanted = [word for word in (unit, *unit.parts[:1]) if num_slots and _is_saving(word, prefix, message)]
        if wanted:
            cost.looks += 1
            for slot in engine.bar(before + prefix, num_slots, unit.taps[:length]).slots:
                result = after_slot(before + prefix, slot)
                for word in wanted:
                    if conditions.same(result, before + word.intended):
                        cost.keys += 1
                        cost.taken += 1
                        return result, word
        cost.keys += length < len(unit.typed)
    return None


def _is_saving(word: TypedUnit, prefix: str, message: str) -> bool:
    # Whether to take the word from a slot now may save a key, the space after it included.
    if not word.typed.startswith(prefix):
        return False
    keys_left = len(word.typed) - len(prefix) + (message[word.end : word.end + 1] == " ")
    return keys_left > 1 or not word.intended.startswith(prefix)


def _common_length(first: str, second: str, conditions: Conditions) -> int:
    same = 0
    for one, other in zip(first, second, strict=False):
        if not conditions.same(one, other):
            break
        same += 1
    return same


def _savings(num_slots: int) -> Callable[[Sums], NDArray[np.float64]]:
    return lambda sums: 100 * (sums["chars"] - sums[f"keys{num_slots}"]) / sums["chars"]


def _seconds(sums: Sums, num_slots: int) -> NDArray[np.float64]:
    return KEY_S * sums[f"keys{num_slots}"] + LOOK_S * sums[f"looks{num_slots}"]
