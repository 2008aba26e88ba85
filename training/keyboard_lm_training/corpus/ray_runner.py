"""Tasks on a Ray cluster. Its object store carries task numbers only; all data goes through the shared storage."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from keyboard_lm.errors import DataError, KeyboardLMError, MissingExtraError
from keyboard_lm_training.corpus.parallel import IN_FLIGHT_PER_WORKER
from keyboard_lm_training.corpus.stages import Job, run_task

LOCAL = "local"
_RETRIES = 5  # of a task whose node or process died


class RayRunner:
    """Runs tasks on all cores of a Ray cluster, a core each; a context manager.

    Args:
        address: of the cluster (``auto``: the one this machine belongs to), or ``local`` for one that is started here
            and ends with this object.
        num_cpus: of a cluster that is started here.

    Raises:
        MissingExtraError: Ray is not installed.
        DataError: there is no such cluster, or it cannot be started.
    """

    def __init__(self, address: str, num_cpus: int) -> None:
        prepare_environment()
        try:
            self._ray: Any = importlib.import_module("ray")
        except ImportError:
            raise MissingExtraError("ray", "cluster") from None
        self._is_own = not self._ray.is_initialized()
        if self._is_own:
            options: dict[str, Any] = {"num_cpus": num_cpus} if address == LOCAL else {}
            try:
                self._ray.init(address, logging_level="ERROR", log_to_driver=False, include_dashboard=None, **options)
            except Exception as error:  # connection errors, timeouts and value errors of several packages
                raise DataError(
                    f"Ray at {address}: cannot be reached ({_first_line(error)}); start it with `ray start`, or give"
                    " --ray local"
                ) from None
        self._task = self._ray.remote(num_cpus=1, max_retries=_RETRIES)(run_task)

    def __enter__(self) -> RayRunner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_own:
            self._ray.shutdown()

    def run(self, job: Job, stage: str, tasks: Sequence[int]) -> Iterator[int]:
        """Run tasks of one stage.

        Raises:
            KeyboardLMError: as the task raised it.
            DataError: a task's node or process died again and again.
        """
        waiting = list(reversed(tasks))
        running: list[Any] = []
        try:
            while waiting or running:
                limit = IN_FLIGHT_PER_WORKER * max(1, int(self._ray.cluster_resources().get("CPU", 1)))
                while waiting and len(running) < limit:
                    running.append(self._task.remote(job, stage, waiting.pop()))
                (first, *_), running = self._ray.wait(running)
                yield self._result(first)
        finally:
            for task in running:
                self._ray.cancel(task)

    def _result(self, task: Any) -> int:
        try:
            return int(self._ray.get(task))
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, KeyboardLMError):
                raise error.cause from None
            raise
        except self._ray.exceptions.RayError as error:
            raise DataError(
                f"a Ray task was lost ({_first_line(error)}), most likely for lack of memory; what is finished is kept"
            ) from None


def prepare_environment() -> None:
    """Set what Ray reads when it is imported: that nothing is reported, and how accelerators are hidden."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the way to come, and no warning of the old one


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
