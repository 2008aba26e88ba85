"""Writes `swipe.json`, the paths and fields that other languages' swipe typing has to read alike: `make golden`.

python -m tests.golden.swipes
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from keyboard_lm.device.budget import load_device
from keyboard_lm.evaluation.swiper import Swiper
from keyboard_lm.keyboard.editor import Editor
from keyboard_lm.keyboard.events import Backspaced, CursorMoved, Event, FieldStarted, SlotAccepted, Swiped, Typed
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.keyboard.session import Session
from keyboard_lm.keyboard.suggester import Suggester
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.personal import PersonalStore
from keyboard_lm.swipe.beam import BeamOptions
from keyboard_lm.swipe.decoder import SwipeDecoder, SwipeOptions
from keyboard_lm.touch.layout import load_layout
from keyboard_lm.touch.path import PathError, PathPoint, is_tap
from keyboard_lm.words.lexicon import Entry, build_lexicon, load_lexicon

from .toy_network import ToyNetwork

FILE = Path(__file__).parent / "swipe.json"
ABOUT = (
    "`decoder`: paths (x in key widths, y in key heights, milliseconds) over the words and frequencies of `words`, and "
    "the five best words with the logarithm of the path's likelihood (within 0.01). `shipped`: paths over the lexicon "
    "that ships and the eight best of its hundred words; an error where no finger can have drawn them; is_tap where "
    "the finger stayed on its key. `sessions`: fields over the toy network, step by step, the text after each and, "
    "behind a path, the bar; accepted is the number of a slot. `editor`: steps as in editor.json; swiped is the word "
    "read from a path."
)
LAYOUTS = ("qwerty", "azerty", "qwertz", "dvorak")
SWIPED = ("hello", "we'll", "too", "gorgeous", "keyboard", "of", "quiz", "caf\u00e9")
SEED = 23
DRAWN = (
    *("the", "this", "with", "doing", "please", "tomorrow", "beautiful", "surprise", "I'm", "you're", "don't"),
    *("London", "if", "as", "was", "were", "pop", "queue", "na\u00efve", "unbelievable", "summer", "letter", "quick"),
    "x-ray",
)
NUM_BEST = 8
# What a writer does, a field a line: paths of words are drawn, the rest is typed; -1 takes back, a number takes a slot.
SESSIONS: tuple[tuple[str | int, ...], ...] = (
    ("draw:hello", "draw:there", ",", "draw:see", "draw:you", "draw:tomorrow", "!"),
    ("I am ", "draw:going", -1, "draw:home", 0, " x"),
    ("draw:surprise", 1, "draw:party", -1, -1),
    ("i", "draw:think", "so", "draw:too", "."),
    ("Thank you. ", "draw:I'm", "draw:fine", "\n", "draw:what", "draw:about", "draw:you", "?"),
    ("Meet zorvath, zorvath and zorvath. ", "draw:zorvath", "draw:will", "draw:come"),
    ("tap:t", "tap:o", " ", "draw:the", "scribble", "draw:station"),
)


def events_of(step: dict[str, Any]) -> list[Event]:
    """Return what a step of a golden field does."""
    ((name, value),) = step.items()
    match name:
        case "typed":
            return [Typed(char) for char in value]
        case "swiped":
            return [Swiped((), value)]
        case "backspaced":
            return [Backspaced()] * value
        case "cursor_moved":
            return [CursorMoved(value)]
        case "field_started":
            return [FieldStarted(value)]
    raise ValueError(name)


def paths(words: list[list[Any]]) -> Iterator[dict[str, Any]]:
    """Yield drawn paths with the words found for them."""
    lexicon, rng = build_lexicon([Entry(text, frequency) for text, frequency in words]), np.random.default_rng(SEED)
    options = SwipeOptions(beam=BeamOptions(num_words=5))
    for name in LAYOUTS:
        layout = load_layout(name)
        decoder, swiper = SwipeDecoder(lexicon, layout, options), Swiper(layout)
        for word in SWIPED:
            path = [[round(x, 3), round(y, 3), round(t_ms, 1)] for x, y, t_ms in swiper.swipe(word, rng)]
            found = decoder.find([PathPoint(*point) for point in path])
            best = [[each.text, round(each.log_likelihood, 3)] for each in found]
            yield {"name": f"{word} on {name}", "layout": name, "path": path, "found": best}


def odd_paths(swiper: Swiper, rng: np.random.Generator) -> Iterator[tuple[str, list[list[float]]]]:
    """Yield paths that meet the rules for what a finger does beside drawing words."""
    whole = [list(point) for point in swiper.swipe("surprise", rng)]
    yield "lifted half way", whole[: len(whole) * 5 // 8]
    yield "without times", [[x, y, 0.0] for x, y, _ in whole]
    yield "a clock that goes back", [[x, y, 2000 - t_ms] for x, y, t_ms in whole]
    yield "far off the keyboard", [[x * 3 - 9, y * 3 - 4, t_ms] for x, y, t_ms in whole]
    yield "two points", [[0.5, 1.5, 0.0], [8.5, 0.5, 200.0]]
    yield "one point", [[4.5, 0.5, 0.0]]
    yield "a tap that slips", [[4.5, 0.5, 0.0], [4.7, 0.6, 60.0], [4.6, 0.5, 90.0]]
    yield "every corner", [[9.0 * (i % 2), 2.0 * (i // 2 % 2) + 0.5, 40.0 * i] for i in range(40)]
    yield "no point", []


def shipped() -> Iterator[dict[str, Any]]:
    """Yield paths read with the lexicon that ships."""
    rng, layout = np.random.default_rng(SEED + 1), load_layout()
    decoder, swiper = SwipeDecoder(load_lexicon(), layout), Swiper(layout)
    drawn = [(word, [list(point) for point in swiper.swipe(word, rng)]) for word in DRAWN]
    for name, points in (*drawn, *odd_paths(swiper, rng)):
        path = [[round(value, 3) for value in point] for point in points]
        case: dict[str, Any] = {"name": name, "path": path}
        try:
            asked = [PathPoint(*point) for point in path]
            case["is_tap"] = is_tap(asked)
            case["found"] = [[each.text, round(each.log_likelihood, 3)] for each in decoder.find(asked)[:NUM_BEST]]
        except PathError as error:
            case = {"name": name, "path": path, "error": str(error)}
        yield case


def sessions() -> Iterator[dict[str, Any]]:
    """Yield fields over the toy network, step by step."""
    checkpoint, language, layout = Checkpoint.load(bundled_folder()), load_language(), load_layout()
    swiper, rng = Swiper(layout), np.random.default_rng(SEED + 2)
    for steps in SESSIONS:
        seconds = count(step=600)
        store = PersonalStore.open(None, clock=seconds.__next__, knows=language.lexicon.known)
        network = ToyNetwork(checkpoint.tokenizer, checkpoint.config)
        suggester = Suggester(network, checkpoint.tokenizer, language, layout, store)
        session = Session(suggester, store, load_device().cost(checkpoint.config), editor=language.editor)
        told: list[dict[str, Any]] = []
        for step in steps:
            kind, _, word = str(step).partition(":")
            if isinstance(step, int) and step >= 0:
                slot = session.suggest().slots[step]
                session.apply(SlotAccepted(slot.text, slot.replaced))
                told.append({"accepted": step})
            elif isinstance(step, int):
                session.apply(Backspaced())
                told.append({"backspaced": 1})
            elif kind in ("draw", "tap", "scribble"):
                path = _path(kind, word, swiper, rng)
                session.apply(Swiped(path))
                slots = [[slot.text, slot.kind, slot.replaced] for slot in session.shown.slots]
                told.append({"path": [list(point) for point in path], "slots": slots})
            else:
                for char in step:
                    session.apply(Typed(char))
                told.append({"typed": step})
            told[-1]["text"] = session.text
        yield {"steps": told, "learned": store.words()}


def _path(kind: str, word: str, swiper: Swiper, rng: np.random.Generator) -> tuple[PathPoint, ...]:
    if kind == "draw":
        return tuple(PathPoint(round(x, 3), round(y, 3), round(t_ms, 1)) for x, y, t_ms in swiper.swipe(word, rng))
    if kind == "tap":
        centre = swiper.layout.centre(word)
        return (PathPoint(centre.x, centre.y, 0.0), PathPoint(centre.x + 0.1, centre.y, 60.0)) if centre else ()
    return tuple(PathPoint(9.5 * (i % 2), 2.5 * (i % 3), 10.0 * i) for i in range(60))


def fields(cases: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the steps of fields with what they lead to."""
    for case in cases:
        editor, finished = Editor(), []
        for step in case["events"]:
            for event in events_of(step):
                finished += [word.word for word in editor.apply(event).finished]
        made = {"text": editor.text, "cursor": editor.cursor, "finished": finished}
        yield {"name": case["name"], "events": case["events"], **made}


def main() -> None:
    known = json.loads(FILE.read_text(encoding="utf-8"))
    parts = [
        ("decoder", paths(known["words"])), ("shipped", shipped()), ("sessions", sessions()),
        ("editor", fields(known["editor"])),
    ]  # fmt: skip
    rows = [(name, ",\n  ".join(json.dumps(each, ensure_ascii=False) for each in cases)) for name, cases in parts]
    lists = "".join(f',\n "{name}": [\n  {text}\n ]' for name, text in rows)
    words = json.dumps(known["words"], ensure_ascii=False)
    text = f'{{\n "about": {json.dumps(ABOUT)},\n "words": {words}{lists}\n}}\n'
    FILE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
