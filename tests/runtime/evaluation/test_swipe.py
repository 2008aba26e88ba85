"""Swipes to measure on, the finger that draws them, and the figures."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from keyboard_lm.cli import main
from keyboard_lm.errors import DataError
from keyboard_lm.evaluation.swipe_data import (
    PHONES,
    KeyGrid,
    MarginalFinder,
    Swipe,
    behind_sentences,
    half_of,
    letters_of,
    passes,
    read_swipes,
)
from keyboard_lm.evaluation.swipe_typing import swipe_message
from keyboard_lm.evaluation.swiper import PERFECT, Swiper
from keyboard_lm.evaluation.texts import EvaluationText
from keyboard_lm.keyboard.session import Session
from keyboard_lm.swipe.decoder import SwipeDecoder
from keyboard_lm.touch.layout import layout_names, load_layout
from keyboard_lm.words.lexicon import Entry, build_lexicon

LAYOUT = load_layout()
DECODER = SwipeDecoder(build_lexicon([Entry(word, 100) for word in ("to", "too", "hello", "help", "don't")]), LAYOUT)


@pytest.mark.parametrize("name", layout_names())
def test_a_perfect_finger_passes_the_middle_of_every_key(name: str) -> None:
    layout = load_layout(name)
    path = Swiper(layout, PERFECT).swipe("Keyboards", np.random.default_rng(0))
    for letter in "keyboards":
        centre = layout.centre(letter)
        assert centre is not None
        assert min(math.hypot(point.x - centre.x, point.y - centre.y) for point in path) < 1e-6
    assert [point.t_ms for point in path] == sorted(point.t_ms for point in path)


def test_one_seed_draws_one_path_and_what_cannot_be_swiped_is_not() -> None:
    swiper = Swiper(LAYOUT)
    assert swiper.swipe("hello", np.random.default_rng(7)) == swiper.swipe("hello", np.random.default_rng(7))
    for word in ("a", "I", "oo", "3rd", "你好", ""):
        assert swiper.swipe(word, np.random.default_rng(0)) == ()
    assert swiper.swipe("don't", np.random.default_rng(0)) == swiper.swipe("dont", np.random.default_rng(0))


def test_a_rest_makes_a_doubled_letter_likelier() -> None:
    swiper = Swiper(LAYOUT, PERFECT)
    logs = {}
    for word in ("to", "too"):
        found = {each.text: each.log_likelihood for each in DECODER.find(swiper.swipe(word, np.random.default_rng(0)))}
        logs[word] = found["too"] - found["to"]
    assert logs["too"] > logs["to"]


def test_an_unknown_keyboard_is_the_sum_over_all_it_may_be() -> None:
    grids = (KeyGrid(40.0, 60.0, share=0.25), KeyGrid(36.0, 54.0, 4.0, 2.0, share=0.75))
    path = Swiper(LAYOUT).swipe("hello", np.random.default_rng(3))
    points = [point._replace(x=point.x * 36 + 4, y=point.y * 54 + 2) for point in path]
    finder = MarginalFinder(DECODER)
    finder.grids = grids
    logs = {each.text: each.log_likelihood for each in finder.find(points)}
    each = [{c.text: c.log_likelihood for c in DECODER.find(grid.on_keys(points))} for grid in grids]
    for word, log in logs.items():
        parts = [math.log(grid.share) + found[word] for grid, found in zip(grids, each, strict=True) if word in found]
        assert log == pytest.approx(float(np.logaddexp.reduce(parts)), abs=1e-4)
    assert max(logs, key=lambda word: logs[word]) == "hello"
    assert math.isclose(sum(grid.share for grid in PHONES), 1.0)


def test_words_are_put_behind_what_stands_before_them() -> None:
    text = EvaluationText("t", "", (("I don't know.", "You know, I don't."), ("Know this",)))
    swipes = behind_sentences([Swipe("dont", ()), Swipe("know", ()), Swipe("never", ())], [text], num_contexts=2)
    assert set(swipes[0].contexts) == {"I ", "You know, I "}
    assert len(swipes[1].contexts) == 2
    assert swipes[2].contexts == ()


def test_a_path_that_leads_past_its_letters_is_told_from_one_that_does_not() -> None:
    swiper, rng = Swiper(LAYOUT, PERFECT), np.random.default_rng(0)
    for word, drawn, does_pass in (
        ("hello", "hello", True), ("don't", "dont", True), ("surprise", "surp", False), ("get", "let", False),
        ("invited", "inivetd", False), ("was", "saw", False),
    ):  # fmt: skip
        assert passes(Swipe(word, swiper.swipe(drawn, rng)), LAYOUT) == does_pass, word
    wide = [point._replace(x=point.x * 40, y=point.y * 70) for point in swiper.swipe("hello", rng)]
    assert passes(Swipe("hello", tuple(wide), (KeyGrid(20, 35), KeyGrid(40, 70))), LAYOUT)
    assert not passes(Swipe("hello", tuple(wide), (KeyGrid(20, 35),)), LAYOUT)


def test_halves_hold_all_swipes_of_a_word() -> None:
    halves = {half_of(word) for word in ("hello", "there", "know", "this", "that")}
    assert halves == {"tuning", "reporting"}
    assert letters_of("Don't") == "dont"


@pytest.mark.parametrize(
    "line", ['{"word": "a"}', "[]", '{"word": "", "curve": {"x": [1], "y": [1], "t": [1]}}',
             '{"word": "a", "curve": {"x": [1, 2], "y": [1], "t": [1]}}', "nonsense"],
)  # fmt: skip
def test_a_line_that_is_no_swipe_is_an_error_that_names_it(tmp_path: Path, line: str) -> None:
    path = tmp_path / "swipes.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(DataError, match="line 1"):
        read_swipes(path)


def test_a_typist_who_swipes_saves_strokes() -> None:
    session = Session.open()
    message = "I am going to the store, thank you."
    counts = swipe_message(session, message, Swiper(LAYOUT, PERFECT), np.random.default_rng(0))
    assert session.text.strip() == message
    assert counts["words"] == 8
    assert counts["first"] >= 6
    assert counts["strokes"] < len(message) / 2
    session.close()


def test_the_command_measures_a_recording(tmp_path: Path) -> None:
    path, rng, swiper = tmp_path / "swipes.jsonl", np.random.default_rng(0), Swiper(LAYOUT, PERFECT)
    rows = []
    for word in ("thank", "you", "going", "tomorrow"):
        x, y, t = zip(*swiper.swipe(word, rng), strict=True)
        known = {"key_width": 1, "row_height": 1}
        rows.append(json.dumps({"word": word, "curve": {"x": x, "y": y, "t": t}, "keyboard": known}))
    path.write_text("\n".join(rows))
    result = CliRunner().invoke(main, ["eval", "swipe", "--data", str(path), "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.output)
    assert figures["num_swipes"] == 4
    assert figures["rows"]["with context"]["top1"]["value"] == 100
    assert figures["rows"]["without context"]["found"]["value"] == 100


def test_swipes_are_measured_by_themselves() -> None:
    assert CliRunner().invoke(main, ["eval", "swipe", "next-word"]).exit_code == 2
