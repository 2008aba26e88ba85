"""Runs evaluation tasks over texts: in several processes, the same whatever their number, and resumable."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path

import numpy as np

from keyboard_lm.errors import KeyboardLMError
from keyboard_lm.evaluation.engine import RememberingEngine
from keyboard_lm.evaluation.estimate import Counts
from keyboard_lm.evaluation.task import Conditions, Subject
from keyboard_lm.evaluation.tasks import task_for
from keyboard_lm.evaluation.texts import EvaluationText
from keyboard_lm.evaluation.typist import load_typist
from keyboard_lm.files import write_text_whole

_CODE_SUFFIXES = {".py", ".toml", ".txt", ".tsv", ".xz", ".npz"}

Unit = tuple[str, int, int]  # task name, index of the text, index of the document
Results = dict[str, list[list[Counts]]]  # task name -> text -> document -> counts


@dataclass(frozen=True)
class EvaluationPlan:
    """What is to be measured.

    Attributes:
        task_names: in the order they are reported.
        texts: what they are measured on.
        slots: bar lengths of keystroke savings.
        errors: how the typist types; None for each task's own usual.
        seed: of everything random.
    """

    task_names: tuple[str, ...]
    texts: tuple[EvaluationText, ...]
    slots: tuple[int, ...] = (1, 3, 5)
    errors: str | None = None
    seed: int = 0

    def units(self) -> list[Unit]:
        """Return every document of every text for each task that applies to it."""
        return [
            (name, text_index, index)
            for name in self.task_names
            for text_index, text in enumerate(self.texts)
            if task_for(name, text) is not None
            for index in range(len(text))
        ]

    def digest(self, subject: str) -> str:
        """Return what results of this plan depend on, tasks aside, as a digest; `subject` names what is measured."""
        parts = [code_digest(), subject, self.slots, self.errors, self.seed, [(t.name, t.sha256) for t in self.texts]]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def measure(self, subject: Subject, unit: Unit) -> Counts:
        """Return the counts of one document; they depend on the plan and the subject alone."""
        name, text_index, index = unit
        text = self.texts[text_index]
        task = task_for(name, text)
        assert task is not None
        conditions = Conditions(
            load_typist(self.errors or task.default_errors), slots=self.slots, fold_case=text.is_folded
        )
        places = (zlib.crc32(part.encode(errors="surrogateescape")) for part in (name, text.name))
        rng = np.random.default_rng([self.seed, *places, index])
        return task.measure(subject, (text.documents or text.recordings)[index], conditions, rng)

    def measure_all(self, subject: Subject, units: Sequence[Unit]) -> dict[Unit, Counts]:
        """Return the counts of one document for several tasks; bars that more than one asks for are computed once."""
        engine = subject.engine
        with engine.remembering() if isinstance(engine, RememberingEngine) else nullcontext():
            return {unit: self.measure(subject, unit) for unit in units}


@cache
def code_digest(folder: str = "") -> str:
    """Return a digest of the package's code and data files, or of those in a folder of it: what results depend on."""
    sha = hashlib.sha256()
    for path in sorted((Path(__file__).parents[1] / folder).rglob("*")):
        if path.suffix in _CODE_SUFFIXES and "bundled" not in path.parts:
            sha.update(path.name.encode() + path.read_bytes())
    return sha.hexdigest()


class Journal:
    """Counts as they come, on disk, so that an evaluation that is stopped goes on where it was.

    Args:
        path: where; None keeps nothing.
        digest: of the plan and the subject; a file of another is replaced.

    Raises:
        OSError: the file cannot be read.
        WriteError: it cannot be begun.
    """

    def __init__(self, path: Path | None, digest: str) -> None:
        self.path = path
        self.known: dict[Unit, Counts] = {}
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        head = json.dumps({"digest": digest})
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        first, *rest = text.split("\n")
        if first != head:
            write_text_whole(path, head + "\n")
            return
        for line in rest:
            try:
                name, text_index, index, counts = json.loads(line)
            except ValueError:  # nothing, or the line that was being written
                continue
            self.known[name, text_index, index] = counts
        if not text.endswith("\n"):
            with path.open("a", encoding="utf-8") as file:
                file.write("\n")

    def add(self, found: Mapping[Unit, Counts]) -> None:
        """Keep some more counts.

        Raises:
            KeyboardLMError: they cannot be written.
        """
        self.known.update(found)
        if self.path is None:
            return
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps([*unit, counts]) + "\n" for unit, counts in found.items())
        except OSError as error:
            what = f"{self.path}: cannot be written ({error.strerror})"
            raise KeyboardLMError(f"{what}; make room and run the same command again") from None

    def close(self) -> None:
        """Remove the file: everything is measured and told."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def run(
    plan: EvaluationPlan,
    load_subject: Callable[[], Subject],
    journal: Journal,
    jobs: int,
    progress: Callable[[int], None] = lambda num_units: None,
) -> Results:
    """Measure everything in a plan that the journal does not hold yet.

    Args:
        plan: what.
        load_subject: makes the subject; called once in each process, so it must be picklable if `jobs` is over 1.
        journal: what is known already, and where the rest is kept.
        jobs: processes; with 1 everything happens in this one.
        progress: told how many documents more are done.

    Raises:
        KeyboardLMError: a process died.
    """
    units = plan.units()
    # All that is asked about one document goes to one process, since its tasks share bars; one of which not all is
    # known is measured again, so that an interruption changes nothing.
    by_document: dict[tuple[int, int], list[Unit]] = {}
    for unit in units:
        by_document.setdefault(unit[1:], []).append(unit)
    batches = [batch for batch in by_document.values() if not journal.known.keys() >= set(batch)]
    progress(len(units) - sum(map(len, batches)))
    for found in _measured(plan, load_subject, batches, jobs):
        journal.add(found)
        progress(len(found))
    results: Results = {name: [[] for _ in plan.texts] for name in plan.task_names}
    for name, text_index, index in units:
        results[name][text_index].append(journal.known[name, text_index, index])
    return results


def _measured(
    plan: EvaluationPlan, load_subject: Callable[[], Subject], batches: Sequence[list[Unit]], jobs: int
) -> Iterator[dict[Unit, Counts]]:
    if not batches:
        return
    if jobs == 1:
        subject = load_subject()
        for batch in batches:
            yield plan.measure_all(subject, batch)
        return
    # Fresh interpreters: a fork would copy the threads' locks of a loaded runtime.
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _start_worker, (plan, load_subject))
    try:
        waiting: set[Future[dict[Unit, Counts]]] = {pool.submit(_measure_batch, batch) for batch in batches}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenProcessPool:
        raise KeyboardLMError(
            "a process of the evaluation was killed, perhaps for its memory; what it had measured is kept: run the "
            "same command again, with fewer --jobs"
        ) from None
    except BaseException:  # Ctrl-C, or an error: what the processes are at is not waited for
        for process in active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


_worker: tuple[EvaluationPlan, Subject | KeyboardLMError] | None = None


def _start_worker(plan: EvaluationPlan, load_subject: Callable[[], Subject]) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _worker = plan, load_subject()
    except KeyboardLMError as error:  # told with the first batch: an error here would look like a killed process
        _worker = plan, error


def _end_with_parent() -> None:
    # A parent that is killed cannot tell its processes to stop.
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _measure_batch(batch: Sequence[Unit]) -> dict[Unit, Counts]:
    assert _worker is not None
    plan, subject = _worker
    if isinstance(subject, KeyboardLMError):
        raise subject
    return plan.measure_all(subject, batch)
