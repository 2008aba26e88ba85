"""`keyboard-lm generate`: a teacher writes messages that a student can learn from."""

from __future__ import annotations

from pathlib import Path

import click

from keyboard_lm.cli.training_run import parse_count, require_training_extra
from keyboard_lm.errors import TrainingError


@click.command(context_settings={"show_default": True})
@click.option(
    "--teacher",
    "teacher_folder",
    type=click.Path(path_type=Path),
    required=True,
    help="A checkpoint, or the folder of a finished run, with the corpus's tokenizer.",
)
@click.option(
    "--data", type=click.Path(path_type=Path), required=True, help="A corpus, whose messages open the conversations."
)
@click.option("--tokens", default="1M", help="Tokens to keep, such as 500k.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Text file to write.")
@click.option("--seq-len", type=int, default=128, help="Tokens of one conversation.")
@click.option("--temperature", type=float, default=1.0)
@click.option("--top-p", type=float, default=0.95, help="Draw from the most probable that hold this much together.")
@click.option("--drop-share", type=float, default=0.05, help="Drop the least probable messages, this share of them.")
@click.option("--seed", type=int, default=1)
@click.option("--device", type=click.Choice(["cpu", "cuda", "mps"]), help="[default: the fastest there is]")
def command(
    teacher_folder: Path,
    data: Path,
    tokens: str,
    output: Path,
    seq_len: int,
    temperature: float,
    top_p: float,
    drop_share: float,
    seed: int,
    device: str | None,
) -> None:
    """Let a teacher write conversations, one message a line, a blank line between them.

    Each answers a message of the corpus. The file is an input of `keyboard-lm corpus`, which cleans it, drops what it
    holds twice, and with --tokenizer makes shards that `train` and `distill` read.
    """
    require_training_extra()
    from keyboard_lm_training.run.devices import placed
    from keyboard_lm_training.run.training_data import TrainingData
    from keyboard_lm_training.teach.distill import load_checkpoint
    from keyboard_lm_training.teach.generate import GenerateOptions, generate_conversations
    from rich.console import Console
    from rich.progress import Progress

    num_tokens = round(parse_count(tokens))
    options = GenerateOptions(seq_len, temperature=temperature, top_p=top_p, drop_share=drop_share)
    teacher = load_checkpoint(teacher_folder)
    draft = output.with_name(output.name + ".tmp")
    num_messages = 0
    with placed(device) as place, Progress(console=Console(stderr=True)) as bar:
        training_data = TrainingData.load(data, options.seq_len, seed)
        task = bar.add_task("tokens", total=num_tokens)
        conversations = generate_conversations(
            teacher, training_data, num_tokens, options, seed, place, lambda kept: bar.update(task, completed=kept)
        )
        try:
            with draft.open("w", encoding="utf-8") as file:
                for messages in conversations:
                    file.write("".join(f"{message.text}\n" for message in messages) + "\n")
                    num_messages += len(messages)
            draft.replace(output)
        except OSError as error:
            raise TrainingError(f"{output}: cannot be written ({error.strerror}); choose another file") from None
        finally:
            draft.unlink(missing_ok=True)
    click.echo(f"{output}: {num_messages:,} messages")
    click.echo(f"next: keyboard-lm corpus {output} --tokenizer {data} -o FOLDER", err=True)
