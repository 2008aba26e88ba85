"""A typist: turns a text into what fingers make of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from keyboard_lm.evaluation.misspellings import Misspellings, load_misspellings
from keyboard_lm.evaluation.noise import ErrorKind, NoiseModel, load_noise
from keyboard_lm.evaluation.words import words_of
from keyboard_lm.touch.layout import SPACE, Layout, Tap, load_layout

_APOSTROPHE = "'"
_BRUSH_SD = 0.6  # how far, in keys, from the intended key the finger hits that brushes one more
_LOOK_BACK = 16  # characters in which the end of the sentence before is looked for
_QUOTES = " \"'“”‘’([{"
_SENTENCE_ENDS = ".!?…\n"


@dataclass(frozen=True)
class TypedUnit:
    """A stretch of a text, and what was typed for it.

    Attributes:
        start: index of its first character in the text.
        end: index after its last character.
        intended: the stretch; one word, or two words and the space between them if that went wrong.
        typed: what was typed for it: ``"teh"``; ``"inthe"`` for ``"in the"``; ``"t he"`` for ``"the"``.
        taps: one for each character of `typed`; None for a character without a key on the letter page.
        errors: what went wrong, in no particular order; two errors may make the right word.
        parts: its two words as each was typed by itself, where the space between them went wrong.
    """

    start: int
    end: int
    intended: str
    typed: str
    taps: tuple[Tap | None, ...]
    errors: tuple[ErrorKind, ...]
    parts: tuple[TypedUnit, ...] = ()


@dataclass(frozen=True)
class _Stroke:
    char: str
    tap: Tap | None


class Typist:
    """Types words with the errors of a noise model.

    A word is first spelt, perhaps wrongly; then fingers leave out, add and swap letters; then every letter that has a
    key is tapped, and what is typed is the letter key under the tap, or the nearest one (a tap meant for a letter
    never hits the space bar). Characters that have no key on the letter page are typed as they are. At most one of
    omission, insertion, doubling and transposition happens at one letter, and no word is joined with both its
    neighbours.

    Args:
        layout: of the keyboard.
        noise: which errors are made how often.
        misspellings: what people believe to be the spelling; None for those that ship with the package.
    """

    def __init__(self, layout: Layout, noise: NoiseModel, misspellings: Misspellings | None = None) -> None:
        self.layout = layout
        self.noise = noise
        self._misspellings = misspellings or load_misspellings()

    def type_units(self, text: str, rng: np.random.Generator) -> list[TypedUnit]:
        """Type a text, and return its words as they were typed; what stands between them is typed rightly.

        Args:
            text: that `keyboard_lm.text.form.normalise` has seen.
            rng: the source of every choice.
        """
        units: list[TypedUnit] = []
        held: tuple[TypedUnit, tuple[_Stroke, ...], ErrorKind] | None = None  # a word, and the bad space after it
        words = list(words_of(text))
        for index, word in enumerate(words):
            unit = self._type(word.text, rng, is_alone=False, num_raised=int(_starts_sentence(text, word.start)))
            unit = _moved(unit, word.start)
            if held is not None:
                units.append(_joined(text, *held, unit))
                held = None
                continue
            gap = text[word.end : words[index + 1].start] if index + 1 < len(words) else ""
            space = self._type_space(rng) if gap == SPACE else None
            if space is None:
                units.append(unit)
            else:
                held = (unit, *space)
        return units

    def type_word(self, word: str, rng: np.random.Generator) -> TypedUnit:
        """Type one word by itself: without stray spaces, and with its capitals, which depend on the sentence."""
        return self._type(word, rng, is_alone=True, num_raised=len(word))

    def _type(self, word: str, rng: np.random.Generator, is_alone: bool, num_raised: int) -> TypedUnit:
        errors: list[ErrorKind] = []
        spelling = self._spell(self._shift(word, num_raised, rng, errors), rng, errors)
        strokes: list[_Stroke] = []
        for char in self._finger(spelling, rng, errors):
            strokes.append(self._tap(char, rng, errors) if isinstance(char, str) else char)
        if not is_alone:
            strokes = self._scatter_spaces(strokes, rng, errors)
        typed = "".join(stroke.char for stroke in strokes)
        return TypedUnit(0, len(word), word, typed, tuple(stroke.tap for stroke in strokes), tuple(errors))

    def _shift(self, word: str, num_raised: int, rng: np.random.Generator, errors: list[ErrorKind]) -> str:
        # The first `num_raised` characters are capitals without shift, if they are.
        capitals = word[num_raised:]
        if capitals == capitals.lower() or rng.random() >= self.noise.missed_shift:
            return word
        errors.append(ErrorKind.MISSED_SHIFT)
        return word[:num_raised] + capitals.lower()

    def _spell(self, word: str, rng: np.random.Generator, errors: list[ErrorKind]) -> str:
        options = self._misspellings.of(word) if self.noise.misspelling else ()
        if options:
            draw = rng.random() / self.noise.misspelling
            for misspelt, weight in options:
                if draw < weight:
                    word = misspelt
                    errors.append(ErrorKind.MISSPELLING)
                    break
                draw -= weight
        if _APOSTROPHE in word and self.noise.dropped_apostrophe:
            dropped = [char == _APOSTROPHE and rng.random() < self.noise.dropped_apostrophe for char in word]
            word = "".join(char for char, is_dropped in zip(word, dropped, strict=True) if not is_dropped)
            errors += [ErrorKind.DROPPED_APOSTROPHE] * sum(dropped)
        return word

    def _finger(self, word: str, rng: np.random.Generator, errors: list[ErrorKind]) -> Iterator[str | _Stroke]:
        # Yields the letters that the fingers go for, and finished strokes for those that they only brush.
        noise = self.noise
        has_key = [self.layout.centre(char) is not None and char != SPACE for char in word]
        draws = rng.random(len(word)) if word else ()
        index = 0
        while index < len(word):
            char, draw = word[index], draws[index]
            index += 1
            if not has_key[index - 1]:
                yield char
                continue
            if index > 1 and draw < noise.omission:
                errors.append(ErrorKind.OMISSION)
                continue
            draw -= noise.omission if index > 1 else 0
            if draw < noise.insertion:
                errors.append(ErrorKind.INSERTION)
                brushed = self._brush(char, rng)
                yield from (brushed, char) if rng.random() < 0.5 else (char, brushed)
                continue
            draw -= noise.insertion
            if draw < noise.doubling:
                errors.append(ErrorKind.DOUBLING)
                stroke = self._tap(char, rng, errors)
                yield from (stroke, stroke)  # the finger stays where it is
                continue
            draw -= noise.doubling
            if (
                draw < noise.transposition
                and index < len(word)
                and has_key[index]
                and char.lower() != word[index].lower()
            ):
                errors.append(ErrorKind.TRANSPOSITION)
                # Shift is for a place in the word: "Hte", not "hTe".
                yield _like(word[index], char)
                yield _like(char, word[index])
                index += 1
                continue
            yield char

    def _tap(self, char: str, rng: np.random.Generator, errors: list[ErrorKind]) -> _Stroke:
        centre = self.layout.centre(char)
        if centre is None:
            return _Stroke(char, None)
        if char == SPACE:
            return self._tap_space(rng)
        spread = self.noise.spread_of(char.lower())
        x, y = rng.standard_normal(2)
        tap = Tap(centre.x + spread.dx + spread.sd_x * x, centre.y + spread.dy + spread.sd_y * y)
        key = self.layout.nearest_key(tap)
        if key == char.lower():
            return _Stroke(char, tap)
        errors.append(ErrorKind.NEIGHBOUR)
        return _Stroke(_like(key, char), tap)

    def _brush(self, char: str, rng: np.random.Generator) -> _Stroke:
        centre = self.layout.centre(char)
        assert centre is not None
        while True:
            x, y = rng.standard_normal(2)
            tap = Tap(centre.x + _BRUSH_SD * x, centre.y + _BRUSH_SD * y)
            key = self.layout.nearest_key(tap)
            if key != char.lower():
                return _Stroke(key, tap)

    def _tap_space(self, rng: np.random.Generator) -> _Stroke:
        centre = self.layout.centre(SPACE)
        assert centre is not None
        spread = self.noise.spread_of(SPACE)
        x, y = rng.standard_normal(2)
        tap = Tap(centre.x + spread.dx + spread.sd_x * x, centre.y + spread.dy + spread.sd_y * y)
        return _Stroke(SPACE, self.layout.on_space_bar(tap))

    def _scatter_spaces(
        self, strokes: Sequence[_Stroke], rng: np.random.Generator, errors: list[ErrorKind]
    ) -> list[_Stroke]:
        scattered = list(strokes[:1])
        draws = rng.random(max(len(strokes) - 1, 0))
        for stroke, draw in zip(strokes[1:], draws, strict=True):
            if draw < self.noise.stray_space:
                errors.append(ErrorKind.STRAY_SPACE)
                scattered.append(self._tap_space(rng))
            scattered.append(stroke)
        return scattered

    def _type_space(self, rng: np.random.Generator) -> tuple[tuple[_Stroke, ...], ErrorKind] | None:
        # What is typed for the space between two words, unless it is a space.
        draw = rng.random()
        if draw < self.noise.missed_space:
            return (), ErrorKind.MISSED_SPACE
        if draw < self.noise.missed_space + self.noise.doubled_space:
            return (self._tap_space(rng), self._tap_space(rng)), ErrorKind.DOUBLED_SPACE
        return None


def load_typist(errors: str, layout: str = "qwerty") -> Typist:
    """Return a typist for a level of errors: ``perfect``, ``typical`` or ``heavy``.

    Raises:
        ConfigError: no such level or layout.
    """
    return Typist(load_layout(layout), load_noise(errors))


def _like(key: str, char: str) -> str:
    # `key` in the case of `char`; letters whose other case is two characters (ß) stay as they are.
    cased = key.upper() if char.isupper() else key.lower()
    return cased if len(cased) == 1 else key


def _starts_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - _LOOK_BACK) : start].rstrip(_QUOTES)
    return not before or before[-1] in _SENTENCE_ENDS


def _moved(unit: TypedUnit, start: int) -> TypedUnit:
    return TypedUnit(start, start + unit.end, unit.intended, unit.typed, unit.taps, unit.errors)


def _joined(text: str, first: TypedUnit, space: tuple[_Stroke, ...], error: ErrorKind, second: TypedUnit) -> TypedUnit:
    return TypedUnit(
        first.start,
        second.end,
        text[first.start : second.end],
        first.typed + "".join(stroke.char for stroke in space) + second.typed,
        (*first.taps, *(stroke.tap for stroke in space), *second.taps),
        (*first.errors, error, *second.errors),
        (first, second),
    )
