"""Fitting where taps fall."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from keyboard_lm.errors import DataError
from keyboard_lm.evaluation.noise import TapSpread, parse_noise
from keyboard_lm.evaluation.touch_fit import Miss, fit, main, misses_of, read_misses
from keyboard_lm.evaluation.touch_recording import parse_recording

WIDTH, PITCH, HEIGHT = 40, 60, 50  # of a key in the recordings made here
SCREEN = 800
ROWS = (("qwertyuiop", 0), ("asdfghjkl", WIDTH // 2), ("zxcvbnm", 3 * WIDTH // 2))
SPACE_TOP = 3 * PITCH + 5


def keys() -> list[dict[str, int]]:
    letters = [
        {"code": ord(char), "x": left + i * WIDTH, "y": row * PITCH + 5, "width": WIDTH, "height": HEIGHT}
        for row, (chars, left) in enumerate(ROWS)
        for i, char in enumerate(chars)
    ]
    return [*letters, {"code": 32, "x": 2 * WIDTH, "y": SPACE_TOP, "width": 5 * WIDTH, "height": HEIGHT}]


def recording(
    prompt: str, typed: str, offsets: dict[int, tuple[float, float]] | None = None, session: str = "s"
) -> dict[str, object]:
    """Return a recording of taps in the middle of the keys of `typed`, but for those with an offset in keys."""
    places = {chr(key["code"]): key for key in keys()}
    top = SCREEN - (SPACE_TOP + HEIGHT)
    events = []
    for i, char in enumerate(typed):
        key = places[char.lower()]
        dx, dy = (offsets or {}).get(i, (0.0, 0.0))
        x, y = key["x"] + key["width"] / 2 + dx * WIDTH, top + key["y"] + HEIGHT / 2 + dy * PITCH
        code = str(ord(char.lower()))
        events.append({"type": "mousedown", "x": x, "y": y, "code": code, "upper": False, "t": 100 * i})
    return {
        "session": session,
        "prompt": prompt,
        "screen": {"width": 400, "height": SCREEN},
        "keys": keys(),
        "events": events,
    }


def test_places_are_in_key_units_from_the_top_left_corner() -> None:
    parsed = parse_recording(recording("qs c", "qs c"))
    assert [(press.char, press.tap.x, press.tap.y) for press in parsed.presses] == [
        ("q", 0.5, 0.5),
        ("s", 2.0, 1.5),
        (" ", 4.5, 3.5),
        ("c", 4.0, 2.5),
    ]


def test_misses_are_measured_from_the_key_that_was_meant() -> None:
    values = recording("sad", "dsxad")  # one tap too many, and one on d for s... aligned with "sad"
    misses = misses_of([parse_recording(values)])
    assert [miss.key for miss in misses] == ["s", "a", "d"]
    assert all(miss.dx == pytest.approx(0) and miss.dy == pytest.approx(0) for miss in misses)
    (neighbour, *_) = misses_of([parse_recording(recording("sad", "dad"))])
    assert (neighbour.key, round(neighbour.dx, 6), neighbour.dy) == ("s", 1.0, 0.0)


def test_mice_repetitions_and_presses_on_the_same_spot_are_left_out() -> None:
    once = parse_recording(recording("sad", "sad"))
    assert len(misses_of([once, once])) == 3
    assert len(misses_of([parse_recording(recording("sadd", "sadd"))])) == 3
    mouse = recording("sad", "sad")
    events = mouse["events"]
    assert isinstance(events, list)
    mouse["events"] = [
        {"type": "mousemove", "x": 1, "y": 1, "code": None},
        *events,
        {"type": "mouseup", "x": 1, "y": 1, "code": None},
    ]
    assert parse_recording(mouse).is_mouse
    assert misses_of([parse_recording(mouse)]) == []


def test_the_fit_recovers_what_taps_were_drawn_from() -> None:
    rng = np.random.default_rng(1)
    true = {"a": TapSpread(0.1, -0.05, 0.2, 0.1), "b": TapSpread(-0.1, 0.05, 0.3, 0.2)}
    misses = [
        Miss(key, *map(float, rng.normal((spread.dx, spread.dy), (spread.sd_x, spread.sd_y))))
        for key, spread in true.items()
        for _ in range(3000)
    ]
    gross = [Miss("a", 5.0, 0.0)] * 150 + [Miss("b", 1.2, -1.0)] * 150
    found = fit(misses + gross)
    assert found.num_left_out >= 300
    for key, spread in true.items():
        assert vars(found.keys[key]) == pytest.approx(vars(spread), abs=0.02)
    assert found.taps.dx == pytest.approx(0, abs=0.02)
    assert found.taps.sd_x == pytest.approx((0.065 + 0.01) ** 0.5, abs=0.02)  # the mean variance, and the means' own


def test_a_rare_key_is_drawn_towards_all_keys_and_a_rarer_one_has_no_numbers() -> None:
    rng = np.random.default_rng(2)
    common = [Miss("a", *map(float, rng.normal(0, 0.2, 2))) for _ in range(2000)]
    rare = [Miss("b", 0.3, float(dy)) for dy in rng.normal(0, 0.2, 10)]
    found = fit([*common, *rare, Miss("c", 0.3, 0.0)])
    assert found.keys["b"].dx == pytest.approx(0.3 * 10 / 30, abs=0.01)
    assert "c" not in found.keys


def test_the_printed_toml_is_read_back_as_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(3)
    prompt = "the quick brown fox jumps over a lazy dog "
    lines = []
    for number in range(20):
        offsets = {i: (float(dx), float(dy)) for i, (dx, dy) in enumerate(rng.normal(0, 0.15, (len(prompt), 2)))}
        lines.append(json.dumps(recording(prompt, prompt, offsets, str(number))))
    path = tmp_path / "taps.jsonl"
    path.write_text("\n".join(lines))
    assert main([str(path)]) == 0
    noise = parse_noise({**tomllib.loads(capsys.readouterr().out), "levels": {"x": {"spread": 1.0}}}, "x")
    assert noise.taps.sd_x == pytest.approx(0.15, abs=0.01)
    assert " " in noise.keys
    assert noise.keys["e"].sd_y == pytest.approx(0.15, abs=0.03)


def test_unusable_files_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "taps.jsonl"
    with pytest.raises(DataError, match="cannot be read"):
        read_misses(path)
    path.write_text("{}\n")
    with pytest.raises(DataError, match="line 1 is no recording of taps"):
        read_misses(path)
    path.write_text(json.dumps(recording("sa", "sa")))
    assert main([str(path)]) == 1
    assert capsys.readouterr().err == "error: only 2 taps of letters can be used; a fit needs 5\n"
    assert main([]) == 2
