"""The personal store in Swift against the one in Python: the same answers, and each reads the other's file."""

from __future__ import annotations

import json
import random
import resource
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keyboard_lm.evaluation.texts import shipped_texts
from keyboard_lm.network.checkpoint import bundled_folder
from keyboard_lm.personal import PersonalOptions, PersonalStore, PersonalStoreError

from .conftest import ROOT, Ask

Step = list[Any]
_ODD = (
    "teh",
    "Teh",
    "👍🏽",
    ":)",
    "...",
    "e.g.",
    "\u00e9",
    "e\u0301",
    "Ünï",
    "3.5",
    "12345",
    "don't",
    "a" * 60,
    "",
    "x y",
    "?!",
)


def _steps(rng: random.Random, num: int) -> list[Step]:
    # What a writer does to a store, and what is asked of it in between.
    documents = [message for text in shipped_texts() for document in text.documents[:20] for message in document]
    now, steps = 1e9, []
    for _ in range(num):
        now += rng.choice((5.0, 100.0, 4000.0))
        tokens = rng.choice(documents).split()[:12]
        tokens = [rng.choice(_ODD) if rng.random() < 0.15 else token for token in tokens]
        cut = rng.randrange(len(tokens)) if tokens else 0
        source = rng.choice(("typed", "typed", "typed", "accepted", "restored"))
        steps.append(["learn", tokens[cut:], tokens[:cut], source, now])
        word = rng.choice([*tokens, "the"])
        roll = rng.random()
        if roll < 0.1:
            steps.append(["block", word, rng.choice(["the", word.title(), "x"])])
        elif roll < 0.12:
            steps.append(["forget", word])
        elif roll < 0.14:
            steps.append(["shortcut", "omw", f"on my way {len(steps)}"])
        steps.append(
            ["view", tokens[: rng.randrange(len(tokens) + 1)], word[: rng.randint(0, 3)], [word, "the", "Xyz"]]
        )
        steps.append(["known", [word, word.upper()]])
    return [*steps, ["words"], ["blocks"], ["expand", "OMW"], ["archive"]]


def _done(store: PersonalStore, clock: list[float], step: Step) -> Any:
    do, *given = step
    if do == "learn":
        clock[0] = given[3]
        store.learn(given[0], given[1], given[2])
    elif do == "block":
        store.block(*given)
    elif do == "forget":
        return store.forget(given[0])
    elif do == "clear":
        store.clear()
    elif do == "shortcut":
        store.shortcuts.add([(given[0], given[1])])
    elif do == "view":
        view = store.view(given[0])
        return view and [view.weight, view.candidates(given[1], 5), [view.mix(0.01, word) for word in given[2]]]
    elif do == "known":
        return [[store.is_known(word), store.is_protected(word)] for word in given[0]]
    elif do == "words":
        return store.words()
    elif do == "blocks":
        return [[*pair, store.is_blocked(*pair)] for pair in store.blocks()]
    elif do == "expand":
        return store.shortcuts.text(given[0])
    return None


def _python(path: Path, steps: list[Step], known: list[str], options: PersonalOptions | None = None) -> list[Any]:
    clock = [0.0]
    with PersonalStore.open(path, lambda: clock[0], set(known).__contains__, options) as store:
        found = [_done(store, clock, step) for step in steps if step[0] != "archive"]
        store.export(path.with_suffix(".jsonl"))
    return [*found, path.with_suffix(".jsonl").read_text(encoding="utf-8")]


def _swift(ask: Ask, path: Path, steps: list[Step], known: list[str], **options: float) -> list[Any]:
    (answer,) = ask([{"law": "personal", "path": str(path), "known": known, "steps": steps, **options}])
    assert answer["warnings"] == []
    return list(answer["answers"])


def _assert_same(given: list[Any], expected: list[Any], steps: list[Step]) -> None:
    for step, one, other in zip(steps, given, expected, strict=True):
        if step[0] == "archive":
            rows = [[json.loads(line) for line in text.splitlines()] for text in (one, other)]
            assert [row.keys() for row in rows[0]] == [row.keys() for row in rows[1]]
            for mine, theirs in zip(*rows, strict=True):
                assert mine == {
                    name: pytest.approx(value, rel=1e-9) if name == "count" else value for name, value in theirs.items()
                }
        elif step[0] == "view" and one and other:
            assert one[1] == other[1], step
            assert [one[0], *one[2]] == pytest.approx([other[0], *other[2]], rel=1e-9), step
        else:
            assert one == other, step


@pytest.mark.parametrize("seed", range(4))
def test_what_is_known_is_the_same_after_every_step(ask: Ask, tmp_path: Path, seed: int) -> None:
    known = ["the", "I", "you", "and", "to", "a", "it", "is"]
    # Short half-lives and small files, so that masses are brought down and n-grams dropped on the way.
    options = [{}, {"half_life_words": 10.0}, {"max_ngrams": 300}, {"half_life_words": 40.0, "quarantine_words": 50}][
        seed
    ]
    steps = _steps(random.Random(seed), 250)
    given = _swift(ask, tmp_path / "swift.db", steps, known, **options)
    _assert_same(given, _python(tmp_path / "python.db", steps, known, PersonalOptions(**options)), steps)


def test_each_reads_and_goes_on_with_the_file_of_the_other(ask: Ask, tmp_path: Path) -> None:
    rng, known = random.Random(7), ["the", "I"]
    first, second = _steps(rng, 60), _steps(rng, 60)
    _swift(ask, tmp_path / "a.db", first, known)
    _python(tmp_path / "b.db", first, known)
    given = _swift(ask, tmp_path / "b.db", second, known)
    _assert_same(given, _python(tmp_path / "a.db", second, known), second)


def test_what_one_exports_the_other_adds(ask: Ask, tmp_path: Path) -> None:
    steps = _steps(random.Random(8), 60)
    exported = _swift(ask, tmp_path / "a.db", steps, ["the"])[-1]
    (tmp_path / "a.jsonl").write_text(exported, encoding="utf-8")
    with PersonalStore.open(tmp_path / "b.db") as store:
        store.import_from(tmp_path / "a.jsonl")
        words = store.words()
        store.export(tmp_path / "b.jsonl")
    again = [["add", (tmp_path / "b.jsonl").read_text(encoding="utf-8")], ["words"]]
    assert _swift(ask, tmp_path / "c.db", again, ["the"])[-1] == words
    assert words


@pytest.mark.parametrize("damage", ["noise", "header", "state", "table", "text"])
def test_a_damaged_file_is_set_aside_and_learning_goes_on(ask: Ask, tmp_path: Path, damage: str) -> None:
    path, steps = tmp_path / "learned.db", [["learn", ["hello"], [], "accepted", 1.0], ["words"]]
    _python(path, [["learn", ["before"], [], "accepted", 1.0]], [])
    if damage == "noise":
        path.write_bytes(random.Random(1).randbytes(5000))
    else:
        with sqlite3.connect(path) as connection:
            connection.execute({
                "header": "PRAGMA user_version = 100000",
                "state": "UPDATE state SET num_events = -5",
                "table": "DROP TABLE form",
                "text": "INSERT INTO block VALUES (CAST(x'ff' AS TEXT), 'x')",
            }[damage])  # fmt: skip
        connection.close()
    if damage == "text":
        steps.append(["blocks"])
    (answer,) = ask([{"law": "personal", "path": str(path), "steps": steps}])
    if damage != "text":  # found when it was asked for: what was learned before that is set aside with it
        assert answer["answers"][1] == ["hello"]
    assert "set aside as learned.db.corrupt-1" in answer["warnings"][0]
    assert (tmp_path / "learned.db.corrupt-1").exists()


def test_a_file_of_something_else_or_of_a_newer_program_stays_as_it_is(ask: Ask, tmp_path: Path) -> None:
    for name, statement in (("other.db", "CREATE TABLE songs (name)"), ("newer.db", "PRAGMA user_version = 7")):
        path = tmp_path / name
        if name == "newer.db":
            PersonalStore.open(path).close()
        with sqlite3.connect(path) as connection:
            connection.execute(statement)
        connection.close()
        before = path.read_bytes()
        done = _answering([{"law": "personal", "path": str(path), "steps": [["words"]]}])
        _, error = done.communicate(timeout=60)
        assert (done.returncode, error.count("\n")) == (1, 1), error
        assert "something else" in error or "newer" in error
        assert path.read_bytes() == before


def _answering(questions: list[dict[str, Any]], limit: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    command = [str(ROOT / "ios_demo" / "tools" / "swift.sh"), "exec", "answer", "--model", str(bundled_folder())]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limit
    )
    assert process.stdin is not None
    process.stdin.write("".join(json.dumps(question) + "\n" for question in questions))
    process.stdin.flush()
    return process


@pytest.mark.usefixtures("ask")
def test_a_process_killed_while_learning_loses_at_most_the_last_word(tmp_path: Path) -> None:
    lost = []
    for trial in range(5):
        path = tmp_path / f"{trial}.db"
        questions = [
            {
                "law": "personal",
                "path": str(path),
                "steps": [["learn", [f"word{_letters(number)}"], [], "accepted", 1.0]],
            }
            for number in range(400)
        ]
        process = _answering(questions)
        assert process.stdout is not None
        told = 0
        for _ in range(40 + 61 * trial):
            process.stdout.readline()
            told += 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        told += process.stdout.read().count("\n")
        with PersonalStore.open(path) as store:
            words = store.words()
            assert store.warnings == ()
        lost.append(told - len(words))
        assert {f"word{_letters(number)}" for number in range(told)} <= set(words)
    assert max(lost) <= 0, lost


def _letters(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


@pytest.mark.usefixtures("ask")
def test_a_full_disk_leaves_a_store_that_answers(tmp_path: Path) -> None:
    path = tmp_path / "full.db"
    words = [f"word{_letters(number)}" for number in range(3000)]
    steps: list[Step] = [["learn", words[start : start + 10], [], "accepted", 1.0] for start in range(0, 3000, 10)]

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # SQLite then sees a write that fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    process = _answering([{"law": "personal", "path": str(path), "steps": [*steps, ["words"]]}], limit)
    output, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    answer = json.loads(output)
    assert 0 < len(answer["answers"][-1]) < 3000
    assert any(warning.startswith("not learned: ") for warning in answer["warnings"])
    with PersonalStore.open(path) as store:
        assert set(answer["answers"][-1]) == set(store.words())


def test_python_refuses_what_swift_refuses(ask: Ask, tmp_path: Path) -> None:
    bad = ['{"format": "keyboard-lm personal store", "version": 1}\n{"ngram": ["a", "b", "c", "d"], "count": 1}\n']
    bad.append('{"format": "keyboard-lm personal store", "version": 1}\n{"form": ["a", "b"], "count": 1}\n')
    bad.append('{"format": "keyboard-lm personal store", "version": 1}\n{"ngram": ["a"], "count": -1}\n')
    bad.append('{"format": "keyboard-lm personal store", "version": 2}\n')
    for number, text in enumerate(bad):
        (tmp_path / "bad.jsonl").write_text(text, encoding="utf-8")
        with PersonalStore.open(None) as store, pytest.raises(PersonalStoreError):
            store.import_from(tmp_path / "bad.jsonl")
        process = _answering([{"law": "personal", "steps": [["add", text]]}])
        _, error = process.communicate(timeout=60)
        assert (process.returncode, error.count("\n")) == (1, 1), (number, error)
