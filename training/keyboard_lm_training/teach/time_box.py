"""Teacher and student in a given number of minutes, as far as the minutes go.

A rented device has a price an hour, so the schedule is in time: constant rate, then down to zero when the minutes end
(WSD, Hu et al. 2024, whose decay may begin at any step). How many steps that is follows from the speed of the run
itself, and is corrected while it goes down.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyboard_lm.errors import ConfigError, TrainingError
from keyboard_lm.files import replaced_folder, write_text_whole
from keyboard_lm.network.checkpoint import WEIGHTS_FILE, Checkpoint
from keyboard_lm_training.run.devices import Placement
from keyboard_lm_training.run.objective import Objective
from keyboard_lm_training.run.train_config import TrainConfig
from keyboard_lm_training.run.trainer import CHECKPOINT_FOLDER, Progress, Trainer, TrainResult
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.teach.distill import AnyTeacher, Distillation, DistillOptions

REPORT_FILE = "report.json"
PART_BYTES = 16 << 20
_ENDLESS_STEPS = 10**9
_TOLERANCE = 0.03  # steps left may differ so far from what the speed allows before they are planned again
_SPARE_SHARE = 0.02  # of a phase: for saving, and for steps slower than the mean


@dataclass(frozen=True)
class TimeBox:
    """What to do with some minutes.

    Attributes:
        minutes: in all, the last measurement included.
        teacher_share: of them, for the teacher; 0 trains the student alone.
        decay_share: of each phase, spent going down.
        alpha: weight of the teacher in the student's loss.

    Raises:
        ConfigError: on construction, listing every mistake.
    """

    minutes: float
    teacher_share: float = 0.5
    decay_share: float = 0.4
    alpha: float = 0.9

    def __post_init__(self) -> None:
        mistakes = []
        if not 0 < self.minutes < float("inf"):
            mistakes.append(f"minutes must be above 0, not {self.minutes}")
        if not 0 <= self.teacher_share < 1:
            mistakes.append(f"teacher_share must be at least 0 and below 1, not {self.teacher_share}")
        if not 0 < self.decay_share <= 1:
            mistakes.append(f"decay_share must be above 0 and at most 1, not {self.decay_share}")
        if not 0 <= self.alpha <= 1:
            mistakes.append(f"alpha must lie between 0 and 1, not {self.alpha}")
        if mistakes:
            raise ConfigError("time box: " + "; ".join(mistakes))


class TimedRun:
    """Decides when a run goes down, from the clock and the speed so far.

    Args:
        trainer: a run with more steps than there is time for.
        seconds: until its last step should be done.
        decay_share: of that time, spent going down.
        clock: seconds that only go forward.
        report: called with a sentence now and then.
    """

    def __init__(
        self,
        trainer: Trainer,
        seconds: float,
        decay_share: float,
        clock: Callable[[], float] = time.monotonic,
        report: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._trainer, self._clock, self._report = trainer, clock, report
        now = clock()
        self._end = now + seconds * (1 - _SPARE_SHARE)
        self._decay_start = self._end - seconds * decay_share
        self._begin = (trainer.step, now)
        self._since: tuple[int, float] | None = None  # speed is measured from here: the first step compiles
        self._checked_step = trainer.step
        self._spoke = now
        self.is_decaying = False

    def run(self, should_stop: Callable[[], bool] = lambda: False) -> TrainResult:
        """Train until the time is over; raises what `Trainer.run` does."""

        def asked() -> bool:
            self._plan()
            return should_stop()

        return self._trainer.run(self._speak, asked)

    def _plan(self) -> None:
        # Between micro-batches; plans once a step.
        trainer, now = self._trainer, self._clock()
        if trainer.step == self._checked_step:
            return
        self._checked_step = trainer.step
        seconds_per_step = self._seconds_per_step(now)
        left = int((self._end - now) / seconds_per_step)
        if self.is_decaying:
            planned = trainer.config.steps - trainer.step
            if abs(left - planned) > planned * _TOLERANCE:
                trainer.replan(max(1, left))
        elif now + seconds_per_step > self._decay_start:
            self.is_decaying = True
            trainer.replan(max(1, left))
            self._report(f"step {trainer.step}: the rate goes down over {trainer.config.steps - trainer.step} steps")

    def _seconds_per_step(self, now: float) -> float:
        if self._since is None:
            self._since = (self._trainer.step, now)
        step, since = self._since if self._trainer.step > self._since[0] else self._begin
        return max(1e-9, (now - since) / (self._trainer.step - step))

    def _speak(self, progress: Progress) -> None:
        now = self._clock()
        if now - self._spoke >= 15:
            self._spoke = now
            self._report(
                f"step {progress.step}, {progress.tokens_per_second:,.0f} tokens/s, loss {progress.loss:.3f}, "
                f"{max(0.0, self._end - now):.0f} s left"
            )


def train_in_time(
    box: TimeBox,
    teacher: TrainConfig,
    student: TrainConfig,
    load_data: Callable[[TrainConfig], TrainingData],
    output: Path,
    place: Placement,
    report: Callable[[str], None] = lambda text: None,
    should_stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    ready_teacher: AnyTeacher | None = None,
) -> dict[str, Any] | None:
    """Train a teacher, then a student on it, and write the student's weights in parts.

    A phase that was stopped goes on from its last saved state; a teacher that is finished is not trained again.

    Args:
        box: the minutes.
        teacher: its run; the steps are not looked at.
        student: the same.
        load_data: opens the corpus for a run.
        output: gets `teacher/`, `student/` (runs), `weights/` (the student's checkpoint, its weights in parts) and
            `report.json`.
        place: the device.
        report: called with a sentence now and then.
        should_stop: asked between micro-batches.
        clock: seconds that only go forward.
        ready_teacher: a teacher that is finished; all minutes are the student's then.

    Returns:
        What `report.json` holds: tokens, seconds and held-out bits per byte of both; None where it was stopped.

    Raises:
        TrainingError: see `Trainer`; or the student is finished, or there is no time for it.
    """
    if place.world_size > 1:
        raise TrainingError("a time box is one process's; start it without torchrun")
    if (output / "student" / CHECKPOINT_FOLDER).is_dir():
        raise TrainingError(f"{output} holds a finished student; give another --output")
    end = clock() + 60 * box.minutes
    phases: dict[str, Any] = {}
    objective: Objective | None = None
    if ready_teacher is not None:
        objective = Distillation(ready_teacher, DistillOptions(box.alpha))
    elif box.teacher_share:
        finished = output / "teacher" / CHECKPOINT_FOLDER
        if not finished.is_dir():
            seconds = 60 * box.minutes * box.teacher_share
            entry = _phase(
                box, teacher, load_data, output / "teacher", place, seconds, None, report, should_stop, clock
            )
            if entry is None:
                return None
            phases["teacher"] = entry
        objective = Distillation(Checkpoint.load(finished), DistillOptions(box.alpha))
    left = end - clock()
    if left <= 0:
        raise TrainingError("no time is left for the student; give more --minutes, or a smaller --teacher-share")
    entry = _phase(box, student, load_data, output / "student", place, left, objective, report, should_stop, clock)
    if entry is None:
        return None
    phases["student"] = entry
    split_checkpoint(output / "student" / CHECKPOINT_FOLDER, output / "weights")
    write_text_whole(output / REPORT_FILE, json.dumps(phases, indent=2) + "\n")
    return phases


def _phase(
    box: TimeBox,
    config: TrainConfig,
    load_data: Callable[[TrainConfig], TrainingData],
    folder: Path,
    place: Placement,
    seconds: float,
    objective: Objective | None,
    report: Callable[[str], None],
    should_stop: Callable[[], bool],
    clock: Callable[[], float],
) -> dict[str, Any] | None:
    started = clock()
    config = config.with_changes(steps=_ENDLESS_STEPS, schedule="wsd", eval_interval_steps=0)
    data = load_data(config)
    trainer = Trainer(config, data, folder, place, objective=objective)
    first_step = trainer.step
    reserve = _measuring_seconds(trainer, clock)
    report(f"{folder.name}: {config.size}, {seconds:.0f} s, {reserve:.0f} of them to measure it")
    left = seconds - (clock() - started) - reserve
    if left <= 0:
        raise TrainingError(f"{folder.name}: measuring alone takes {reserve:.0f} s; give more --minutes")
    result = TimedRun(trainer, left, box.decay_share, clock, report).run(should_stop)
    if result.checkpoint is None:
        return None
    trained = (result.step - first_step) * config.batch_tokens
    taken = clock() - started
    overall = result.bits_per_byte.get("all")
    report(
        f"{folder.name}: {result.step} steps, {trained / 1e6:.1f} M tokens in {taken:.0f} s"
        + (f", {overall:.4f} bits per byte held out" if overall is not None else "")
    )
    return {
        "size": config.size,
        "parameters": trainer.model_config.num_parameters,
        "steps": result.step,
        "tokens": result.step * config.batch_tokens,
        "seconds": round(taken, 1),
        "tokens_per_second": round(trained / max(taken - reserve, 1e-9)),
        "device": str(place.device),
        "heldout_bits_per_byte": {name: round(value, 5) for name, value in result.bits_per_byte.items()},
    }


def _measuring_seconds(trainer: Trainer, clock: Callable[[], float]) -> float:
    # What the held-out figure will take: as long as it takes now, before the first step.
    started = clock()
    trainer.measure()
    return 1.2 * (clock() - started)


def split_checkpoint(checkpoint: Path, output: Path, part_bytes: int = PART_BYTES) -> list[Path]:
    """Copy a checkpoint with its weights in parts of at most `part_bytes`; `join_checkpoint` puts it together.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    with replaced_folder(output) as draft:
        for path in sorted(checkpoint.iterdir()):
            if path.name != WEIGHTS_FILE:
                shutil.copy(path, draft / path.name)
        with (checkpoint / WEIGHTS_FILE).open("rb") as file:
            number = 0
            while part := file.read(part_bytes):
                (draft / f"{WEIGHTS_FILE}.{number:03}").write_bytes(part)
                number += 1
    return sorted(output.glob(f"{WEIGHTS_FILE}.*"))


def join_checkpoint(folder: Path) -> Checkpoint:
    """Put the weights of a folder made by `split_checkpoint` together, in place.

    Raises:
        CheckpointError: a part is missing or damaged; the parts stay.
    """
    parts = sorted(folder.glob(f"{WEIGHTS_FILE}.*"))
    if parts:
        with (folder / WEIGHTS_FILE).open("wb") as file:
            for part in parts:
                file.write(part.read_bytes())
    checkpoint = Checkpoint.load(folder)
    checkpoint.weights()
    for part in parts:
        part.unlink()
    return checkpoint
