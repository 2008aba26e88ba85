"""`keyboard-lm serve-token`: who may ask a service for what."""

from __future__ import annotations

from pathlib import Path

import click

from keyboard_lm.errors import MissingExtraError


@click.group()
@click.option("--tokens", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file.")
@click.pass_context
def command(ctx: click.Context, tokens: Path) -> None:
    """Add, list and remove the tokens of a service.

    The file holds hashes; a token is shown once. A running service sees a change within a second.
    """
    try:
        import msgspec  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtraError("msgspec", "serve") from None
    ctx.obj = tokens


@command.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["suggest", "session", "personal", "sign", "metrics"]),
    default=("suggest", "session"),
    show_default=True,
)
@click.pass_obj
def add(tokens: Path, name: str, scopes: tuple[str, ...]) -> None:
    """Make a token and print it."""
    from keyboard_lm.serve.tokens import SCOPES, add_token

    click.echo(add_token(tokens, name, [scope for scope in SCOPES if scope in scopes]))


@command.command("list")
@click.pass_obj
def list_(tokens: Path) -> None:
    """List names and scopes."""
    from keyboard_lm.serve.tokens import read_tokens

    for known in read_tokens(tokens).tokens:
        click.echo(f"{known.name}\t{' '.join(known.scopes)}")


@command.command()
@click.argument("name")
@click.pass_obj
def remove(tokens: Path, name: str) -> None:
    """Remove a token, and all short ones that were signed with it."""
    from keyboard_lm.serve.tokens import remove_token

    remove_token(tokens, name)
