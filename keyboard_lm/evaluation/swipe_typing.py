"""A typist who swipes: strokes and time for whole messages in a keyboard's own field."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keyboard_lm.evaluation.estimate import Counts, Metric, count, ratio
from keyboard_lm.evaluation.savings import KEY_S, LOOK_S
from keyboard_lm.evaluation.swiper import Swiper
from keyboard_lm.evaluation.words import words_of
from keyboard_lm.keyboard.events import Backspaced, FieldStarted, SlotAccepted, Swiped, Typed
from keyboard_lm.keyboard.session import Session
from keyboard_lm.text.case import fold

METRICS = (
    count("chars", "characters"),
    count("words", "words"),
    Metric("first", "words swiped rightly %", ratio("first", "swipes")),
    Metric("mended", "taken from the bar %", ratio("mended", "swipes")),
    Metric("savings", "savings %", lambda sums: 100 * (sums["chars"] - sums["strokes"]) / sums["chars"]),
    Metric("speed", "words a minute", lambda sums: 60 * sums["chars"] / 5 / sums["seconds"]),
)


def swipe_message(session: Session, message: str, swiper: Swiper, rng: np.random.Generator) -> Counts:
    """Swipe a message's words, as far as they can be, and type the rest.

    A swipe is one stroke and takes as long as its path; after each the typist looks at what stands there, takes the
    word from the bar if it is there, or else takes the swipe back and types the letters. Capitals of the first word are
    the keyboard's; other words are right in any case.

    Args:
        session: whose field is emptied first.
        message: that `keyboard_lm.text.form.normalise` has seen.
        swiper: the finger.
        rng: the source of its choices.
    """
    session.apply(FieldStarted())
    counts = dict.fromkeys(("chars", "words", "swipes", "first", "mended", "strokes", "seconds"), 0.0)
    counts["chars"] = len(message)
    position = 0
    for word in words_of(message):
        _type(session, message[position : word.start], counts)
        position = word.end
        counts["words"] += 1
        path = swiper.swipe(word.text, rng)
        if not path or (session.text and not session.text[-1].isspace()):
            _type(session, word.text, counts)
            continue
        counts["swipes"] += 1
        counts["strokes"] += 1
        counts["seconds"] += path[-1].t_ms / 1000 + LOOK_S
        before = session.text
        session.apply(Swiped(path))
        if fold(session.text.strip()) == fold((before + word.text).strip()):
            counts["first"] += 1
            continue
        slot = next((slot for slot in session.suggest().slots if fold(slot.text) == fold(word.text)), None)
        counts["strokes"] += 1
        counts["seconds"] += KEY_S
        if slot is not None:
            counts["mended"] += 1
            session.apply(SlotAccepted(slot.text, slot.replaced))
            continue
        session.apply(Backspaced())
        _type(session, word.text, counts)
    _type(session, message[position:], counts)
    return counts


def swipe_messages(session: Session, messages: Sequence[str], swiper: Swiper, rng: np.random.Generator) -> list[Counts]:
    """Return the counts of messages, each in a field of its own."""
    return [swipe_message(session, message, swiper, rng) for message in messages]


def _type(session: Session, text: str, counts: dict[str, float]) -> None:
    for char in text:
        if char == " " and session.text.endswith(" "):
            continue  # came with the word
        session.apply(Typed(char))
        counts["strokes"] += 1
        counts["seconds"] += KEY_S
