"""`keyboard-lm serve`: the engine as a service."""

from __future__ import annotations

import time
from dataclasses import fields
from pathlib import Path

import click

from keyboard_lm.cli.amount import Amount
from keyboard_lm.errors import ConfigError, MissingExtraError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_535), default=8765, show_default=True)
@click.option("--model", type=click.Path(path_type=Path), help="Checkpoint folder.  [default: the bundled model]")
@click.option("--tokens", type=click.Path(dir_okay=False, path_type=Path), help="File of `serve-token`.")
@click.option(
    "--page", type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Folder of `export-web`: the web phone predicts in the browser, too.",
)  # fmt: skip
@click.option("--learn", type=click.Path(file_okay=False, path_type=Path), help="Folder of personal files.")
@click.option("--allow-origin", "origins", multiple=True, metavar="ORIGIN", help="Page elsewhere that may ask.")
@click.option(
    "--allow-host", "hosts", multiple=True, metavar="NAME", help="Other name of this machine, without tokens."
)
@click.option("--sessions", type=click.IntRange(1, 100_000), help="Most sessions.  [default: 500]")
@click.option("--sessions-per-user", type=click.IntRange(1, 100_000), help="Most of one user.  [default: 4]")
@click.option("--idle-s", type=Amount(min=1), help="Until an unused session is closed.  [default: 600]")
def command(
    host: str,
    port: int,
    model: Path | None,
    tokens: Path | None,
    page: Path | None,
    learn: Path | None,
    origins: tuple[str, ...],
    hosts: tuple[str, ...],
    sessions: int | None,
    sessions_per_user: int | None,
    idle_s: float | None,
) -> None:
    """Serve the engine over HTTP and sockets.

    Without options: to programs on this machine alone, keeping nothing. One process uses one core; run one a core
    behind a proxy that hashes by user (see docs/serving.md). TERM ends it in order.
    """
    try:
        import msgspec  # noqa: F401
        import prometheus_client  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "starlette", "serve") from None
    from keyboard_lm.export.web_page import page_folder
    from keyboard_lm.keyboard.engine import Engine
    from keyboard_lm.serve.limits import Limits
    from keyboard_lm.serve.run import run
    from keyboard_lm.serve.service import REMEMBERED_LETTERS, REMEMBERED_MB, ServeOptions, Service

    if host not in _LOOPBACK and tokens is None:
        raise ConfigError(f"{host} can be reached from elsewhere; add --tokens FILE (see `keyboard-lm serve-token`)")
    chosen = {"sessions": sessions, "sessions_per_user": sessions_per_user, "idle_s": idle_s}
    given = {field.name: chosen.get(field.name) for field in fields(Limits) if chosen.get(field.name) is not None}
    if tokens is None and sessions_per_user is None:
        given["sessions_per_user"] = given.get("sessions", Limits.sessions)  # everybody is one user
    folder = page or page_folder()
    if not (folder / "index.html").is_file():
        raise ConfigError(f"{folder}: no page is there; name a folder that `keyboard-lm export-web` wrote")
    options = ServeOptions(
        tokens=tokens,
        learn=learn,
        allow_origins=origins,
        allow_hosts=hosts,
        page=folder,
        limits=Limits(**given),  # type: ignore[arg-type]
    )
    engine = Engine.open(model, num_threads=1, memory=REMEMBERED_LETTERS, remembered_mb=REMEMBERED_MB)
    service = Service(engine, options, time.perf_counter)
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"http://{shown}:{port}/  (the web phone)")
    run(service, host, port)
