"""How probable it is that somebody who means a word touches these places, or types these letters.

The noisy channel of Kernighan, Church and Gale (1990, "A Spelling Correction Program Based on a Noisy Channel Model"),
with the places of the taps in place of letters where they are known, as in Goodman et al. (2002, "Language Modeling for
Soft Keyboards"). All numbers are natural logarithms of likelihoods relative to hitting the typed keys on purpose, so
that what was typed, taken at its word, has 0.
"""

from __future__ import annotations

import dataclasses
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.errors import ConfigError
from keyboard_lm.tables import parse_toml, strict
from keyboard_lm.text.case import fold
from keyboard_lm.touch.layout import Layout, Tap
from keyboard_lm.touch.spelling import SpellingRule, load_spelling

CHANNEL_FILE = "channel.toml"
Logs = NDArray[np.float32]
NEVER = -1e4  # the logarithm of a probability that is not worth having; infinities would make NaN of a sum
_APOSTROPHE, _HYPHEN = "'", "-"
_VOWELS = frozenset("aeiou")


@dataclass(frozen=True)
class TapModel:
    """Where taps that mean one key fall, in key widths and heights: most near its centre, a few anywhere around it.

    Attributes:
        dx: mean distance to the right of the key's centre.
        dy: mean distance below it.
        sd_x: standard deviation of x.
        sd_y: standard deviation of y.
        stray: the share of taps that are further scattered.
        stray_sd: their standard deviation, of x and of y; also that of a key that is brushed as well.
    """

    dx: float = 0.0
    dy: float = 0.0
    sd_x: float = 0.23
    sd_y: float = 0.18
    stray: float = 0.01
    stray_sd: float = 0.7


@dataclass(frozen=True)
class ErrorRates:
    """How often which error is made. All are probabilities.

    Attributes:
        omission: of leaving a letter out.
        first_omission: of leaving the first one out.
        single_for_double: of writing one of two equal letters side by side.
        apostrophe: of leaving an apostrophe out.
        hyphen: of leaving a hyphen out.
        accent: of typing a letter that has no key as the one it is made from (``é`` as ``e``).
        insertion: of hitting a key near a letter as well, half of them before it.
        doubling: of writing a letter twice.
        transposition: of swapping two letters.
        first_letter: how often the first letter is another than the one meant, against any other letter of a word.
        moved: of a letter that is written two places too early or too late (``tounge``).
        vowel: of writing one vowel for another.
        spelling: of writing any one letter for another.
        missed_space: of leaving a space out.
        stray_space: of a space between two letters.
        missed_shift: of a word with capitals being written without.
        stray_shift: of a word without being written with a capital.
    """

    omission: float = 0.005
    first_omission: float = 0.0005
    single_for_double: float = 0.02
    apostrophe: float = 0.1
    hyphen: float = 0.05
    accent: float = 0.9
    insertion: float = 0.004
    doubling: float = 0.004
    transposition: float = 0.003
    first_letter: float = 0.45
    moved: float = 0.0003
    vowel: float = 0.004
    spelling: float = 0.0002
    missed_space: float = 0.004
    stray_space: float = 0.0002
    missed_shift: float = 0.08
    stray_shift: float = 0.02


@dataclass(frozen=True)
class ChannelParameters:
    """The numbers of a channel.

    Attributes:
        taps: where fingers land.
        rates: of their errors.
        spelling: what people write who believe that they spell rightly.

    Raises:
        ConfigError: on construction, listing every number that is out of range.
    """

    taps: TapModel = dataclasses.field(default_factory=TapModel)
    rates: ErrorRates = dataclasses.field(default_factory=ErrorRates)
    spelling: tuple[SpellingRule, ...] = ()

    def __post_init__(self) -> None:
        rates = {**dataclasses.asdict(self.rates), "stray": self.taps.stray}
        mistakes = [
            f"{name} must be above 0 and below 1, not {rate!r}"
            for name, rate in rates.items()
            if not _is_number(rate) or not 0 < rate < 1
        ]
        for name in ("sd_x", "sd_y", "stray_sd"):
            deviation = getattr(self.taps, name)
            if not _is_number(deviation) or deviation <= 0:
                mistakes.append(f"{name} must be positive, not {deviation!r}")
        mistakes += [f"{name} must be a number" for name in ("dx", "dy") if not _is_number(getattr(self.taps, name))]
        if mistakes:
            raise ConfigError("channel: " + "; ".join(mistakes))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def parse_channel(values: Mapping[str, Any]) -> ChannelParameters:
    """Build parameters from parsed TOML, as ``languages/en/channel.toml`` has it.

    Raises:
        ConfigError: unknown keys, or numbers out of range.
    """
    if unknown := values.keys() - {"taps", "rates"}:
        raise ConfigError(f"channel: unknown section {', '.join(sorted(unknown))}")
    taps = strict(TapModel, values.get("taps", {}), "channel [taps]")
    return ChannelParameters(taps, strict(ErrorRates, values.get("rates", {}), "channel [rates]"))


@cache
def load_channel_parameters(language: str = "en") -> ChannelParameters:
    """Return the parameters that come with a language."""
    path = resources.files("keyboard_lm").joinpath("languages", language, CHANNEL_FILE)
    fingers = parse_channel(parse_toml(path.read_text(encoding="utf-8"), CHANNEL_FILE))
    return dataclasses.replace(fingers, spelling=load_spelling(language))


class Evidence(NamedTuple):
    """What the letters typed and the places touched say about each letter, numbered as in the lexicon.

    A counts the letters and the root.

    Attributes:
        emission: of meaning a letter with what was typed at a place, (T, A).
        after: of a key being hit as well after a letter, (T, A).
        before: of a key being hit as well before one, (T, A).
    """

    emission: Logs
    after: Logs
    before: Logs


class Place(NamedTuple):
    """What one letter typed, and the place touched, say about each letter of the alphabet.

    Attributes:
        hit: of meaning a letter, (A,).
        brushed: of a key being hit as well, before or after a letter, (A,).
        added: the same after a letter, or of writing this one behind it by mistake, (A,).
    """

    hit: Logs
    brushed: Logs
    added: Logs


class Substitution(NamedTuple):
    """Several letters that are written for others, at the end of what was typed.

    Attributes:
        log_probability: of that.
        num_typed: how many letters were typed.
        meant: numbers of the letters that belong there.
        at_start: whether only at the beginning of a word.
    """

    log_probability: float
    num_typed: int
    meant: tuple[int, ...]
    at_start: bool


class Channel:
    """The channel of one keyboard, for words written in one alphabet.

    Args:
        layout: of the keyboard.
        alphabet: the letters of words, folded; a letter's number is its place plus 1.
        parameters: None for the defaults.

    Attributes:
        omission: of leaving out a letter (column) after another (row; 0 is the word's beginning), (A, A).
        transposition: of swapping two letters.
        moved: of a letter two places too early or too late.
        substitutions: of several letters, by what was typed.
        longest_typed: letters of the longest of these.
    """

    def __init__(self, layout: Layout, alphabet: str, parameters: ChannelParameters | None = None) -> None:
        self.parameters = parameters or ChannelParameters()
        self.layout = layout
        self.alphabet = alphabet
        self.transposition = math.log(self.parameters.rates.transposition)
        self.moved = math.log(self.parameters.rates.moved)
        self._number_of = {letter: number for number, letter in enumerate(alphabet, 1)}
        self._keys = [_key_of(layout, letter) for letter in alphabet]
        centres = [layout.centre(key) if key else None for key in self._keys]
        # Letters without a key are infinitely far from every tap.
        self._x = np.array([-math.inf, *(centre.x if centre else -math.inf for centre in centres)])  # (A,)
        self._y = np.array([-math.inf, *(centre.y if centre else -math.inf for centre in centres)])  # (A,)
        rates = self.parameters.rates
        self._as_its_key = np.ones(len(alphabet) + 1)  # how often a letter is typed by the key it has, (A,)
        for number, (letter, key) in enumerate(zip(alphabet, self._keys, strict=True), 1):
            if key is not None and key != letter:
                self._as_its_key[number] = np.exp(math.log(rates.accent))
        self._spelling = self._spellings()
        self._additions = self._added_letters()
        self.omission = self._omissions()
        self.substitutions = self._substitutions()
        self.longest_typed = max(map(len, self.substitutions), default=0)
        self._by_key: dict[str, Place] = {}

    def evidence(self, typed: str, taps: Sequence[Tap | None] = ()) -> Evidence:
        """Return what each place of a word says.

        Args:
            typed: the letters; case is ignored.
            taps: one for each letter; empty, or None in a place, where it is not known.
        """
        folded = fold(typed)
        known_taps = taps if len(taps) == len(typed) else (None,) * len(typed)
        size = len(self.alphabet) + 1
        emission, after, before = (np.full((len(typed), size), NEVER, np.float32) for _ in range(3))
        for i, (char, tap) in enumerate(zip(folded, known_taps, strict=True)):
            place = self.place(char, tap) if i else self.first_place(char, tap)
            emission[i], before[i], _ = place
            after[i] = self.doubled(char, place.added) if char == folded[max(i - 1, 0) : i] else place.added
        return Evidence(emission, after, before)

    def place(self, char: str, tap: Tap | None) -> Place:
        """Return what a folded letter says, by the place of its tap or, where that is not known, by its key."""
        return self._of_tap(char, tap) if tap is not None else self._of_key(char)

    def first_place(self, char: str, tap: Tap | None) -> Place:
        """Return what the first folded letter of a word says, which is more often right than any other."""
        place = self.place(char, tap)
        own = self._number_of.get(char, 0)
        hit = place.hit + np.float32(math.log(self.parameters.rates.first_letter))
        hit[own] = place.hit[own]
        return place._replace(hit=hit)

    def doubled(self, char: str, brushed: Logs) -> Logs:
        """Return what is said of a key being hit as well after a letter where that letter is typed twice, (A,)."""
        number = self._number_of.get(char, 0)
        if number:
            brushed = brushed.copy()
            brushed[number] = np.logaddexp(brushed[number], math.log(self.parameters.rates.doubling))
        return brushed

    def _of_key(self, char: str) -> Place:
        # Without a tap: the share of each letter's taps that land on the typed key.
        known = self._by_key.get(char)
        if known is None:
            centre = self.layout.centre(char)
            taps = self.parameters.taps
            if centre is None:
                known = self._combined(char, None, None)
            else:
                on_key = self._share(centre, taps.sd_x, taps.sd_y, taps.dx, taps.dy)
                near = self._share(centre, taps.stray_sd, taps.stray_sd, 0.0, 0.0)
                mixed = self._mixed(on_key, near)
                known = self._combined(char, mixed / self._own(char, mixed), near)
            self._by_key[char] = known
        return known

    def _of_tap(self, char: str, tap: Tap) -> Place:
        if self.layout.centre(char) is None:
            return self._of_key(char)
        taps = self.parameters.taps
        right, below = tap.x - self._x, tap.y - self._y  # (A,)
        x, y = (right - taps.dx) / taps.sd_x, (below - taps.dy) / taps.sd_y
        on_key = np.exp(-(x * x + y * y) / 2) / (2 * math.pi * taps.sd_x * taps.sd_y)
        near = np.exp(-(right * right + below * below) / (2 * taps.stray_sd**2)) / (2 * math.pi * taps.stray_sd**2)
        mixed = self._mixed(on_key, near)
        own = self._own(char, mixed)
        return self._combined(char, mixed / own, near / own)

    def _mixed(self, on_key: NDArray[np.float64], near: NDArray[np.float64]) -> NDArray[np.float64]:
        stray = self.parameters.taps.stray
        return (1 - stray) * on_key + stray * near

    def _own(self, char: str, mixed: NDArray[np.float64]) -> float:
        number = self._number_of.get(char, 0)
        return float(mixed[number]) if number else 1.0

    def _share(self, key: Tap, sd_x: float, sd_y: float, dx: float, dy: float) -> NDArray[np.float64]:
        x, y = key.x - self._x - dx, key.y - self._y - dy
        return _mass(x - 0.5, x + 0.5, sd_x) * _mass(y - 0.5, y + 0.5, sd_y)

    def _combined(self, char: str, hit: NDArray[np.float64] | None, near: NDArray[np.float64] | None) -> Place:
        # The two ways to type one letter for another, and the key that is brushed: (A,), (A,).
        rates = self.parameters.rates
        number = self._number_of.get(char, 0)
        spelt = self._spelling[number]
        brushed: float | NDArray[np.float64] = 0.02 / len(spelt)
        if hit is not None and near is not None:
            spelt = spelt + hit * self._as_its_key
            brushed = brushed + near
        with np.errstate(divide="ignore"):
            emission = np.maximum(np.log(spelt), NEVER)
            brush = np.full(len(spelt), np.log(brushed * rates.insertion / 2))
            added = np.logaddexp(brush, np.log(self._additions[number]))
        if number:
            emission[number] = 0.0
        emission[0] = brush[0] = added[0] = NEVER
        return Place(emission.astype(np.float32), brush.astype(np.float32), added.astype(np.float32))

    def _spellings(self) -> NDArray[np.float64]:
        # Of writing a letter (row) as another (column); column 0 is a character that no word has.
        rates = self.parameters.rates
        size = len(self.alphabet) + 1
        spellings = np.zeros((size, size))
        letters = [number for number, letter in enumerate(self.alphabet, 1) if letter.isalpha()]
        spellings[np.ix_(letters, letters)] = rates.spelling
        vowels = [number for number, letter in enumerate(self.alphabet, 1) if letter in _VOWELS]
        spellings[np.ix_(vowels, vowels)] = rates.vowel
        for rule, meant, typed in self._numbered:
            if rule.is_substitution:
                spellings[typed[0], meant[0]] = max(spellings[typed[0], meant[0]], math.exp(rule.log_probability))
        return spellings

    @cached_property
    def _numbered(self) -> list[tuple[SpellingRule, tuple[int, ...], tuple[int, ...]]]:
        # The rules of spelling whose letters the alphabet has, with their numbers.
        number_of = self._number_of.__getitem__
        return [
            (rule, tuple(map(number_of, rule.meant)), tuple(map(number_of, rule.typed)))
            for rule in self.parameters.spelling
            if self._number_of.keys() >= {*rule.meant, *rule.typed}
        ]

    def _added_letters(self) -> NDArray[np.float64]:
        # Of writing a letter (row) behind another (column) where it does not belong.
        size = len(self.alphabet) + 1
        added = np.zeros((size, size))
        for rule, meant, typed in self._numbered:
            if rule.is_insertion:
                added[typed[1], meant[0]] = math.exp(rule.log_probability)
        return added

    def _substitutions(self) -> dict[str, list[Substitution]]:
        found: dict[str, list[Substitution]] = {}
        for rule, meant, _ in self._numbered:
            if not (rule.is_substitution or rule.is_omission or rule.is_insertion):
                made = Substitution(rule.log_probability, len(rule.typed), meant, rule.at_start)
                found.setdefault(rule.typed, []).append(made)
        return found

    def _omissions(self) -> Logs:
        rates = self.parameters.rates
        size = len(self.alphabet) + 1
        omission = np.full((size, size), rates.omission)
        omission[0] = rates.first_omission
        np.fill_diagonal(omission, rates.single_for_double)
        for rule, meant, _ in self._numbered:
            if rule.is_omission:
                omission[meant] = max(omission[meant], math.exp(rule.log_probability))
        for letter, rate in ((_APOSTROPHE, rates.apostrophe), (_HYPHEN, rates.hyphen)):
            if number := self._number_of.get(letter):
                omission[:, number] = rate
        logs: Logs = np.log(omission).astype(np.float32)
        return logs


def _key_of(layout: Layout, letter: str) -> str | None:
    # The key that types a letter: its own, or that of the letter an accent is put on.
    if layout.centre(letter) is not None:
        return letter
    base = unicodedata.normalize("NFD", letter)[0]
    return base if base != letter and layout.centre(base) is not None else None


def _mass(low: NDArray[np.float64], high: NDArray[np.float64], deviation: float) -> NDArray[np.float64]:
    # The normal distribution's mass between two places.
    scale = 1 / (deviation * math.sqrt(2))
    return np.array([math.erf(b * scale) - math.erf(a * scale) for a, b in zip(low, high, strict=True)]) / 2
