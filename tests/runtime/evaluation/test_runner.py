"""Running an evaluation: the same in any number of processes, and after any interruption."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from keyboard_lm.errors import DataError, KeyboardLMError, MissingExtraError
from keyboard_lm.evaluation.engine import Bar, Correction, Taps
from keyboard_lm.evaluation.results import ALL, Evaluation, compare
from keyboard_lm.evaluation.runner import EvaluationPlan, Journal, run
from keyboard_lm.evaluation.task import Subject
from keyboard_lm.evaluation.texts import EvaluationText

TASKS = ("next-word", "completion", "savings", "autocorrect", "inline")
WORDS = ("the", "cat", "sat", "on", "a", "mat", "and", "I", "did", "not")


class OneListEngine:
    """Offers the words of one list that begin as typed; corrects whatever is no word to the first one."""

    def start_field(self) -> None: ...

    def bar(self, text: str, num_slots: int, taps: Taps = ()) -> Bar:
        typed = text.rpartition(" ")[2]
        slots = tuple(word for word in WORDS if word.startswith(typed))[:num_slots]
        return Bar(slots, Correction(typed, WORDS[0]) if typed and not slots else None, num_model_calls=1)


def load_engine() -> Subject:
    return Subject(OneListEngine())


def lack() -> Subject:
    raise MissingExtraError("torch", "train")


def die() -> Subject:
    os._exit(3)


def text(name: str, count: int) -> EvaluationText:
    documents = tuple((" ".join(WORDS[(i + j * j) % 10] for j in range(6)),) for i in range(count))
    return EvaluationText(name, f"digest of {name}", documents)


@pytest.fixture
def plan() -> EvaluationPlan:
    return EvaluationPlan(TASKS, (text("one", 30), text("two", 9)))


def evaluate(plan: EvaluationPlan, load: Callable[[], Subject] = load_engine, jobs: int = 1) -> Evaluation:
    return Evaluation.of("toy", plan, run(plan, load, Journal(None, ""), jobs), {})


def test_processes_change_nothing(plan: EvaluationPlan) -> None:
    assert evaluate(plan, jobs=2).to_json() == evaluate(plan).to_json()


def test_the_seed_moves_the_typist_and_nothing_else(plan: EvaluationPlan) -> None:
    first, second = evaluate(plan), evaluate(replace(plan, seed=1))
    assert first.counts["next-word"] == second.counts["next-word"]
    assert first.counts["autocorrect"] != second.counts["autocorrect"]


def test_a_document_counts_the_same_in_any_company(plan: EvaluationPlan) -> None:
    alone = evaluate(replace(plan, texts=plan.texts[1:]))
    for task in TASKS:
        assert alone.counts[task]["two"] == evaluate(plan).counts[task]["two"]


def test_a_killed_run_goes_on_where_it_was(plan: EvaluationPlan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    digest = plan.digest("toy")

    class Killed(Exception): ...

    def kill(num_units: int, seen: list[int] = []) -> None:  # noqa: B006
        seen.append(num_units)
        if len(seen) == 5:
            raise Killed

    with pytest.raises(Killed):
        run(plan, load_engine, Journal(path, digest), 1, kill)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 7])  # killed while it wrote a line
    journal = Journal(path, digest)
    known = len(journal.known)
    assert 0 < known < len(plan.units())
    assert known % len(TASKS)  # a document of which the last task was being written
    done: list[int] = []
    results = run(plan, load_engine, journal, 1, done.append)
    assert done[0] == known - known % len(TASKS)
    assert sum(done) == len(plan.units())
    assert Evaluation.of("toy", plan, results, {}).to_json() == evaluate(plan).to_json()
    journal.close()
    assert not path.exists()


def test_a_journal_of_another_evaluation_is_not_gone_on_with(plan: EvaluationPlan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    run(plan, load_engine, Journal(path, plan.digest("toy")), 1)
    assert len(Journal(path, plan.digest("toy")).known) == len(plan.units())
    assert not Journal(path, replace(plan, seed=1).digest("toy")).known
    assert len({replace(plan, seed=1).digest("toy"), plan.digest("toy"), plan.digest("other")}) == 3


def test_a_process_that_dies_is_one_clear_error(plan: EvaluationPlan) -> None:
    with pytest.raises(KeyboardLMError, match="run the same command again"):
        evaluate(plan, die, jobs=2)


def test_what_a_process_cannot_load_is_said_as_it_is(plan: EvaluationPlan) -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'keyboard-lm\[train\]'"):
        evaluate(plan, lack, jobs=2)


def test_results_survive_their_file(plan: EvaluationPlan, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    evaluation = evaluate(plan)
    path.write_text(evaluation.to_json())
    assert Evaluation.load(path) == evaluation
    rows = evaluation.rows("next-word")
    assert list(rows) == ["one", "two", ALL]
    assert rows[ALL]["words"].value == rows["one"]["words"].value + rows["two"]["words"].value == 39 * 6


def test_an_evaluation_does_not_differ_from_itself_and_only_like_is_compared(plan: EvaluationPlan) -> None:
    evaluation = evaluate(plan)
    tables = compare(evaluation, evaluation)
    assert list(tables) == list(TASKS)
    assert all(found.value in (0.0,) or found.value != found.value for row in tables.values()
               for figures in row.values() for found in figures.values())  # fmt: skip
    with pytest.raises(DataError, match="--seed"):
        compare(evaluation, replace(evaluation, seed=3))
    typed = replace(evaluation, noise="another")
    with pytest.raises(DataError, match="two versions of the typist"):
        compare(evaluation, typed)
    only = {"next-word": evaluation.counts["next-word"]}
    assert list(compare(replace(evaluation, counts=only), replace(typed, counts=only))) == ["next-word"]
    with pytest.raises(DataError, match="no task"):
        compare(evaluation, replace(evaluation, counts={}))
    other = replace(plan, texts=(replace(plan.texts[0], sha256="another"),))
    with pytest.raises(DataError, match="not the same text"):
        compare(evaluation, evaluate(other))


def test_results_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    for content, words in (("{", "not JSON"), ("{}", "not results"), ("[1]", "not results")):
        path.write_text(content)
        with pytest.raises(DataError, match=words):
            Evaluation.load(path)
    with pytest.raises(DataError, match="cannot be read"):
        Evaluation.load(tmp_path / "none")
