"""``keyboard-lm corpus``: text in, tokenized training shards out."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keyboard_lm.cli.amount import Amount
from keyboard_lm.cli.table import format_table
from keyboard_lm.errors import MissingExtraError

if TYPE_CHECKING:
    from keyboard_lm_training.corpus.recipe import Recipe
    from keyboard_lm_training.corpus.shards import CorpusManifest


@click.command("corpus")
@click.argument("inputs", nargs=-1)
@click.option("--output", "-o", help="Folder or URL (s3://...) to make.")
@click.option("--recipe", "recipe_name", help="A recipe file, or one that ships: keyboard, openelm.")
@click.option("--data-dir", default="", help="Folder or URL where relative paths start.")
@click.option("--vocab-size", type=int, help="Pieces of the tokenizer.  [default: the recipe's; 8192 without one]")
@click.option("--tokenizer", "tokenizer_dir", type=click.Path(path_type=Path), help="Use this folder's tokenizer.")
@click.option("--max-documents", type=click.IntRange(min=1), help="Read only so many documents of each source.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes; the result is the same.  [default: all cores]")
@click.option("--ray", help="Run on a Ray cluster: its address, auto, or local for one on this machine's --workers.")
@click.option("--rank", type=int, help="Which of --of runs of the same command this is, from 0.")
@click.option("--of", "num_ranks", type=click.IntRange(min=1), help="How many runs share the work, and the storage.")
@click.option("--restart", is_flag=True, help="Throw away what an unfinished run of other text or another recipe did.")
@click.option("--dry-run", is_flag=True, help="Make nothing: say what bytes, core hours and machines it would take.")
@click.option("--machine-cores", type=click.IntRange(min=1), default=64, help="For --dry-run.", show_default=True)
@click.option(
    "--hours",
    type=Amount(min=0, min_open=True),
    default=24.0,
    help="For --dry-run: when it has to be done.",
    show_default=True,
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    inputs: tuple[str, ...],
    output: str | None,
    recipe_name: str | None,
    data_dir: str,
    vocab_size: int | None,
    tokenizer_dir: Path | None,
    max_documents: int | None,
    workers: int | None,
    ray: str | None,
    rank: int | None,
    num_ranks: int | None,
    restart: bool,
    dry_run: bool,
    machine_cores: int,
    hours: float,
    as_json: bool,
) -> None:
    """Clean, de-duplicate, split and tokenize text for training.

    INPUTS are files with one message per line and a blank line between documents, or .jsonl files with one document
    per row (each plain, .xz, .gz or .zst), patterns such as 'logs/*.txt', or Hugging Face datasets as hf:OWNER/NAME.
    Weights, licences and everything else that is adjustable go into a recipe file; see docs/corpus.md.

    A run that was stopped goes on where it stopped. The corpus is the same bytes with any number of --workers, with
    --ray, and from several runs with --rank I --of N on machines that share the output's storage.
    """
    if output is None and not dry_run:
        raise click.UsageError("say where to make it: --output FOLDER")
    if bool(inputs) == bool(recipe_name):
        raise click.UsageError("give either INPUTS or --recipe")
    if vocab_size is not None and tokenizer_dir is not None:
        raise click.UsageError("--vocab-size trains a tokenizer, --tokenizer reuses one; give only one of them")
    if (rank is None) != (num_ranks is None):
        raise click.UsageError("--rank and --of go together: --rank 0 --of 4 is the first of four")
    if rank is not None and num_ranks is not None and not 0 <= rank < num_ranks:
        raise click.UsageError(f"--rank counts from 0: of {num_ranks}, the last is {num_ranks - 1}, not {rank}")
    if num_ranks is not None and (ray or workers or restart):
        raise click.UsageError("a rank runs in one process: leave out --workers, --ray and --restart")
    from keyboard_lm_training.corpus.build import CorpusOptions, build_corpus
    from keyboard_lm_training.corpus.recipe import Recipe, load_recipe

    recipe = load_recipe(recipe_name) if recipe_name else Recipe.from_inputs(inputs)
    if vocab_size is not None:
        recipe = dataclasses.replace(recipe, tokenizer=dataclasses.replace(recipe.tokenizer, vocab_size=vocab_size))
    if max_documents is not None:
        limited = (dataclasses.replace(source, max_documents=max_documents) for source in recipe.sources)
        recipe = dataclasses.replace(recipe, sources=tuple(limited))
    if dry_run:
        _print_estimate(recipe, data_dir, machine_cores, hours, as_json)
        return
    assert output is not None
    num_workers = 1 if num_ranks else workers or os.cpu_count() or 1
    options = CorpusOptions(data_dir, tokenizer_dir, num_workers, ray or "", rank or 0, num_ranks or 1, restart)
    with _progress_bars() as on_progress:
        manifest = build_corpus(recipe, output, options, on_progress)
    summary = _summary(manifest, output)
    click.echo(json.dumps(summary, ensure_ascii=False) if as_json else _as_text(summary))


def _print_estimate(recipe: Recipe, data_dir: str, machine_cores: int, hours: float, as_json: bool) -> None:
    from keyboard_lm_training.corpus.estimate import estimate_corpus

    found = estimate_corpus(recipe, data_dir, machine_cores, hours)
    if as_json:
        values = dataclasses.asdict(found)
        for row, source in zip(values["sources"], found.sources, strict=True):
            row["core_hours"] = source.core_hours
        click.echo(json.dumps(values, ensure_ascii=False))
        return
    rows = [["source", "text GB", "to fetch GB", "core hours", "basis", "read from"]]
    rows += [
        [s.name, _figure(s.text_bytes / 1e9), _figure(s.fetched_bytes / 1e9), _figure(s.core_hours), s.basis, s.step]
        for s in found.sources
    ]
    text, fetched = (sum(getattr(s, name) for s in found.sources) / 1e9 for name in ("text_bytes", "fetched_bytes"))
    rows.append(["all", _figure(text), _figure(fetched), _figure(found.core_hours), "", ""])
    click.echo(format_table(rows))
    click.echo(
        f"parts: {found.num_parts:,}; storage while it is made: {_figure(found.work_bytes / 1e9)} GB;"
        f" machines of {found.machine_cores} cores, to be done in {found.hours:g} hours: {found.machines:,}"
    )


def _figure(value: float) -> str:
    return f"{value:,.1f}" if value >= 10 else f"{value:.3g}"


@contextmanager
def _progress_bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show one bar per stage on stderr."""
    try:
        from rich.console import Console
        from rich.progress import Progress, TaskID
    except ModuleNotFoundError:
        raise MissingExtraError("rich", "train") from None

    tasks: dict[str, TaskID] = {}
    with Progress(console=Console(stderr=True)) as progress:

        def on_progress(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                for task in tasks.values():
                    progress.stop_task(task)
                tasks[stage] = progress.add_task(stage, total=total)
            progress.update(tasks[stage], completed=done)

        yield on_progress


def _summary(manifest: CorpusManifest, output: str) -> dict[str, Any]:
    """Return the figures of a corpus as plain values."""
    from keyboard_lm_training.corpus.shards import SPLITS

    splits = {}
    for split in SPLITS:
        shards = manifest.shards_of(split)
        splits[split] = {
            "tokens": sum(shard.num_tokens for shard in shards),
            "messages": sum(shard.num_messages for shard in shards),
            "bytes": sum(shard.num_bytes for shard in shards),
        }
    return {
        "output": output,
        "vocab_size": manifest.vocab_size,
        "tokenizer_digest": manifest.tokenizer_digest,
        **splits,
        "sources": [dataclasses.asdict(source) for source in manifest.sources],
    }


def _as_text(summary: dict[str, Any]) -> str:
    width = max(len(source["name"]) for source in summary["sources"])
    lines = [f"{'source':{width}}  {'read':>12}  {'dropped':>10}  {'exact dup':>10}  {'near dup':>10}  (messages)"]
    lines += [
        f"{source['name']:{width}}  {source['messages_read']:12,}  {sum(source['dropped'].values()):10,}"
        f"  {source['exact_duplicates']:10,}  {source['near_duplicates']:10,}"
        for source in summary["sources"]
    ]
    for split in ("train", "heldout"):
        figures = summary[split]
        lines.append(
            f"{split}: {figures['tokens']:,} tokens, {figures['messages']:,} messages, {figures['bytes']:,} bytes"
        )
    lines.append(f"{summary['output']}: {summary['vocab_size']:,} pieces, tokenizer {summary['tokenizer_digest'][:12]}")
    return "\n".join(lines)
