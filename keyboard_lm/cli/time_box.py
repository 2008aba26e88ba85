"""`keyboard-lm time-box`: teacher and student in a given number of minutes."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import click

from keyboard_lm.cli.training_run import require_training_extra

# A step that keeps a GPU busy; on a CPU a small step is as fast, and small steps learn more from few tokens.
_BATCH = {
    "cuda": {"batch_tokens": 131_072, "micro_batch": 256},
    "mps": {"batch_tokens": 16_384, "micro_batch": 64},
    "cpu": {"micro_batch": 32},
}


@click.command(context_settings={"show_default": True})
@click.option("--minutes", type=float, required=True, help="In all: teacher, student and measuring them.")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="A corpus folder or a packed corpus.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder for everything written.")
@click.option("--teacher-size", default="60m")
@click.option(
    "--teacher",
    "teacher_folder",
    type=click.Path(path_type=Path),
    help="A finished teacher, such as `adopt` makes; all minutes are the student's then.  [default: one is trained]",
)
@click.option("--size", "student_size", default="30m", help="Of the student.")
@click.option("--teacher-share", type=float, default=0.5, help="Of the minutes, for the teacher; 0 trains none.")
@click.option("--decay-share", type=float, default=0.4, help="Of each run, spent going down.")
@click.option("--alpha", type=float, default=0.9, help="Weight of the teacher in the student's loss.")
@click.option("--learning-rate", type=float, help="Peak of both.  [default: the sizes' recipes]")
@click.option("--warmup-steps", type=int)
@click.option("--batch-tokens", type=int, help="[default: 131,072 on CUDA, 8,192 on a CPU]")
@click.option("--micro-batch", type=int, help="[default: 256 on CUDA, 32 on a CPU]")
@click.option("--eval-tokens", type=int, help="Held-out tokens per source in the last measurement.")
@click.option("--compile/--eager", default=None, help="Fuse element-wise work with torch.compile, or not.")
@click.option("--device", type=click.Choice(["cpu", "cuda", "mps"]), help="[default: the fastest there is]")
@click.option("--seed", type=int, default=1)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    minutes: float,
    data: Path,
    output: Path,
    teacher_size: str,
    teacher_folder: Path | None,
    student_size: str,
    teacher_share: float,
    decay_share: float,
    alpha: float,
    device: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a teacher and a student on it as far as the minutes go.

    Both go at a constant rate and then down to zero as their time ends, whatever the machine's speed. OUTPUT/weights
    gets the student's checkpoint with fp16 weights in parts of at most 16 MiB (`keyboard-lm join-weights` puts them
    together), OUTPUT/report.json tokens, seconds and held-out bits per byte of both. Stopped with Ctrl-C, the same
    command goes on with new minutes.
    """
    require_training_extra()
    from keyboard_lm_training.corpus.archive import unpack_corpus
    from keyboard_lm_training.run.devices import placed
    from keyboard_lm_training.run.train_config import preset_for
    from keyboard_lm_training.run.training_data import TrainingData
    from keyboard_lm_training.teach.distill import load_teacher
    from keyboard_lm_training.teach.time_box import TimeBox, train_in_time

    started = time.monotonic()
    TimeBox(minutes, teacher_share, decay_share, alpha)  # mistakes are told before anything is unpacked
    asked_to_stop = False

    def ask_to_stop(number: int, frame: object) -> None:
        nonlocal asked_to_stop
        asked_to_stop = True
        click.echo("stopping after this micro-batch", err=True)

    ready = load_teacher(teacher_folder) if teacher_folder is not None else None
    with placed(device) as place:
        given = {name: value for name, value in options.items() if value is not None}
        given = _BATCH[place.device.type] | given
        teacher, student = (preset_for(size).with_changes(**given) for size in (teacher_size, student_size))
        folder = data
        if not data.is_dir():
            folder = output / "corpus"
            if not folder.is_dir():
                unpack_corpus(data, folder)
        box = TimeBox(minutes - (time.monotonic() - started) / 60, teacher_share, decay_share, alpha)
        earlier = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            result = train_in_time(
                box, teacher, student, lambda config: TrainingData.load(folder, config.seq_len, config.seed), output,
                place, lambda text: click.echo(text, err=True), lambda: asked_to_stop, ready_teacher=ready,
            )  # fmt: skip
        finally:
            for number, action in earlier.items():
                signal.signal(number, action)
    if result is None:
        click.echo("stopped; the same command goes on", err=True)
        sys.exit(130)
    if as_json:
        click.echo(json.dumps(result))
        return
    for name, entry in result.items():
        rate = entry["heldout_bits_per_byte"].get("all")
        measured = f", {rate:.4f} bits per byte held out" if rate is not None else ""
        click.echo(f"{name}: {entry['tokens'] / 1e6:,.1f} M tokens, {entry['tokens_per_second']:,} a second{measured}")
    click.echo(f"next: keyboard-lm join-weights {output / 'weights'}", err=True)
