"""The log of a run: one JSON object a line, and a plot of the loss."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from keyboard_lm.errors import TrainingError
from keyboard_lm.files import replaced_file, write_text_whole

LOG_FILE = "log.jsonl"
PLOT_FILE = "loss.png"


class RunLog:
    """Appends measurements to `log.jsonl`; after a resume the lines beyond the resumed step are dropped.

    Args:
        run_folder: where the log lies.
        step: the step the run goes on from.
    """

    def __init__(self, run_folder: Path, step: int) -> None:
        self._path = run_folder / LOG_FILE
        kept = [entry for entry in read_log(run_folder) if entry["step"] <= step]
        write_text_whole(self._path, "".join(json.dumps(entry) + "\n" for entry in kept))
        try:
            self._stream = self._open()
        except OSError as error:
            raise TrainingError(f"{self._path}: cannot be written ({error.strerror}); choose another folder") from None

    def _open(self) -> TextIO:
        return self._path.open("a", encoding="utf-8")

    def write(self, entry: dict[str, Any]) -> None:
        """Append one line and flush it.

        Raises:
            TrainingError: the disk is full or the folder gone.
        """
        try:
            self._stream.write(json.dumps(entry) + "\n")
            self._stream.flush()
        except OSError as error:
            raise TrainingError(f"{self._path}: cannot be written ({error.strerror}); free some space") from None

    def close(self) -> None:
        """Close the file; every line is already on disk, or `write` has said why not."""
        with suppress(OSError):
            self._stream.close()


def read_log(run_folder: Path) -> list[dict[str, Any]]:
    """Return the entries of a run's log; a line cut short by a kill is left out."""
    path = run_folder / LOG_FILE
    entries: list[dict[str, Any]] = []
    if not path.is_file():
        return entries
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            entries.append(entry)
    return entries


def plot_loss(run_folder: Path) -> Path | None:
    """Draw training loss and held-out bits per byte into `loss.png`; None without two points or matplotlib."""
    try:
        import matplotlib.figure
    except ImportError:
        return None
    entries = read_log(run_folder)
    losses = [(entry["tokens"] / 1e6, entry["loss"]) for entry in entries if "loss" in entry]
    heldout = [
        (entry["tokens"] / 1e6, entry["bits_per_byte"]["all"]) for entry in entries if entry.get("bits_per_byte")
    ]
    if len(losses) < 2:
        return None
    figure = matplotlib.figure.Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(*zip(*losses, strict=True), color="tab:blue", linewidth=0.8, label="training loss")
    axes.set_xlabel("tokens (millions)")
    axes.set_ylabel("training loss (nats per token)", color="tab:blue")
    if heldout:
        right = axes.twinx()
        right.plot(*zip(*heldout, strict=True), color="tab:orange", marker=".", label="held-out bits per byte")
        right.set_ylabel("held-out bits per byte", color="tab:orange")
    axes.grid(alpha=0.3)
    path = run_folder / PLOT_FILE
    with replaced_file(path) as draft:
        figure.savefig(draft, dpi=120, format="png")
    return path
