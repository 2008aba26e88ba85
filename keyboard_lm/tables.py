"""A table of parsed TOML into a frozen dataclass: unknown keys, missing ones and wrong types are told together."""

from __future__ import annotations

import dataclasses
import math
import tomllib
import types
from collections.abc import Hashable, Iterable, Mapping
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from keyboard_lm.errors import ConfigError

T = TypeVar("T")

_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Return the values of a TOML text.

    Args:
        text: TOML.
        where: the file's name, for the message.

    Raises:
        ConfigError: it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not TOML ({error})") from None


def strict(kind: type[T], values: object, where: str, **given: Any) -> T:
    """Return a dataclass made of a table; its fields' types say what a value has to be.

    Args:
        kind: a dataclass whose fields are numbers, strings, switches, or tuples and sets of them.
        values: the table; lists stand for tuples and sets.
        where: the file and the place in it, for the message.
        given: fields that the table does not hold.

    Raises:
        ConfigError: every mistake in the table; or what the class itself says of values that make no sense.
    """
    mistakes: list[str] = []
    fitting = fitting_fields(kind, values, mistakes, skip=given)
    if mistakes:
        raise ConfigError(f"{where}: " + "; ".join(mistakes))
    try:
        return kind(**fitting, **given)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def fitting_fields(
    kind: type[Any], values: object, mistakes: list[str], label: str = "", skip: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the values that fit a dataclass's fields by name and type; the others become mistakes.

    Args:
        kind: a dataclass, as in `strict`.
        values: the table.
        mistakes: one line is added for each.
        label: what they begin with.
        skip: fields that the table must not hold.
    """
    if not isinstance(values, Mapping):
        mistakes.append(f"{label}must be a table")
        return {}
    skipped = frozenset(skip)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init and field.name not in skipped}
    hints = _hints(kind)  # type: ignore[arg-type]  # a class is hashable; mypy says otherwise of type[Any]
    found = {}
    for name, value in values.items():
        if name not in fields:
            mistakes.append(f"{label}unknown key {name}")
        elif (fitting := _fitting(value, hints[name])) is None:
            mistakes.append(f"{label}{name} must be {_described(hints[name])}, not {value!r}")
        else:
            found[name] = fitting
    mistakes += [
        f"{label}missing key {field.name}"
        for field in fields.values()
        if field.default is field.default_factory is dataclasses.MISSING and field.name not in values
    ]
    return found


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return get_type_hints(kind)


def _fitting(value: object, kind: Any) -> Any:
    """Return a value as a field of a type holds it; None where it does not fit (TOML has no such value)."""
    if kind in _NAMES:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind is float:
            return value if is_number and math.isfinite(value) else None  # type: ignore[arg-type]
        return value if type(value) is kind else None
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return value if value in arguments else None
    if origin in (Union, types.UnionType):
        return next((found for each in arguments if (found := _fitting(value, each)) is not None), None)
    if origin in (tuple, frozenset) and isinstance(value, (list, tuple, set, frozenset)):
        is_open = origin is frozenset or arguments[-1] is Ellipsis
        kinds = (arguments[0],) * len(value) if is_open else arguments
        items = [_fitting(item, each) for item, each in zip(value, kinds, strict=False)]
        return origin(items) if len(items) == len(value) == len(kinds) and None not in items else None
    return None


def _described(kind: Any) -> str:
    if kind in _NAMES:
        return _NAMES[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(_described(each) for each in arguments if each is not type(None))
    plural = {bool: "switches", int: "whole numbers", float: "numbers", str: "strings"}.get(arguments[0], "values")
    is_open = origin is frozenset or arguments[-1] is Ellipsis
    return f"a list of {plural}" if is_open else f"a list of {len(arguments)} {plural}"
