"""`keyboard-lm distill`: trains a student on a teacher's distribution beside the text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keyboard_lm.cli.training_run import (
    configured,
    init_from_option,
    parse_count,
    require_training_extra,
    run_training,
    training_options,
)

if TYPE_CHECKING:
    from keyboard_lm_training.run.devices import Placement
    from keyboard_lm_training.run.train_config import TrainConfig
    from keyboard_lm_training.run.training_data import TrainingData
    from keyboard_lm_training.teach.distill import Distillation


@click.command(context_settings={"show_default": True})
@click.option(
    "--teacher",
    "teacher_folder",
    type=click.Path(path_type=Path),
    required=True,
    help="A checkpoint or the folder of a finished run, with the corpus's tokenizer, or what `adopt` has made.",
)
@click.option("--alpha", type=float, default=0.5, help="Weight of the teacher; the text itself has the rest.")
@click.option("--temperature", type=float, default=1.0, help="Softens the teacher and the student.")
@click.option(
    "--hidden-weight", type=float, default=0.0, help="Weight of equal last hidden states (equal widths only)."
)
@click.option(
    "--logits",
    "logits_folder",
    type=click.Path(path_type=Path),
    help="Run the teacher once, keep its most probable tokens here, and learn from those.  [default: run it live]",
)
@click.option("--top-k", type=int, default=32, help="Tokens kept per position, with --logits.")
@click.option(
    "--taught-tokens",
    help="Store logits for so many tokens, such as 2M, and read them again and again.  [default: each token once]",
)
@click.option(
    "--fresh-share", type=float, default=0.0, help="With --taught-tokens: share of text that the teacher has not seen."
)
@init_from_option
@training_options
def command(
    pruned_model: Path | None,
    teacher_folder: Path,
    alpha: float,
    temperature: float,
    hidden_weight: float,
    logits_folder: Path | None,
    top_k: int,
    taught_tokens: str | None,
    fresh_share: float,
    size: str,
    data: Path | str | None,
    run_folder: Path | None,
    initial_folder: Path | None,
    tokens: str | None,
    device: str | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a student of a named size on a teacher's distribution.

    Everything that holds for `train` holds here: plan, log, saved states, torchrun. With --logits the teacher runs
    once, for as many students as share its corpus, seed and window length; the same command goes on where that was
    stopped. The loss in the log is that on the text alone, so that runs with and without a teacher compare.
    """
    require_training_extra()
    from keyboard_lm_training.teach.distill import DistillOptions, load_teacher, teacher_flops

    if taught_tokens is not None and logits_folder is None:
        raise click.UsageError("--taught-tokens says how many logits to store; give --logits FOLDER with it")
    if fresh_share and taught_tokens is None:
        raise click.UsageError("--fresh-share goes with --taught-tokens")
    teacher = load_teacher(teacher_folder)
    distill_options = DistillOptions(alpha, temperature, hidden_weight)
    config = configured(size, tokens, options)
    taught_windows = round(parse_count(taught_tokens) / config.seq_len) if taught_tokens is not None else None

    def make_objective(config: TrainConfig, training_data: TrainingData, place: Placement) -> Distillation:
        from keyboard_lm_training.run.windows import RepeatedWindows
        from keyboard_lm_training.teach.distill import Distillation, describe_logits, store_logits
        from keyboard_lm_training.teach.teacher_logits import StoredLogits

        if logits_folder is None:
            return Distillation(teacher, distill_options)
        description = describe_logits(teacher, config, training_data, distill_options, top_k)
        stored = StoredLogits(logits_folder, description)
        num_windows = taught_windows or config.steps * config.sequences_per_step
        missing = stored.missing_parts(num_windows)
        if place.is_main and missing:
            num_tokens = num_windows * config.seq_len
            whole, rest = description.num_bytes(num_windows), len(missing) * description.num_bytes(1)
            click.echo(
                f"teacher logits: {num_tokens / 1e6:,.1f} M tokens x {top_k} take {whole / 1e6:,.0f} MB; "
                f"{rest / 1e6:,.0f} MB of them are still to be written to {logits_folder}",
                err=True,
            )

        def report(done: int, total: int) -> None:
            if place.is_main and (done == total or done % 10 == 0):
                click.echo(f"teacher logits: part {done} of {total}", err=True)

        store_logits(teacher, config, training_data, stored, num_windows, place, report)
        repeated = training_data.sampler if isinstance(training_data.sampler, RepeatedWindows) else None
        return Distillation(teacher, distill_options, stored, repeated)

    def reorder(training_data: TrainingData) -> TrainingData:
        if taught_windows is None:
            return training_data
        return training_data.repeating(taught_windows, config.seed, fresh_share)

    run_folder = run_folder or Path("runs") / f"{Path(config.size).stem}-distilled"
    run_training(
        config, data, run_folder, initial_folder, device, dry_run, as_json,
        make_objective, extra_flops_per_token=teacher_flops(teacher), reorder=reorder, pruned_model=pruned_model,
    )  # fmt: skip
