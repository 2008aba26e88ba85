"""`keyboard-lm suggest`: what it prints, and one clear line for every kind of bad input."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from keyboard_lm.cli import main
from keyboard_lm.errors import ConfigError
from keyboard_lm.keyboard.session import SessionOptions
from keyboard_lm.network.checkpoint import CONFIG_FILE, INDEX_FILE, ONNX_INT4_FILE
from keyboard_lm.network.tokenizer import PROPER_NOUNS_FILE, TOKENIZER_FILE

BAR_LINES = (2, 3)  # the words, perhaps ghost text, then what it took
Suggest = Callable[..., Result]


@pytest.fixture
def suggest(tiny_checkpoint: Path) -> Suggest:
    def run(*arguments: str, stdin: str | bytes | None = None, model: Path = tiny_checkpoint) -> Result:
        return CliRunner().invoke(main, ["suggest", "--model", str(model), *arguments], input=stdin)

    return run


def assert_one_clear_line(result: Result, *words: str) -> None:
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def test_it_prints_three_words_and_what_they_took(suggest: Suggest) -> None:
    result = suggest("I am going ", "--device", "iphone-12")
    assert result.exit_code == 0
    words, *_, cost = result.stdout.splitlines()
    assert words.count("|") == 2
    assert words.count("%") == 3
    for part in ("here", "to load", "model call", "of 20 ms on iphone-12 (estimate)", "full"):
        assert part in cost


def test_json_holds_the_same_and_more(suggest: Suggest) -> None:
    result = suggest("I am going ", "--json", "-n", "5")
    answer = json.loads(result.stdout)
    assert answer["text"] == "I am going "
    assert len(answer["slots"]) == 5
    probabilities = [slot["probability"] for slot in answer["slots"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(slot["kind"] == "next_word" and slot["text"] for slot in answer["slots"])
    assert answer["num_model_calls"] >= 1
    assert (answer["stage"], answer["correction"]) == ("full", None)


def test_why_shows_what_stands_behind_every_slot(suggest: Suggest) -> None:
    answer = json.loads(suggest("what is teh", "--json", "--why").stdout)
    offers = {(offer["text"], offer["fate"]) for offer in answer["offers"]}
    assert {(slot["text"], "shown") for slot in answer["slots"] if slot["kind"] != "emoji"} <= offers
    table = suggest("what is teh", "--why").stdout
    assert "ln P(typed)" in table
    assert "corrector" in table


def test_words_can_be_kept_from_the_bar(suggest: Suggest, tmp_path: Path) -> None:
    first = json.loads(suggest("I am going ", "--json").stdout)["slots"][0]["text"]
    words = tmp_path / "words.txt"
    words.write_text(f"# not these\n{first}\n")
    blocked = json.loads(suggest("I am going ", "--json", "--block", str(words)).stdout)["slots"]
    assert first not in [slot["text"] for slot in blocked]
    both = json.loads(suggest("I am going ", "--json", "--block", str(words), "--allow", str(words)).stdout)["slots"]
    assert both[0]["text"] == first
    assert_one_clear_line(suggest("hi", "--block", str(tmp_path / "none")), "none", "words")


def test_what_a_space_would_replace_stands_in_quotes() -> None:
    answer = json.loads(CliRunner().invoke(main, ["suggest", "what is teh", "--json"]).stdout)
    assert answer["correction"] == {"replaced": "teh", "text": "the"}
    assert [slot["kind"] for slot in answer["slots"]][:2] == ["literal", "correction"]
    words = CliRunner().invoke(main, ["suggest", "what is teh"]).stdout.splitlines()[0]
    assert words.startswith("\u201cteh\u201d  |  the*")


def test_a_budget_that_is_no_number_is_refused(suggest: Suggest) -> None:
    for budget in ("nan", "-1", "much"):
        result = suggest("hi", "--budget-ms", budget)
        assert result.exit_code == 2
        assert "--budget-ms" in result.stderr
    for budget_ms in (math.nan, -1.0):
        with pytest.raises(ConfigError, match="budget_ms must be 0 or more"):
            SessionOptions(budget_ms=budget_ms)


def test_a_budget_of_nothing_leaves_the_lexicon(suggest: Suggest) -> None:
    answer = json.loads(suggest("hi ther", "--json", "--budget-ms", "0").stdout)
    assert (answer["stage"], answer["num_model_calls"], answer["device_ms"]) == ("personal_and_lexicon", 0, 0.0)
    assert "there" in [slot["text"] for slot in answer["slots"]]


def test_a_personal_file_that_is_missing_or_something_else_is_refused(suggest: Suggest, tmp_path: Path) -> None:
    assert_one_clear_line(suggest("hi", "--learned", str(tmp_path / "none.db")), "none.db", "no such file")
    other = tmp_path / "notes.txt"
    other.write_text("nothing to do with it")
    assert_one_clear_line(suggest("hi", "--learned", str(other)), "notes.txt", "not a file of learned words")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_both_backends_give_a_bar(suggest: Suggest) -> None:
    for backend in ("onnx", "torch"):
        result = suggest("I am going", "--backend", backend, "--threads", "1")
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_each_line_of_standard_input_is_a_text(suggest: Suggest, arguments: list[str]) -> None:
    result = suggest("--json", *arguments, stdin="I am \r\nI am\n\nlast without end")
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [answer["text"] for answer in answers] == ["I am ", "I am", "", "last without end"]
    for answer in answers:
        alone = json.loads(suggest("--json", answer["text"]).stdout)
        assert len(alone["slots"]) == len(answer["slots"])
        for first, second in zip(alone["slots"], answer["slots"], strict=True):
            assert first == second | {"probability": pytest.approx(second["probability"], rel=1e-3)}  # other batches


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "😂", "👩‍👩‍👧❤️", "привет, ка", "你好", "مرحبا", "\x00\x07\x1b[31m", "\u202e", "⁀␣▁", "<s></s>"),
        *("--", "I don'", "3.", "e.g.a", "a" * 100_000, "word " * 20_000),
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_odd_texts_get_an_answer(suggest: Suggest, text: str) -> None:
    result = suggest("--", text)
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) in BAR_LINES


def test_text_that_is_not_utf_8_is_refused(suggest: Suggest) -> None:
    assert_one_clear_line(suggest("caf\udce9"), "UTF-8")
    result = suggest(stdin=b"fine\ncaf\xe9\n")
    assert len(result.stdout.splitlines()) in BAR_LINES
    assert_one_clear_line(result, "line 2", "UTF-8")


def test_empty_standard_input_is_refused(suggest: Suggest) -> None:
    assert_one_clear_line(suggest(stdin=""), "empty", "keyboard-lm suggest")


def test_a_missing_model_is_refused(suggest: Suggest, tmp_path: Path) -> None:
    assert_one_clear_line(suggest("hi", model=tmp_path / "none"), "none", "no such checkpoint")
    assert_one_clear_line(suggest("hi", model=tmp_path), "not a checkpoint")


@pytest.mark.parametrize("name", [CONFIG_FILE, TOKENIZER_FILE, PROPER_NOUNS_FILE, ONNX_INT4_FILE, INDEX_FILE])
@pytest.mark.parametrize("damage", ["removed", "truncated", "replaced", "garbled"])
def test_a_damaged_model_is_refused(
    suggest: Suggest, tiny_checkpoint: Path, tmp_path: Path, name: str, damage: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_checkpoint, folder)
    content = (folder / name).read_bytes()
    if damage == "removed":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(
            {"truncated": content[: len(content) // 2], "replaced": b"", "garbled": content[::-1]}[damage]
        )
    assert_one_clear_line(suggest("hi", model=folder), "model")


def test_a_model_with_the_tokenizer_of_another_is_refused(
    suggest: Suggest, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_checkpoint, folder)
    (folder / PROPER_NOUNS_FILE).write_text("Paris\n")
    assert_one_clear_line(suggest("hi", model=folder), PROPER_NOUNS_FILE)
    index = json.loads((folder / INDEX_FILE).read_text())
    index["files"][PROPER_NOUNS_FILE] = {"bytes": 6, "sha256": hashlib.sha256(b"Paris\n").hexdigest()}
    (folder / INDEX_FILE).write_text(json.dumps(index))
    assert_one_clear_line(suggest("hi", model=folder), "different models")


def test_wrong_options_are_usage_errors(suggest: Suggest) -> None:
    for arguments in (["hi", "-n", "0"], ["hi", "--backend", "abacus"], ["hi", "--threads", "0"], ["hi", "there"]):
        assert suggest(*arguments).exit_code == 2


def python(code: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, **kwargs)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("arguments", [["--help"], ["suggest", "I am going"]], ids=["help", "suggest"])
def test_no_heavy_package_is_imported(tiny_checkpoint: Path, arguments: list[str]) -> None:
    if arguments[0] == "suggest":
        arguments = [*arguments, "--model", str(tiny_checkpoint)]
    heavy = ["torch", "onnx", "coremltools", "mlx", "rich", "safetensors", "scipy"]
    code = (
        f"import sys; from keyboard_lm.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as end: assert not end.code\n"
        f"assert not set({heavy!r}) & set(sys.modules), set({heavy!r}) & set(sys.modules)"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_a_closed_standard_input_is_refused(tiny_checkpoint: Path) -> None:
    command = f'exec {sys.executable} -m keyboard_lm suggest --model "{tiny_checkpoint}" <&-'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_terminal_without_the_letters_still_gets_a_bar(tiny_checkpoint: Path) -> None:
    code = f"from keyboard_lm.cli import main; main(['suggest', '--model', {str(tiny_checkpoint)!r}, 'π'])"
    done = python(code, env={"PYTHONIOENCODING": "ascii", "PATH": ""})
    assert done.returncode == 0, done.stderr
