"""States of a sharded run: each process writes its own part, while training goes on.

RUN/states/00001200/state.json   as in `run_state`
RUN/states/00001200/shards/      torch's distributed checkpoint: a file a process, and what lies where in `.metadata`

A state is read by any number of processes, sharded or not. Another version of torch may not read it; what outlives a
run is the checkpoint folder. The files come from the run's own processes: a state from somebody else is not to be
loaded, since `.metadata` is a pickle.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save

from keyboard_lm.errors import TrainingError
from keyboard_lm_training.run.devices import Placement
from keyboard_lm_training.run.run_state import SHARDS_FOLDER, STATE_FILE, STATES_FOLDER, drop_old_states

_WEIGHTS, _MOMENTS, _AVERAGE = "weights", "moments", "average"
_METADATA_FILE = ".metadata"  # torch's name for it
# What a process met, or what torch says of another: a BaseException, which `except Exception` lets through
# (findings/dcp_exception_base.sh).
_FAILURES = (Exception, CheckpointException)


class ShardedSaves:
    """Writes states behind the training loop's back, one at a time.

    Args:
        run_folder: of the run, on a disk that every process sees.
        place: this process's rank.
    """

    def __init__(self, run_folder: Path, place: Placement) -> None:
        self._states, self._place = run_folder / STATES_FOLDER, place
        self._run_folder = run_folder
        # A group of its own: the writing thread's messages must not meet those of the training step.
        self._group = dist.new_group(backend="gloo", timeout=place.timeout)
        # Copies into the same memory each time, so that a save after the first allocates nothing.
        self._stager = DefaultStager(StagingOptions(False, False, False, False))
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="save")
        self._pending: Future[None] | None = None

    def save(
        self,
        step: int,
        values: Mapping[str, Any],
        module: nn.Module,
        optimizers: list[torch.optim.Optimizer],
        average: Mapping[str, Tensor],
    ) -> None:
        """Copy the state and return; it is written while training goes on. Every process has to call this.

        Args:
            step: optimizer steps done.
            values: everything that is not a tensor; the first process's count.
            module: the sharded network.
            optimizers: of its parameters.
            average: sums of snapshots, on the first process; nothing on the others.

        Raises:
            TrainingError: the state before this one could not be written.
        """
        self.wait()
        draft = self._states / f".{step:08d}"
        if self._place.is_main:
            shutil.rmtree(draft, ignore_errors=True)
            try:
                draft.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise TrainingError(f"{draft}: cannot be made ({error.strerror}); check the disk of the run") from None
        state = _sharded_state(module, optimizers)
        if average:
            state[_AVERAGE] = dict(average)
        self._place.wait()  # for the folder
        written: Any = async_save(
            state,
            storage_writer=FileSystemWriter(draft / SHARDS_FOLDER),
            process_group=self._group,
            async_stager=self._stager,
        )
        self._pending = self._thread.submit(self._commit, written, draft, step, dict(values))

    def wait(self) -> None:
        """Return when the last state is on the disk.

        Raises:
            TrainingError: it could not be written; earlier states stay as they are.
        """
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        try:
            pending.result()
        except _FAILURES as error:
            raise TrainingError(
                f"a state cannot be saved ({_first_line(error)}); free some space and run the same command to go on "
                "from the last saved step"
            ) from error

    def close(self) -> None:
        """Give the thread back; a state that is still being written stays a draft."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _commit(self, written: Future[Any], draft: Path, step: int, values: dict[str, Any]) -> None:
        written.result()  # the first process has this when all have written
        if not self._place.is_main:
            return
        state_file = draft / STATE_FILE
        with state_file.open("w", encoding="utf-8") as stream:
            json.dump({"step": step, "torch_version": torch.__version__, **values}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        folder = self._states / f"{step:08d}"
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
        drop_old_states(self._run_folder)


def restore_sharded(module: nn.Module, optimizers: list[torch.optim.Optimizer], folder: Path) -> None:
    """Put a sharded state back, each process reading its share, whatever number of them wrote it.

    Args:
        module: the network, sharded or whole.
        optimizers: of its parameters, in the order they were saved.
        folder: of the state.

    Raises:
        TrainingError: it is damaged, or another version of torch wrote it.
    """
    state = _sharded_state(module, optimizers)
    _load(state, folder)
    set_model_state_dict(module, state[_WEIGHTS])
    for number, optimizer in enumerate(optimizers):
        groups: Any = get_optimizer_state_dict(module, optimizer)["param_groups"]
        values: dict[str, Any] = {"state": state[_MOMENTS][str(number)], "param_groups": groups}
        set_optimizer_state_dict(module, optimizer, values)


def load_average(folder: Path) -> dict[str, Tensor]:
    """Return the sums of snapshots in a sharded state; the first process alone needs them.

    Raises:
        TrainingError: it is damaged, or another version of torch wrote it.
    """
    prefix = f"{_AVERAGE}."
    found = _metadata(folder).state_dict_metadata
    sums = {
        name.removeprefix(prefix): torch.empty(entry.size, dtype=entry.properties.dtype)
        for name, entry in found.items()
        if name.startswith(prefix) and isinstance(entry, TensorStorageMetadata)
    }
    if sums:
        _load({_AVERAGE: sums}, folder, is_alone=True)
    return sums


def _sharded_state(module: nn.Module, optimizers: list[torch.optim.Optimizer]) -> dict[str, Any]:
    # The weights first: that puts FSDP's root back into its shards, which a forward pass without a backward one leaves
    # gathered; the optimizer's parameters are not found then (findings/fsdp_optimizer_after_eval.sh).
    weights: dict[str, Any] = get_model_state_dict(module)
    moments: dict[str, Any] = {}
    for number, optimizer in enumerate(optimizers):
        moments[str(number)] = get_optimizer_state_dict(module, optimizer).get("state", {})
    return {_WEIGHTS: weights, _MOMENTS: moments}


def _load(state: dict[str, Any], folder: Path, is_alone: bool = False) -> None:
    _check_files(folder)  # torch logs the tracebacks of metadata that it cannot read, and names no file that is short
    reader = FileSystemReader(folder / SHARDS_FOLDER)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled")  # as asked for
            load(state, storage_reader=reader, no_dist=is_alone or not dist.is_initialized())
    except _FAILURES as error:
        raise _unreadable(folder, error) from error


def _check_files(folder: Path) -> None:
    for path, end in sorted(_file_ends(folder).items()):
        try:
            size = path.stat().st_size
        except OSError as error:
            raise _unreadable(path, error, folder) from None
        if size < end:
            raise _unreadable(path, EOFError(f"{size} bytes instead of {end}"), folder)


def _file_ends(folder: Path) -> dict[Path, int]:
    """Return the files of a state, and how many bytes of each are asked for."""
    ends: dict[Path, int] = {}
    for entry in (_metadata(folder).storage_data or {}).values():
        path = folder / SHARDS_FOLDER / entry.relative_path
        ends[path] = max(ends.get(path, 0), entry.offset + entry.length)
    return ends


def _metadata(folder: Path) -> Metadata:
    try:
        return FileSystemReader(folder / SHARDS_FOLDER).read_metadata()
    except _FAILURES as error:
        raise _unreadable(folder / SHARDS_FOLDER / _METADATA_FILE, error, folder) from error


def _unreadable(place: Path, error: BaseException, folder: Path | None = None) -> TrainingError:
    return TrainingError(
        f"{place}: cannot be read ({_first_line(error)}) by torch {torch.__version__}; delete {folder or place} to go "
        "on from the state before it"
    )


def _first_line(error: BaseException) -> str:
    if isinstance(error, CheckpointException) and error.failures:  # of each rank that failed, what it met
        rank, (error, _) = min(error.failures.items(), key=lambda failure: failure[0])
        return f"process {rank}: {_first_line(error)}"
    told = str(error.strerror if isinstance(error, OSError) and error.strerror else error).strip()
    return f"{type(error).__name__}: {told.splitlines()[0][:300]}" if told else type(error).__name__
