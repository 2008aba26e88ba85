"""Saved states of a training run: whole or absent, and enough to go on bit for bit.

RUN/states/00001200/state.json           step, what was averaged, last held-out figures, seconds trained
RUN/states/00001200/tensors.safetensors  weights, optimizer moments, running average
RUN/states/00001200/shards/              in its place for sharded runs (see `sharded_saves`)
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from keyboard_lm.errors import TrainingError, WriteError
from keyboard_lm.files import replaced_folder, take_lock

STATES_FOLDER = "states"
STATE_FILE = "state.json"
SHARDS_FOLDER = "shards"
_TENSORS_FILE = "tensors.safetensors"
_KEPT = 2


@dataclass(frozen=True)
class RunState:
    """A point of a run.

    Attributes:
        step: optimizer steps done.
        values: everything that is not a tensor.
        tensors: weights, moments and averages by flat name; none of them in a sharded state.
        shards: the folder of a sharded state, None for a whole one.
    """

    step: int
    values: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    shards: Path | None = None


class RunLock:
    """Keeps a second process from writing the same run; what a killed save left behind is removed.

    Args:
        run_folder: an existing folder.

    Raises:
        TrainingError: another process is training there.
    """

    def __init__(self, run_folder: Path) -> None:
        self._stream = (run_folder / ".lock").open("w")
        if not take_lock(self._stream):
            self._stream.close()
            raise TrainingError(f"{run_folder}: another process is training there; wait for it or stop it")
        for draft in (run_folder / STATES_FOLDER).glob(".*"):
            shutil.rmtree(draft, ignore_errors=True)

    def release(self) -> None:
        """Let the next process in."""
        self._stream.close()


def save_state(run_folder: Path, state: RunState) -> None:
    """Write a state under a temporary name, rename it, and drop all but the last two.

    Raises:
        TrainingError: the folder cannot be written; earlier states stay as they are.
    """
    folder = run_folder / STATES_FOLDER / f"{state.step:08d}"
    try:
        with replaced_folder(folder) as draft:
            tensors = {name: tensor.detach().contiguous().clone() for name, tensor in state.tensors.items()}
            save_file(tensors, draft / _TENSORS_FILE)
            (draft / STATE_FILE).write_text(json.dumps({"step": state.step, **state.values}), encoding="utf-8")
    except (WriteError, SafetensorError) as error:
        raise TrainingError(
            f"step {state.step} cannot be saved ({error}); free some space and run the same command to go on from the "
            "last saved step"
        ) from None
    drop_old_states(run_folder)


def drop_old_states(run_folder: Path) -> None:
    """Remove all states but the last two."""
    for old in _state_folders(run_folder)[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def load_latest_state(run_folder: Path) -> RunState | None:
    """Return the last state of a run, or None before the first.

    Raises:
        TrainingError: the state is damaged.
    """
    folders = _state_folders(run_folder)
    if not folders:
        return None
    try:
        values = json.loads((folders[-1] / STATE_FILE).read_text(encoding="utf-8"))
        step = int(values.pop("step"))
        if (folders[-1] / SHARDS_FOLDER).is_dir():
            return RunState(step, values, {}, folders[-1])
        return RunState(step, values, load_file(folders[-1] / _TENSORS_FILE))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise TrainingError(
            f"{folders[-1]}: cannot be read ({error}); delete that folder to go on from the state before it"
        ) from None


def _state_folders(run_folder: Path) -> list[Path]:
    parent = run_folder / STATES_FOLDER
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and path.name.isdigit())
