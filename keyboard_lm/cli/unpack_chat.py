"""`keyboard-lm unpack-chat`: turns the Chit-Chat data set's wheel into a text of the keyboard recipe."""

from __future__ import annotations

import json
from pathlib import Path

import click

from keyboard_lm.errors import DataError


@click.command()
@click.argument("wheel", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder for the three texts.")
@click.option(
    "--names", type=click.Path(path_type=Path), required=True, help="First names, one a line: their messages go."
)
@click.option(
    "--words", type=click.Path(path_type=Path), required=True, help="A Hunspell .dic: names that are words as well."
)
@click.option(
    "--evaluation", type=click.Path(path_type=Path), help="Folder of .txt files whose messages must not be trained on."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(wheel: Path, output: Path, names: Path, words: Path, evaluation: Path | None, as_json: bool) -> None:
    """Write the conversations in WHEEL (chitchat-dataset 0.9.0) as text to train and to measure on.

    Senders and times are left out, and so are messages with a person's name, a long number, an address or a link. Of 40
    conversations that stay out of training, 20 are chitchat_heldout.txt and 20 chitchat_untouched.txt, which is for
    nobody's tuning. Get the wheel with `pip download --no-deps chitchat-dataset==0.9.0`.
    """
    from keyboard_lm_training.corpus.chitchat import (
        ChatOptions,
        PersonFilter,
        read_conversations,
        split_chat,
        write_chat,
    )

    texts = sorted(evaluation.glob("*.txt")) if evaluation is not None else []
    if evaluation is not None and not texts:
        raise DataError(f"{evaluation}: no .txt file here; name the folder of the evaluation texts")
    persons = PersonFilter(
        frozenset(name.lower() for name in _lines(names)),
        frozenset(word for line in _lines(words) if (word := line.split("/")[0]).islower()),
    )
    lines = [line for path in texts for line in _lines(path)]
    text = split_chat(read_conversations(wheel), persons, lines, ChatOptions())
    write_chat(text, output)
    summary = {
        "conversations": len(text.train),
        "messages": sum(map(len, text.train)),
        "heldout_messages": [sum(map(len, half)) for half in text.heldout],
        "dropped": dict(text.dropped),
    }
    if as_json:
        click.echo(json.dumps(summary))
        return
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in text.dropped.items())
    click.echo(f"{summary['messages']:,} messages of {summary['conversations']:,} conversations; dropped {dropped}")


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
