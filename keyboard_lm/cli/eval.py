"""`keyboard-lm eval`: measures a keyboard on text as the text-entry field does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from keyboard_lm.backends import BACKENDS, DEFAULT_BACKEND
from keyboard_lm.bench.cold_start import measure_cold_start
from keyboard_lm.cli.eval_swipe import run_swipe
from keyboard_lm.cli.report import comparison_json, comparison_tables, cost_table, evaluation_tables
from keyboard_lm.errors import DataError
from keyboard_lm.evaluation.cost import NUM_SLOTS, measure_cost
from keyboard_lm.evaluation.model_subject import ENGINES, MAX_SLOTS, MODEL, ModelSubject
from keyboard_lm.evaluation.noise import LEVELS
from keyboard_lm.evaluation.plots import check_drawable, draw
from keyboard_lm.evaluation.results import ALL, Evaluation, compare
from keyboard_lm.evaluation.runner import EvaluationPlan, Journal, Results, run
from keyboard_lm.evaluation.swipe_data import Half
from keyboard_lm.evaluation.tasks import TASKS, task_for
from keyboard_lm.evaluation.texts import SHIPPED, EvaluationText, load_texts, sample, shipped_texts
from keyboard_lm.files import write_file_whole
from keyboard_lm.network.checkpoint import bundled_folder
from keyboard_lm.touch.layout import layout_names

COST, SWIPE, EVERYTHING = "cost", "swipe", "all"


@click.command()
@click.argument("tasks", nargs=-1, type=click.Choice([*TASKS, COST, SWIPE, EVERYTHING]), metavar="[TASK]...")
@click.option(
    "--data",
    multiple=True,
    metavar="FILE|NAME",
    help=f"A text file, a folder of .txt files, a recording (.tsv, .jsonl), or a shipped text: {', '.join(SHIPPED)}; "
    "can be given several times.  [default: all shipped texts]",
)
@click.option("--model", type=click.Path(path_type=Path), help="Checkpoint folder.  [default: the bundled model]")
@click.option(
    "--engine", type=click.Choice(ENGINES), default=MODEL, show_default=True, help="The model alone, or the keyboard."
)
@click.option("--backend", type=click.Choice(BACKENDS), default=DEFAULT_BACKEND, show_default=True)
@click.option("--bits", type=click.Choice(["4", "8", "16", "32"]), default="4", show_default=True, help="Of the graph.")
@click.option("--slots", type=click.IntRange(1, 20), multiple=True, help="Bar length for savings.  [default: 1, 3, 5]")
@click.option("--errors", type=click.Choice(LEVELS), help="How the typist types.  [default: each task's usual]")
@click.option("--half", type=click.Choice(["tuning", "reporting"]), help="Of recorded swipes, by the hash of the word.")
@click.option("--layout", type=click.Choice(layout_names()), default="qwerty", show_default=True, help="Of swipes.")
@click.option("--limit", type=click.IntRange(min=1), help="Messages of each text, from all over it.  [default: all]")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes.  [default: one for each core]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--fresh", is_flag=True, help="Do not go on with an evaluation that was stopped.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Keep the results (JSON).")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the curves (PNG).")
@click.option(
    "--compare",
    "compared",
    type=(click.Path(path_type=Path), click.Path(path_type=Path)),
    metavar="A.json B.json",
    help="Print how B differs from A, pair by pair, and measure nothing.",
)
def command(
    tasks: tuple[str, ...],
    data: tuple[str, ...],
    model: Path | None,
    engine: str,
    backend: str,
    bits: str,
    slots: tuple[int, ...],
    errors: str | None,
    half: Half | None,
    layout: str,
    limit: int | None,
    jobs: int | None,
    seed: int,
    fresh: bool,
    output: Path | None,
    as_json: bool,
    plot: Path | None,
    compared: tuple[Path, Path] | None,
) -> None:
    """Measure a model as a keyboard: each TASK on each text, with 95 % intervals.

    next-word: the word that was written among the first 1, 3, 5 offered before it. completion: the same while it is
    typed. savings: keys that a typist saves who looks before every key. autocorrect: what a space mends and breaks.
    inline: text offered ahead of the cursor. language-model: bits per byte. cost: time of each keystroke, memory.
    swipe, by itself: words read from paths, recorded ones (--data FILE, docs/swipe.md) or drawn over the shipped texts.
    Without TASK, all but cost, whose figures no second run repeats, and swipe; "all" is cost as well.
    docs/evaluation.md defines each figure.

    An evaluation that is stopped goes on where it was when the same command is given again.
    """
    if compared is not None:
        if tasks or data or output or plot:
            raise click.UsageError("--compare measures nothing: it takes --json and no other option")
        before, after = (Evaluation.load(path) for path in compared)
        tables = compare(before, after)
        click.echo(comparison_json(tables) if as_json else comparison_tables(before, after, tables))
        return
    if SWIPE in tasks:
        if set(tasks) != {SWIPE} or output or plot:
            raise click.UsageError("swipe is measured by itself, with --data, --half, --layout, --limit and --json")
        run_swipe(data, model, backend, int(bits), limit, seed, half, layout, as_json)
        return
    texts = _texts(data, limit)
    slots = tuple(sorted(set(slots))) or (1, 3, 5)
    subject = ModelSubject(
        model or bundled_folder(), backend, int(bits), max_slots=max(MAX_SLOTS, *slots), keyboard=engine
    )
    names = _task_names(tasks, texts)
    for path in (output, plot):
        if path is not None and not path.parent.is_dir():
            raise DataError(f"{path}: cannot be written (there is no folder {path.parent})")
    if plot is not None:
        check_drawable(names)
    measured = tuple(name for name in names if name != COST)
    plan = EvaluationPlan(measured, tuple(texts), slots, errors, seed)
    journal = _open_journal(plan.digest(subject.describe()), fresh)
    results = _run(plan, subject, journal, jobs or os.cpu_count() or 1)
    latency = _cost(subject, texts) if COST in names else {}
    evaluation = Evaluation.of(subject.describe(), plan, results, latency)
    if output is not None:
        write_file_whole(output, evaluation.to_json().encode())
    if plot is not None:
        write_file_whole(plot, draw(evaluation))
    if as_json:
        click.echo(evaluation.to_json())
        journal.close()
        return
    parts = [evaluation_tables(evaluation)] if measured else []
    if latency:
        parts.append(cost_table(latency))
    click.echo("\n\n".join(parts))
    journal.close()


def _texts(sources: tuple[str, ...], limit: int | None) -> list[EvaluationText]:
    texts = [text for source in sources for text in load_texts(source)] or shipped_texts()
    names = [*(text.name for text in texts), ALL]
    if twice := {name for name in names if names.count(name) > 1}:
        raise DataError(f"two rows would be called {min(twice)}; evaluate the texts one by one or rename one")
    return [sample(text, limit) for text in texts] if limit is not None else texts


def _task_names(tasks: tuple[str, ...], texts: list[EvaluationText]) -> list[str]:
    wanted = list(dict.fromkeys(tasks)) or list(TASKS)
    if EVERYTHING in wanted:
        wanted = [*TASKS, COST]
    has_text = any(text.documents for text in texts)
    possible = [
        name
        for name in wanted
        if (has_text if name == COST else any(task_for(name, text) is not None for text in texts))
    ]
    if not possible:
        raise DataError("these tasks need text, and the data are recordings of typing: measure autocorrect on them")
    return possible


def _open_journal(digest: str, fresh: bool) -> Journal:
    path = _journal_folder() / f"{digest[:32]}.jsonl"
    try:
        if fresh:
            path.unlink(missing_ok=True)
        journal = Journal(path, digest)
    except OSError as error:
        click.echo(f"warning: {path}: {error.strerror}; if stopped, this evaluation cannot go on", err=True)
        return Journal(None, digest)
    if journal.known:
        click.echo(f"going on with an evaluation that was stopped ({len(journal.known):,} documents known)", err=True)
    return journal


def _run(plan: EvaluationPlan, subject: ModelSubject, journal: Journal, jobs: int) -> Results:
    # The processes share the cores: one thread for each one's matrix products, read when numpy and torch are imported.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    try:
        with _progress_bar(len(plan.units())) as progress:
            return run(plan, subject, journal, jobs, progress)
    except KeyboardInterrupt:
        click.echo("\nstopped; give the same command again to go on", err=True)
        raise click.exceptions.Exit(130) from None


def _journal_folder() -> Path:
    if cache := os.environ.get("XDG_CACHE_HOME"):
        return Path(cache) / "keyboard-lm" / "evaluations"
    home = Path.home()
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "keyboard-lm" / "evaluations"


@contextmanager
def _progress_bar(total: int) -> Iterator[Callable[[int], None]]:
    with click.progressbar(length=total, label="documents", file=sys.stderr, show_pos=True) as bar:
        yield bar.update


def _cost(subject: ModelSubject, texts: list[EvaluationText]) -> dict[str, Any]:
    click.echo("measuring cost ...", err=True)
    cold = measure_cold_start(subject.folder, runs=5, backend=subject.backend)
    typed = [document for text in texts for document in text.documents]
    found = measure_cost(replace(subject, max_slots=NUM_SLOTS), typed)
    return {**asdict(found), "cold_start_ms": cold.wall.median_ms, "cold_start_peak_rss_mb": cold.peak_rss_mb}
