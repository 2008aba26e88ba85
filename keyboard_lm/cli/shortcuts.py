"""`keyboard-lm shortcuts`: what a writer types for something longer."""

from __future__ import annotations

import json
from pathlib import Path

import click

from keyboard_lm.cli.learned import with_store
from keyboard_lm.errors import DataError

_FILE = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@click.group()
def command() -> None:
    """Add, list, remove or import text shortcuts: "omw" for "on my way".

    FILE is the one that `keyboard-lm type --learn FILE` writes; the first shortcut makes it. A space behind a shortcut
    puts its text in, whatever a correction would do.
    """


@command.command("add")
@_FILE
@click.argument("typed")
@click.argument("text")
def add_command(file: Path, typed: str, text: str) -> None:
    """Have TYPED, in any case, stand for TEXT."""
    _add(file, [(typed, text)])


@command.command("list")
@_FILE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_command(file: Path, as_json: bool) -> None:
    """Print the shortcuts and their texts, with a tab between."""
    found = with_store(file, lambda store: store.shortcuts.all())
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for typed, text in found.items():
        click.echo(f"{typed}\t{text}")


@command.command("remove")
@_FILE
@click.argument("typed", nargs=-1, required=True)
def remove_command(file: Path, typed: tuple[str, ...]) -> None:
    """Remove shortcuts."""
    unknown = with_store(file, lambda store: [each for each in typed if not store.shortcuts.remove(each)])
    if unknown:
        raise DataError(f"{file}: no such shortcut: {', '.join(unknown)}")


@command.command("import")
@_FILE
@click.argument("source", type=click.Path(dir_okay=False, path_type=Path))
def import_command(file: Path, source: Path) -> None:
    """Add the lines of SOURCE: a shortcut, a tab and its text. All of them, or none where one is wrong."""
    from keyboard_lm.personal.shortcuts import read_shortcuts

    _add(file, read_shortcuts(source))


def _add(file: Path, pairs: list[tuple[str, str]]) -> None:
    from keyboard_lm.personal.shortcuts import checked_shortcuts

    kept = checked_shortcuts(pairs)  # before there is a file for them
    with_store(file, lambda store: store.shortcuts.add(kept), must_exist=False)
