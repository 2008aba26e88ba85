"""Where the keys of a phone's keyboard are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from keyboard_lm.errors import ConfigError
from keyboard_lm.tables import parse_toml, strict

SPACE = " "


@dataclass(frozen=True)
class Tap:
    """Where a finger touched, in key widths and key heights from the top left corner of the layout's letter rows."""

    x: float
    y: float


@dataclass(frozen=True)
class Row:
    """Keys side by side, each one unit wide.

    Attributes:
        keys: their characters from left to right, lower-case.
        left: x of the first key's left edge.
    """

    keys: str
    left: float


@dataclass(frozen=True)
class _SpaceBar:
    left: float
    width: float


@dataclass(frozen=True)
class Layout:
    """The letter page of a keyboard.

    A character without a key on it (digits and most punctuation, which are on another page; letters that need a long
    press) has no place, and what types it has no tap.

    Attributes:
        name: of the layout.
        rows: from the top.
        space_left: x of the space bar's left edge; the bar is in the row below `rows`.
        space_width: of the bar.

    Raises:
        ConfigError: on construction, listing every mistake.
    """

    name: str
    rows: tuple[Row, ...]
    space_left: float
    space_width: float
    _centres: Mapping[str, Tap] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        mistakes = []
        keys = "".join(row.keys for row in self.rows)
        if not self.rows or not all(row.keys for row in self.rows):
            mistakes.append("every layout has rows, and every row has keys")
        if wrong := [key for key in keys if key.isspace() or key.lower() != key]:
            mistakes.append(f"keys must be lower-case characters, not {wrong}")
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            mistakes.append(f"more than one key for {twice}")
        if not all(_is_length(value) for value in (*(row.left for row in self.rows), self.space_left)):
            mistakes.append("left edges must be numbers, 0 or greater")
        if not _is_length(self.space_width) or self.space_width == 0:
            mistakes.append("the space bar's width must be positive")
        if mistakes:
            raise ConfigError(f"layout {self.name}: " + "; ".join(mistakes))
        centres = {
            key: Tap(row.left + column + 0.5, y + 0.5)
            for y, row in enumerate(self.rows)
            for column, key in enumerate(row.keys)
        }
        centres[SPACE] = Tap(self.space_left + self.space_width / 2, len(self.rows) + 0.5)
        object.__setattr__(self, "_centres", centres)

    @property
    def characters(self) -> tuple[str, ...]:
        """The characters that have a key, row by row; the space last."""
        return tuple(self._centres)

    def centre(self, char: str) -> Tap | None:
        """Return the middle of a character's key, shift being ignored; None if it has no key on this page."""
        return self._centres.get(char) or self._centres.get(char.lower())

    def key_at(self, tap: Tap) -> str | None:
        """Return the character of the key under a tap; None between and outside the keys."""
        if self.space_left <= tap.x < self.space_left + self.space_width and math.floor(tap.y) == len(self.rows):
            return SPACE
        if not 0 <= tap.y < len(self.rows):
            return None
        row = self.rows[math.floor(tap.y)]
        column = math.floor(tap.x - row.left)
        return row.keys[column] if 0 <= column < len(row.keys) else None

    def nearest_key(self, tap: Tap) -> str:
        """Return the character, never the space, of the key under a tap or nearest to it in the nearest row."""
        row = self.rows[_clip(tap.y, len(self.rows))]
        return row.keys[_clip(tap.x - row.left, len(row.keys))]

    def on_space_bar(self, tap: Tap) -> Tap:
        """Return the place of the space bar that is nearest to a tap."""
        bottom = len(self.rows)
        right = math.nextafter(self.space_left + self.space_width, 0)
        return Tap(min(max(tap.x, self.space_left), right), min(max(tap.y, bottom), math.nextafter(bottom + 1, 0)))


def _clip(value: float, length: int) -> int:
    return min(max(math.floor(value), 0), length - 1)


def _is_length(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf


@cache
def layout_names() -> tuple[str, ...]:
    """Return the layouts that ship with the package."""
    folder = resources.files(__package__).joinpath("layouts")
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


@cache
def load_layout(name: str = "qwerty") -> Layout:
    """Return a layout that ships with the package.

    Raises:
        ConfigError: no such layout; the message lists those there are.
    """
    if name not in layout_names():
        raise ConfigError(f"no layout {name!r}; choose one of: {', '.join(layout_names())}")
    path = resources.files(__package__).joinpath("layouts", f"{name}.toml")
    return parse_layout(name, parse_toml(path.read_text(encoding="utf-8"), f"{name}.toml"))


def parse_layout(name: str, values: Mapping[str, Any]) -> Layout:
    """Build a layout from parsed TOML, as ``layouts/qwerty.toml`` has it.

    Raises:
        ConfigError: unknown or missing keys, or values that make no layout.
    """
    where = f"layout {name}"
    if unknown := values.keys() - {"rows", "space"}:
        raise ConfigError(f"{where}: unknown key {', '.join(sorted(unknown))}")
    if "space" not in values or not isinstance(values.get("rows"), list):
        raise ConfigError(f"{where}: needs rows = [{{keys, left}}, ...] and space = {{left, width}}")
    rows = tuple(strict(Row, row, f"{where}, row {number}") for number, row in enumerate(values["rows"], 1))
    space = strict(_SpaceBar, values["space"], f"{where}, space")
    return Layout(name, rows, space.left, space.width)
