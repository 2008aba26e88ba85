"""Orchestration of a corpus: from a recipe to a finished folder, or to marks from which the next run goes on."""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keyboard_lm.errors import DataError, WriteError
from keyboard_lm.files import take_lock
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm_training.corpus.parallel import Workers
from keyboard_lm_training.corpus.plan import PART_BYTES, difference, make_plan
from keyboard_lm_training.corpus.ray_runner import RayRunner
from keyboard_lm_training.corpus.recipe import Recipe
from keyboard_lm_training.corpus.runners import ProcessRunner, RankRunner, Runner
from keyboard_lm_training.corpus.shards import MANIFEST_FILE, MAX_VOCAB_SIZE, CorpusManifest
from keyboard_lm_training.corpus.sources import SourceReader
from keyboard_lm_training.corpus.stages import STAGES, Job, check_marks
from keyboard_lm_training.corpus.tokenizer_stages import save_tokenizer
from keyboard_lm_training.corpus.work import PLAN_FILE, Values, Work
from keyboard_lm_training.storage import is_private_to_process, open_storage

PARTIAL_SUFFIX = ".partial"
_WORK_FOLDER = "work"
_CORPUS_FOLDER = "corpus"
_WORTH_KEEPING = "clean"  # the first stage whose marks a failed run leaves behind

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class CorpusOptions:
    """What does not belong to the recipe, because the corpus does not depend on it.

    Attributes:
        data_dir: the folder or URL that the recipe's relative paths start from.
        tokenizer_dir: a folder whose tokenizer is used instead of a new one.
        num_workers: processes, or cores of a Ray cluster that is started here.
        ray: a Ray cluster to run on: its address, ``auto`` or ``local``; ``""`` for none.
        rank: which of several runs of the same command this is, from 0.
        num_ranks: how many there are; they share the storage and nothing else.
        restart: whether work that was done for another recipe or other input is thrown away.
        part_bytes: text that one task reads at most.
        patience_seconds: how long a rank waits for the others before it does their work.
        poll_seconds: how often it looks.
    """

    data_dir: Path | str = ""
    tokenizer_dir: Path | None = None
    num_workers: int = 1
    ray: str = ""
    rank: int = 0
    num_ranks: int = 1
    restart: bool = False
    part_bytes: int = PART_BYTES
    patience_seconds: float = 60.0
    poll_seconds: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.num_ranks:
            raise DataError(
                f"rank {self.rank} of {self.num_ranks}: ranks count from 0, the last is {self.num_ranks - 1}"
            )
        if self.num_ranks > 1 and (self.ray or self.num_workers > 1 or self.restart):
            raise DataError(
                "a rank runs in one process: leave out --workers, --ray and --restart, and start more ranks"
            )


def build_corpus(
    recipe: Recipe, output: Path | str, options: CorpusOptions, on_progress: Progress | None = None
) -> CorpusManifest:
    """Write the corpus folder of a recipe.

    The work happens in ``<output>.partial``, where a run that was killed or failed goes on. On a disk the corpus gets
    its name when it is whole; in an object store its manifest is written last.

    Args:
        recipe: sources and options.
        output: the folder or URL to make; it must not exist, or be empty.
        options: paths and where to run.
        on_progress: called with (stage, done, total); the total is None where it is not known.

    Returns:
        The manifest, as it stands in `output`.

    Raises:
        DataError: the input cannot be used, the output cannot be written, or other work is in its place.
        CheckpointError: `options.tokenizer_dir` holds no tokenizer.
        MissingExtraError: a package that the recipe or the options need is not installed.
    """
    report = on_progress or (lambda stage, done, total: None)
    place = _Place(str(output), options)
    readers = [SourceReader(source, options.data_dir) for source in recipe.sources]
    tokenizer = Tokenizer.load(options.tokenizer_dir) if options.tokenizer_dir else None
    if tokenizer and tokenizer.vocab_size > MAX_VOCAB_SIZE:
        raise DataError(f"{options.tokenizer_dir}: {tokenizer.vocab_size} pieces, but a shard holds ids below 65,536")
    with _disk_errors(place.output), contextlib.ExitStack() as stack:
        if place.is_finished() and options.num_ranks > 1:  # another rank was quicker
            manifest = place.manifest()
            if manifest.recipe != json.loads(json.dumps(recipe.to_dict())):
                raise DataError(f"{place.output} already exists, of another recipe; choose another folder or delete it")
            return manifest
        place.refuse_existing()
        stack.enter_context(place.locked())
        data_dir = str(options.data_dir)
        plan = make_plan(recipe, readers, data_dir, tokenizer.digest if tokenizer else "", options.part_bytes)
        job = place.begin(plan)
        work = job.open()
        with place.cleared_on_failure(work):
            if tokenizer and work.storage.size("tokenizer.json") is None:
                save_tokenizer(tokenizer, work)
            runner = stack.enter_context(_runner(options, place))
            for stage in STAGES:
                if not (options.num_ranks > 1 and place.is_finished()):
                    _run_stage(work, job, stage.name, runner, report)
            return place.finish()


def _run_stage(work: Work, job: Job, name: str, runner: Runner, report: Progress) -> None:
    stage = next(stage for stage in STAGES if stage.name == name)
    count = stage.count(work)
    done = work.done(name)
    report(stage.title, len(done), count)
    missing = [task for task in range(count) if task not in done]
    for number, _ in enumerate(runner.run(job, name, missing), len(done) + 1):
        report(stage.title, number, count)


@contextmanager
def _runner(options: CorpusOptions, place: _Place) -> Iterator[Runner]:
    if options.num_ranks > 1:
        yield RankRunner(
            options.rank, options.num_ranks, place.is_finished, options.patience_seconds, options.poll_seconds
        )
    elif options.ray:
        with RayRunner(options.ray, options.num_workers) as runner:
            yield runner
    else:
        with Workers(options.num_workers) as workers:
            yield ProcessRunner(workers)


class _Place:
    """The corpus's folder and its work folder, before, during and after a run."""

    def __init__(self, output: str, options: CorpusOptions) -> None:
        self._options = options
        self.is_disk = "://" not in output
        self.output = str(Path(output).absolute()) if self.is_disk else output.rstrip("/")  # "." has no name to add to
        self.partial = self.output + PARTIAL_SUFFIX
        if is_private_to_process(output) and (options.num_workers > 1 or options.ray or options.num_ranks > 1):
            raise DataError(f"{output}: other processes cannot see it; use --workers 1, or a place that all can reach")

    def is_finished(self) -> bool:
        """Return whether the corpus is whole, and in its place."""
        return open_storage(self.output).size(MANIFEST_FILE) is not None

    def manifest(self) -> CorpusManifest:
        """Return the manifest of the finished corpus."""
        storage = open_storage(self.output)
        return CorpusManifest.from_json(storage.read(MANIFEST_FILE).decode(), storage.where(MANIFEST_FILE))

    def refuse_existing(self) -> None:
        """Raise a `DataError` if there is something where the corpus is to be."""
        if self.is_disk:
            path = Path(self.output)
            exists = path.exists() and (not path.is_dir() or any(path.iterdir()))
        else:
            exists = self.is_finished()
        if exists:
            if self.is_finished():  # killed between its last two steps
                open_storage(self.partial).remove()
            raise DataError(f"{self.output} already exists; choose another folder or delete it")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out, or all but the other ranks."""
        if not self.is_disk:
            yield
            return
        Path(self.output).parent.mkdir(parents=True, exist_ok=True)
        is_shared = self._options.num_ranks > 1
        names = [f"{self.partial}.lock"]
        if is_shared:
            names.append(f"{self.partial}.{self._options.rank}.lock")
        with contextlib.ExitStack() as stack:
            for name in names:
                lock = stack.enter_context(Path(name).open("w"))
                if not take_lock(lock, shared=is_shared and name == names[0]):
                    raise DataError(f"{self.output}: another run is writing this corpus; wait for it or stop it")
            yield
            for name in names:
                Path(name).unlink(missing_ok=True)

    def begin(self, plan: Values) -> Job:
        """Write the plan, or go on with one that makes the same corpus.

        Raises:
            DataError: there is other work, and `CorpusOptions.restart` is not set.
        """
        work_place = f"{self.partial}/{_WORK_FOLDER}"
        corpus_place = f"{self.partial}/{_CORPUS_FOLDER}" if self.is_disk else self.output
        work = Work(work_place, corpus_place)
        if self._options.restart:
            open_storage(self.partial).remove()
        if work.storage.size(PLAN_FILE) is None:
            if self._options.num_ranks == 1:
                open_storage(self.partial).remove()
            work.save(PLAN_FILE, plan)
        else:
            changed = difference(work.load(PLAN_FILE), plan)
            if changed:
                raise DataError(
                    f"{self.partial} was begun {changed}; throw that work away with --restart, or choose another output"
                )
            check_marks(work)
        kept = work.load(PLAN_FILE)  # which may have parts of another size
        return Job(work_place, corpus_place, f"{kept['digest']}-{kept['part_bytes']}")

    @contextmanager
    def cleared_on_failure(self, work: Work) -> Iterator[None]:
        """Remove the work folder of a run that fails before it holds anything worth going on with."""
        try:
            yield
        except BaseException:
            if self._options.num_ranks == 1 and not work.done(_WORTH_KEEPING):
                open_storage(self.partial).remove()
                Path(f"{self.partial}.lock").unlink(missing_ok=True)
            raise

    def finish(self) -> CorpusManifest:
        """Give the corpus its name and remove the work folder; another rank may have done so."""
        if self.is_disk:
            output = Path(self.output)
            try:
                if output.is_dir() and not any(output.iterdir()):
                    output.rmdir()
                Path(self.partial, _CORPUS_FOLDER).rename(output)
            except OSError:
                if not self.is_finished():
                    raise
        open_storage(self.partial).remove()
        return self.manifest()


@contextmanager
def _disk_errors(output: str) -> Iterator[None]:
    try:
        yield
    except WriteError as error:
        raise DataError(f"{error}; what is finished is kept: run the same command again") from None
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space" if is_full else "choose a folder you can write to"
        raise DataError(f"{output}: the corpus cannot be written ({error.strerror or error}); {advice}") from None
