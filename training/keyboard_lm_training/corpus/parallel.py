"""Worker processes with an ordered map that keeps a bounded number of items in flight."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import TypeVar

from keyboard_lm.errors import DataError

IN_FLIGHT_PER_WORKER = 4

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """A pool of processes, started when first used; a context manager.

    Args:
        num_workers: processes; with 1, everything is computed in this process.
    """

    def __init__(self, num_workers: int = 1) -> None:
        self._num_workers = num_workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def map(self, task: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield ``task(item)`` in the order of `items`, whatever the number of workers.

        Args:
            task: a picklable callable; it travels with every item, so it should be small.
            items: read lazily, a few per worker ahead of the results.

        Raises:
            DataError: a worker died (most often: the machine ran out of memory).
        """
        if self._num_workers == 1:
            yield from map(task, items)
            return
        if self._pool is None:
            # Spawned workers share no locks or threads with this process, so a progress display cannot deadlock them.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._num_workers, context, _start_worker)
        pending: deque[Future[Result]] = deque()
        try:
            for item in items:
                pending.append(self._pool.submit(task, item))
                if len(pending) > IN_FLIGHT_PER_WORKER * self._num_workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool:
            raise DataError(
                "a worker process died, most likely for lack of memory; what is finished is kept: use fewer --workers"
            ) from None
        finally:
            for future in pending:
                future.cancel()


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent alone answers it
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
