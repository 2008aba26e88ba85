"""The TypeScript port gives what Python gives: golden files, and text that is made up here. Needs node."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from keyboard_lm.evaluation.predictor import Predictor
from keyboard_lm.export.web import lexicon_data, tokenizer_data
from keyboard_lm.keyboard import events
from keyboard_lm.keyboard.bar import Correction
from keyboard_lm.keyboard.editor import Editor
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.words.frequent_words import frequent_words
from keyboard_lm.words.lexicon import load_lexicon

from .toy_backend import ToyBackend

ROOT = Path(__file__).parents[2]
NODE = shutil.which("node") or ""
pytestmark = pytest.mark.skipif(not NODE, reason="node is not installed")

# Strung together, these meet the interesting rules of the text form all the time; random Unicode does so rarely.
FRAGMENTS = (
    *("a", "B", "don't", "I'm", "e.g.", "U.S.", "3.5", "10:30", "ß", "İ", "é", "e\u0301", "你好", "שלום", "क्षि"),
    *(" ", "  ", "\n", "\t", "\u2028", "\u00a0", "'", "’", '"', "“", "(", ")", "-", "--", "@", "/", "#", "_", "⁀", "␣"),
    *(".", "...", ",", "!", "?!", ";", "…", "。", "%", "$", ":)", "xD", "<3", "www.x.y", "\r\n", "\x1f", "\x85", "▁"),
    *("👩\u200d👧", "👍🏽", "🇩🇪", "❤\ufe0f", "1\ufe0f\u20e3", "\ufe0f", "\u200d", "\u202e", "\ufeff", "\u00ad"),
)


def ask(folder: Path, operation: str, texts: list[str]) -> list[Any]:
    command = [NODE, str(ROOT / "web" / "bench" / "replay.mjs"), str(folder)]
    lines = "".join(json.dumps({"op": operation, "text": text}) + "\n" for text in texts)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=120, check=False)
    assert not done.returncode, done.stderr
    return [json.loads(line) for line in done.stdout.split("\n") if line]


@pytest.fixture(scope="module")
def texts(sentences: list[str]) -> list[str]:
    rng = random.Random(7)
    return [*sentences, *("".join(rng.choices(FRAGMENTS, k=rng.randint(1, 12))) for _ in range(1000))]


def test_the_golden_files_hold(tmp_path: Path) -> None:
    checkpoint = Checkpoint.load(bundled_folder())
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer_data(checkpoint)), encoding="utf-8")
    (tmp_path / "config.json").write_text(checkpoint.config.to_json(), encoding="utf-8")
    (tmp_path / "lexicon.bin").write_bytes(lexicon_data(load_lexicon("en")))
    tests = sorted(map(str, (ROOT / "web" / "tests").glob("*.test.mjs")))
    environment = {**os.environ, "KEYBOARD_LM_DATA": str(tmp_path)}
    command = [NODE, "--test", *tests]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert not done.returncode, done.stdout[-5000:]
    assert "skipped 0" in done.stdout, done.stdout[-2000:]


def test_ids_are_those_of_python(web_folder: Path, tiny_checkpoint: Path, texts: list[str]) -> None:
    tokenizer = Checkpoint.load(tiny_checkpoint).tokenizer
    for text, ids in zip(texts, ask(web_folder, "ids", texts), strict=True):
        assert ids == tokenizer.encode_message(text), text


def test_what_is_typed_is_split_as_in_python(web_folder: Path, tiny_checkpoint: Path, texts: list[str]) -> None:
    form = Checkpoint.load(tiny_checkpoint).tokenizer.form
    for text, split in zip(texts, ask(web_folder, "split", texts), strict=True):
        typed = form.split_typed(text)
        messages = [list(message) for message in typed.messages]
        assert split == [messages, typed.partial, typed.starts_sentence, typed.space_before], text


def test_the_lexicon_offers_and_withholds_the_same_words(web_folder: Path) -> None:
    lexicon = load_lexicon("en")
    words = [lexicon.text(entry) for entry in range(0, len(lexicon), 97)]
    words += [word.upper() for word in words[::5]] + [word.title() for word in words[::7]]
    assert ask(web_folder, "offensive", words) == [lexicon.is_offensive(word) for word in words]
    prefixes = sorted({word[:length] for word in words[::9] for length in (1, 2, 3)})
    for prefix, found in zip(prefixes, ask(web_folder, "frequent", prefixes), strict=True):
        assert found == [text for text, _ in frequent_words(lexicon, prefix, 4)], prefix


def test_bars_over_a_network_of_integers_are_those_of_python(
    web_folder: Path, tiny_checkpoint: Path, texts: list[str]
) -> None:
    checkpoint = Checkpoint.load(tiny_checkpoint)
    predictor = Predictor(ToyBackend(checkpoint.tokenizer, checkpoint.config), checkpoint.tokenizer)
    rng = random.Random(5)
    asked = [text[: rng.randint(0, len(text))] for text in texts[:500]]
    asked += [text.upper() for text in asked[::9]] + [f"{text}\n{text}" * 9 for text in asked[::50]]
    for text, (bar, num_calls) in zip(asked, ask(web_folder, "toy_bar", asked), strict=True):
        made = predictor.suggest(text)
        assert [item[:2] for item in bar] == [[item.text, item.kind] for item in made.items], text
        assert [item[2] for item in bar] == pytest.approx([item.probability for item in made.items], rel=1e-5), text
        assert num_calls == made.num_model_calls, text


def _event(rng: random.Random, length: int) -> dict[str, Any]:
    text = "".join(rng.choices(FRAGMENTS, k=rng.randint(0, 4)))
    word = rng.choice(("the", "don't", "3.5", "naïve", "👍🏽", "I", "x.y"))
    kinds: dict[str, dict[str, Any]] = {
        "typed": {"char": rng.choice(FRAGMENTS) if rng.random() < 0.3 else rng.choice("abi' ..,?-")},
        "swiped": {"path": [], "word": word},
        "backspaced": {},
        "shift_pressed": {"lock": rng.random() < 0.3},
        "slot_accepted": {"word": word, "replaced": rng.choice((None, "", "a", "ab"))},
        "ghost_accepted": {"ghost": rng.choice((" go on", "ing to", " ", "x")), "only_word": rng.random() < 0.5},
        "cursor_moved": {"cursor": rng.randint(-1, length + 1)},
        "text_changed": {"text": text, "cursor": rng.randint(0, 5)},
        "field_started": {"text": text, "is_private": rng.random() < 0.3},
    }
    kind = rng.choices(tuple(kinds), (30, 3, 6, 2, 3, 2, 3, 1, 1))[0]
    values = kinds[kind]
    if kind == "typed" and rng.random() < 0.2:
        values["correction"] = {"replaced": rng.choice(("a", "ab", "i", "b")), "text": word}
    return {"type": kind, **values}


_TYPES = {
    "typed": events.Typed,
    "backspaced": events.Backspaced,
    "shift_pressed": events.ShiftPressed,
    "slot_accepted": events.SlotAccepted,
    "ghost_accepted": events.GhostAccepted,
    "cursor_moved": events.CursorMoved,
    "text_changed": events.TextChanged,
    "field_started": events.FieldStarted,
}


def _python_event(values: dict[str, Any]) -> events.Event:
    rest = {name: value for name, value in values.items() if name != "type"}
    if values["type"] == "swiped":
        return events.Swiped((), rest["word"])
    if "correction" in rest:
        rest["correction"] = Correction(**rest["correction"])
    event: events.Event = _TYPES[values["type"]](**rest)
    return event


def test_an_editor_does_to_random_events_what_python_does(web_folder: Path) -> None:
    rng = random.Random(11)
    sessions = []
    expected = []
    for _ in range(150):
        editor, told, states = Editor(), [], []
        for _ in range(40):
            told.append(_event(rng, len(editor.text)))
            edit = editor.apply(_python_event(told[-1]))
            corrected = edit.correction and [edit.correction.replaced, edit.correction.text]
            undone = edit.undone and [edit.undone.literal, edit.undone.corrected]
            words = [[word.word, word.context, word.is_meant] for word in edit.finished]
            changed = [edit.deleted_before, edit.deleted_after, edit.inserted, corrected, undone, words]
            states.append([*changed, editor.text, editor.cursor, editor.shift])
        sessions.append(json.dumps(told))
        expected.append(states)
    for told_json, made, states in zip(sessions, ask(web_folder, "session", sessions), expected, strict=True):
        for number, (got, wanted) in enumerate(zip(made, states, strict=True)):
            assert got == wanted, json.loads(told_json)[: number + 1]
