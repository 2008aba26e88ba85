"""An ordered map over worker processes with a bounded number of items in flight."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from keyboard_lm.errors import DataError

IN_FLIGHT_PER_WORKER = 4

Item = TypeVar("Item")
Result = TypeVar("Result")

_task: Callable[[Any], Any]  # a worker process has one, set when it starts


def ordered_map(task: Callable[[Item], Result], items: Iterable[Item], num_workers: int) -> Iterator[Result]:
    """Yield ``task(item)`` in the order of `items`, whatever the number of workers.

    Args:
        task: a picklable callable; each worker receives it once.
        items: read lazily, a few per worker ahead of the results.
        num_workers: processes; 1 computes in this process.

    Raises:
        DataError: a worker died (most often: the machine ran out of memory).
    """
    if num_workers == 1:
        yield from map(task, items)
        return
    # Spawned workers share no locks or threads with this process, so a progress display cannot deadlock them.
    pool = ProcessPoolExecutor(num_workers, multiprocessing.get_context("spawn"), _start_worker, (task,))
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(_run_task, item))
            if len(pending) > IN_FLIGHT_PER_WORKER * num_workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool:
        raise DataError("a worker process died, most likely for lack of memory; use fewer --workers") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(task: Callable[[Any], Any]) -> None:
    global _task
    _task = task
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent alone answers it
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run_task(item: Any) -> Any:
    return _task(item)
