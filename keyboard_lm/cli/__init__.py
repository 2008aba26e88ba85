"""The `keyboard-lm` command line: a group that imports a command's module only when that command runs."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from typing import Any

import click

from keyboard_lm import __version__
from keyboard_lm.errors import KeyboardLMError

# Command name -> one line of help; the module of the same name (dashes as underscores) holds `command`. The lines are
# here so that `--help` imports no command.
COMMANDS = {
    "suggest": "Show the suggestion bar for a text.",
    "type": "Type on a phone in the terminal.",
    "learned": "Show, forget, export, import or clear what a keyboard has learned.",
    "shortcuts": "Add, list, remove or import what a writer types for something longer.",
    "serve": "Serve the engine over HTTP and sockets.",
    "serve-token": "Say who may ask a service for what.",
    "sizes": "List the model sizes.",
    "corpus": "Turn text into tokenized training shards.",
    "unpack-chat": "Make a text of the Chit-Chat data set for the keyboard's corpus.",
    "pack-corpus": "Pack training shards into one small file.",
    "train": "Train a model.",
    "adopt": "Make a teacher of a model that others have trained.",
    "distill": "Train a model on a larger one's distribution.",
    "time-box": "Train a model and its teacher in so many minutes.",
    "join-weights": "Put weights together that `time-box` wrote in parts.",
    "generate": "Let a model write messages for a smaller one to learn from.",
    "average": "Average models that went on from the same one.",
    "tune": "Fine-tune a model for the few bits its weights will be stored in.",
    "federate": "Improve a model by what devices learn, without their text.",
    "eval": "Measure a model on text.",
    "export-onnx": "Turn a checkpoint into the runtime's int4 graph.",
    "export-coreml": "Turn a checkpoint into a Core ML package for an app.",
    "export-coreai": "Turn a checkpoint into a Core AI asset for an app.",
    "verify-coreml": "Check a Core ML package against its checkpoint.",
    "profile": "Estimate what a Core ML package costs on a device.",
    "import-hf": "Turn an OpenELM folder of Hugging Face's layout into a checkpoint.",
    "export-hf": "Write a checkpoint in Hugging Face's layout.",
    "export-mlx": "Write a checkpoint for MLX.",
    "export-gguf": "Write a checkpoint for llama.cpp.",
    "export-web": "Write a page that predicts in the browser itself.",
    "parity": "Compare every backend and export that runs here.",
    "doctor": "Say what this machine can run, and how to get the rest.",
    "bench": "Measure speed and memory on this machine.",
}


class LazyGroup(click.Group):
    """A click group over `COMMANDS` that reports every expected error as one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"keyboard_lm.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardLMError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(1)
        except MemoryError:
            click.echo("error: not enough memory; use a smaller size or batch", err=True)
            ctx.exit(1)
        except BrokenPipeError:
            # The reader (say, `head`) has gone: nothing is wrong, and nothing more can be written.
            sys.stderr.close()
            ctx.exit(0)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            click.echo(f"error: {error.filename or 'the output'}: {error.strerror}; make room", err=True)
            ctx.exit(1)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="keyboard-lm")
def main() -> None:
    """Next-word prediction for phone keyboards: train, export, suggest."""


def run() -> None:
    """Run as a process of its own: what the `keyboard-lm` script calls.

    A command that leaves nothing to be finished ends the process at once: taking down interpreter and runtime would be
    a fifth of its time.
    """
    is_brief = sys.argv[1:2] == ["suggest"]
    if is_brief:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy starts threads that nothing here uses
        gc.set_threshold(100_000)  # tables of a hundred thousand entries are made, and none of them is garbage
    status: int | str | None = 0
    try:
        main()
    except SystemExit as end:
        status = end.code
    if is_brief and status == 0:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    sys.exit(status)
