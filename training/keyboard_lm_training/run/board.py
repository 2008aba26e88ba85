"""The log of a run as TensorBoard reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keyboard_lm.errors import MissingExtraError

BOARD_FOLDER = "tensorboard"


class RunBoard:
    """Writes the figures of log entries as curves over steps; after a resume those beyond the resumed step are hidden.

    Args:
        run_folder: the curves lie in a folder of it.
        step: the step the run goes on from.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, run_folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtraError("tensorboard", "tensorboard") from None
        make: Any = SummaryWriter
        self._writer = make(str(run_folder / BOARD_FOLDER), purge_step=step + 1 if step else None)

    def write(self, entry: Mapping[str, Any]) -> None:
        """Add the numbers of one log entry; those of a mapping get its name in front."""
        for name, value in entry.items():
            if name == "step":
                continue
            figures = value.items() if isinstance(value, Mapping) else (("", value),)
            for part, figure in figures:
                self._writer.add_scalar(f"{name}/{part}" if part else name, figure, entry["step"])

    def close(self) -> None:
        """Write what is left and close the file."""
        self._writer.close()
