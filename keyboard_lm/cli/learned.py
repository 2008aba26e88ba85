"""`keyboard-lm learned`: what a personal file holds, and the writer's rights over it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keyboard_lm.errors import DataError

if TYPE_CHECKING:
    from keyboard_lm.personal import PersonalStore

_FILE = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


def check_learned(file: Path | None) -> None:
    """Refuse a file that is no database at all.

    It would be taken for a damaged one and set aside; more likely its name was mistaken.

    Raises:
        DataError: it cannot be read, or is something else.
    """
    if file is None or not file.is_file():
        return
    from keyboard_lm.personal.file import is_database

    try:
        is_one = not file.stat().st_size or is_database(file)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None
    if not is_one:
        raise DataError(f"{file}: not a file of learned words; choose another name")


def existing_learned(file: Path | None) -> Path | None:
    """Return a file of learned words that is there.

    Raises:
        DataError: it is not there, cannot be read, or is something else.
    """
    if file is not None and not file.exists():
        raise DataError(f"{file}: no such file; `keyboard-lm type --learn {file}` makes one")
    check_learned(file)
    return file


def with_store(file: Path, act: Callable[[PersonalStore], Any], must_exist: bool = True) -> Any:
    """Return what is done with an opened personal file, its warnings told."""
    from keyboard_lm.personal import PersonalStore

    if must_exist:
        existing_learned(file)
    else:
        check_learned(file)
    with PersonalStore.open(file) as store:
        result = act(store)
        for warning in store.warnings:
            click.echo(f"warning: {warning}", err=True)
    return result


@click.group()
def command() -> None:
    """Show, forget, export, import or clear what a keyboard has learned.

    FILE is the one that `keyboard-lm type --learn FILE` writes. It holds words, their neighbours, corrections that
    were taken back and shortcuts, and never leaves this machine.
    """


@command.command("list")
@_FILE
@click.option("-n", "limit", type=click.IntRange(min=1), help="So many words at most.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_command(file: Path, limit: int | None, as_json: bool) -> None:
    """Print the learned words, the most used first, corrections that were taken back, and shortcuts."""
    words, blocks, shortcuts = with_store(
        file, lambda store: (store.words(limit), store.blocks(), store.shortcuts.all())
    )
    if as_json:
        click.echo(json.dumps({"words": words, "taken_back": blocks, "shortcuts": shortcuts}))
        return
    for word in words:
        click.echo(word)
    for literal, corrected in blocks:
        click.echo(f"{literal} is not made {corrected}")
    for typed, text in shortcuts.items():
        click.echo(f"{typed} stands for {text}")


@command.command("forget")
@_FILE
@click.argument("words", nargs=-1, required=True)
def forget_command(file: Path, words: tuple[str, ...]) -> None:
    """Delete words, in any case, with all phrases and corrections that they are in."""

    def forget(store: PersonalStore) -> list[str]:
        return [word for word in words if not store.forget(word)]

    unknown = with_store(file, forget)
    if unknown:
        raise DataError(f"{file}: never learned: {', '.join(unknown)}")


@command.command("export")
@_FILE
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
def export_command(file: Path, target: Path) -> None:
    """Write all that is known to TARGET as JSON lines, which only you can read."""
    with_store(file, lambda store: store.export(target))


@command.command("import")
@_FILE
@click.argument("source", type=click.Path(dir_okay=False, path_type=Path))
def import_command(file: Path, source: Path) -> None:
    """Add what `export` wrote to SOURCE; FILE is made if there is none."""
    from keyboard_lm.personal import archive

    archive.load(source)  # before there is a file for it
    with_store(file, lambda store: store.import_from(source), must_exist=False)


@command.command("clear")
@_FILE
@click.option("--yes", is_flag=True, help="Do not ask.")
def clear_command(file: Path, yes: bool) -> None:
    """Delete everything, damaged files that were set aside included."""
    existing_learned(file)
    if not yes:
        click.confirm(f"Delete all that {file} has learned?", abort=True)
    with_store(file, lambda store: store.clear())
