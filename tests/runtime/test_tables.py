"""Tables of TOML into dataclasses: what fits is taken as it is, and all that does not is told together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from keyboard_lm.errors import ConfigError
from keyboard_lm.tables import parse_toml, strict


@dataclass(frozen=True)
class _Options:
    number: int
    share: float = 0.5
    name: str = ""
    is_on: bool = True
    words: frozenset[str] = frozenset()
    pair: tuple[float, float] = (0.0, 1.0)
    steps: tuple[int, ...] = ()
    kind: Literal["a", "b"] = "a"
    limit: int | None = None
    rest: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ConfigError(f"number must not be negative, not {self.number}")


def test_what_fits_is_taken_as_it_is() -> None:
    values = parse_toml(
        'number = 3\nshare = 1\nis_on = false\nwords = ["x", "y"]\npair = [1, 2.5]\nsteps = [1, 2]\n'
        'kind = "b"\nlimit = 4',
        "f",
    )
    expected = _Options(3, 1, "", False, frozenset({"x", "y"}), (1, 2.5), (1, 2), "b", 4)
    assert strict(_Options, values, "f") == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": True}, "number must be a whole number, not True"),
        ({"number": 1.0}, "number must be a whole number, not 1.0"),
        ({"share": "1"}, "share must be a number, not '1'"),
        ({"share": float("nan")}, "share must be a number, not nan"),
        ({"share": True}, "share must be a number"),
        ({"name": 3}, "name must be a string, not 3"),
        ({"is_on": 1}, "is_on must be true or false, not 1"),
        ({"words": "im"}, "words must be a list of strings, not 'im'"),
        ({"words": ["i", 3]}, "words must be a list of strings"),
        ({"pair": [1.0]}, "pair must be a list of 2 numbers"),
        ({"pair": [1.0, 2.0, 3.0]}, "pair must be a list of 2 numbers"),
        ({"steps": [1, 2.5]}, "steps must be a list of whole numbers"),
        ({"kind": "c"}, "kind must be one of 'a', 'b', not 'c'"),
        ({"limit": "x"}, "limit must be a whole number, not 'x'"),
        ({"nomber": 3}, "unknown key nomber"),
        ({"number": -1}, "number must not be negative"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        strict(_Options, {"number": 1, **change}, "here.toml")
    assert str(caught.value).startswith(f"here.toml: {message}")


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(ConfigError, match=r"^x: share must .*; unknown key y; missing key number$"):
        strict(_Options, {"share": "", "y": 1}, "x")


def test_what_is_given_is_not_the_tables() -> None:
    assert strict(_Options, {"share": 0.1}, "x", number=2) == _Options(2, 0.1)
    with pytest.raises(ConfigError, match="unknown key number"):
        strict(_Options, {"number": 3}, "x", number=2)


@pytest.mark.parametrize("values", [[], "x", None, 3])
def test_what_is_no_table_is_refused(values: object) -> None:
    with pytest.raises(ConfigError, match="must be a table"):
        strict(_Options, values, "x")


def test_what_is_no_toml_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"^f\.toml: not TOML .*line 2"):
        parse_toml("a = 1\nb = x\n", "f.toml")
