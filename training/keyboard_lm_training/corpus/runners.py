"""Ways to run the tasks of a stage: here, in worker processes, or as one rank of several that share the storage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from keyboard_lm.errors import KeyboardLMError
from keyboard_lm_training.corpus.parallel import Workers
from keyboard_lm_training.corpus.stages import Job, run_task


class Runner(Protocol):
    """Runs tasks that have no mark yet, and yields their numbers in any order, each when its mark is there."""

    def run(self, job: Job, stage: str, tasks: Sequence[int]) -> Iterator[int]:
        """Run tasks of one stage.

        Raises:
            KeyboardLMError: one of them cannot be done.
        """
        ...


@dataclass(frozen=True, slots=True)
class ProcessRunner:
    """Runs tasks in this process or in worker processes of this machine."""

    workers: Workers

    def run(self, job: Job, stage: str, tasks: Sequence[int]) -> Iterator[int]:
        """Run tasks of one stage."""
        yield from self.workers.map(partial(run_task, job, stage), tasks)


@dataclass(frozen=True, slots=True)
class RankRunner:
    """Runs every n-th task, waits for the other ranks, and does their work if they do not.

    A task that two ranks do is done twice to the same effect: its files have the same bytes, and each appears whole.

    Attributes:
        rank: from 0.
        num_ranks: how many there are.
        is_finished: whether another rank has finished the whole corpus, marks and all.
        patience_seconds: how long nothing may happen before a task of another rank is taken over; at least three times
            the longest task of this rank.
        poll_seconds: between two looks at the marks.
        clock: monotonic seconds.
        sleep: waits so many seconds.
    """

    rank: int
    num_ranks: int
    is_finished: Callable[[], bool]
    patience_seconds: float = 60.0
    poll_seconds: float = 1.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def run(self, job: Job, stage: str, tasks: Sequence[int]) -> Iterator[int]:
        """Run the rank's tasks of one stage, and return when all are done."""
        longest = 0.0
        waiting = set(tasks)
        for task in [task for task in tasks if task % self.num_ranks == self.rank]:
            start = self.clock()
            if not self._try(job, stage, task):
                return
            longest = max(longest, self.clock() - start)
            waiting.discard(task)
            yield task
        last_news = self.clock()
        while waiting:
            news = waiting & job.open().done(stage)
            if news:
                waiting -= news
                last_news = self.clock()
                yield from sorted(news)
            elif self.is_finished():
                return
            elif self.clock() - last_news > max(self.patience_seconds, 3 * longest):
                left = sorted(waiting)
                task = left[self.rank * len(left) // self.num_ranks]  # not all ranks the same one
                if not self._try(job, stage, task):
                    return
                waiting.discard(task)
                yield task
            else:
                self.sleep(self.poll_seconds)

    def _try(self, job: Job, stage: str, task: int) -> bool:
        """Do a task; return False where the corpus is finished, and the work folder gone."""
        try:
            run_task(job, stage, task)
        except KeyboardLMError:
            if self.is_finished():
                return False
            raise
        return True
