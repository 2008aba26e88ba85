"""Named sessions for the golden file `sessions`: what a keyboard remembers, refuses, and does without a bar.

A step is a text, whose keys are pressed with a look at the bar behind each, or one of

    Keys(text)        the same without a look: a key that ends a word gets its correction all the same
    an event          of `keyboard_lm.keyboard.events`
    "restart"         the last word is learned; another session over the same store
    "look"            the bar as it is made with all the time it takes
    "late"            the bar after its deadline: no call of the network
    "at once"         the bar that needs no call
    "stale"           the bar of the state before is shown again, and refused
"""

from __future__ import annotations

from dataclasses import dataclass

from keyboard_lm.keyboard.events import (
    Backspaced,
    CursorMoved,
    Event,
    FieldStarted,
    GhostAccepted,
    ShiftPressed,
    SlotAccepted,
    TextChanged,
)


@dataclass(frozen=True)
class Keys:
    """Keys pressed without a look at the bar."""

    text: str


Step = str | Keys | Event

SCENARIOS: dict[str, tuple[Step, ...]] = {
    "a space puts in what the bar announced": ("what is teh", " "),
    "a key before the bar gives what a key after the bar gives": (Keys("what is teh "),),
    "a correction is taken back and stays back": ("what is teh ", Backspaced(), Backspaced(), " ", "teh "),
    "what was undone stays undone in another field": ("dont ", Backspaced(), FieldStarted("So "), "dont "),
    "what was undone stays undone after a restart": (
        FieldStarted("So "), "dont ", Backspaced(), "restart", FieldStarted("So "), "dont ",
    ),
    "a capital that was undone stays undone": ("so i ", Backspaced(), FieldStarted("and "), Keys("i ")),
    "a private field teaches nothing": (
        FieldStarted("", is_private=True), Keys("wrold "), Backspaced(), FieldStarted("So "), Keys("wrold "),
    ),
    "an answer to an older state is refused": ("what is teh", "stale", "n", "stale", CursorMoved(0), "stale"),
    "a bar after its deadline is poor, and made again": (Keys("I am going"), "late", "look"),
    "the bar at once asks nothing": (Keys("I am go"), "at once", "look"),
    "a taken word is learned at once and offered": (
        FieldStarted("talk to "), SlotAccepted("Siobhan", ""), FieldStarted("talk to "), "Si",
    ),
    "a word is learned with the words before it": (
        *(FieldStarted("we saw "), Keys("purple giraffes today. ")) * 3, FieldStarted("I like purple "), "g",
    ),
    "an accepted word's space goes before punctuation": (SlotAccepted("hello"), ",", Backspaced(), " ", "."),
    "an accepted word does not run into what is behind it": (TextChanged("'tis", 0), SlotAccepted("so", "")),
    "two spaces are a full stop, and backspace takes it back": ("hi there", "  ", Backspaced()),
    "ghost text is taken word by word": (GhostAccepted("how are you", only_word=True), GhostAccepted("are you")),
    "shift, once and locked": (ShiftPressed(), "ab", ShiftPressed(lock=True), "cd", ShiftPressed(), "e"),
    "nothing is corrected inside a word or an address": (
        TextChanged("teh end", 2), " ", TextChanged("a@teh", 5), " ", TextChanged("#teh", 4), " ",
    ),
    "the message that was sent reports its last word": ("see you", TextChanged("", 0), FieldStarted("so "), "s"),
}  # fmt: skip
