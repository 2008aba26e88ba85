"""`keyboard-lm pack-corpus`: a corpus folder as one small file."""

from __future__ import annotations

from pathlib import Path

import click

from keyboard_lm.cli.amount import Amount
from keyboard_lm.cli.training_run import require_training_extra


@click.command(context_settings={"show_default": True})
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Archive to write, .tar.xz.")
@click.option("--max-mib", type=Amount(min=0, min_open=True), default=60.0, help="Largest size in MiB.")
def command(folder: Path, output: Path, max_mib: float) -> None:
    """Pack the corpus FOLDER into an archive that `time-box` trains from elsewhere.

    Of a source with a weight below 1 it holds that share, which is what one epoch reads; where that is too much, all
    sources lose the same further share. Takes minutes.
    """
    require_training_extra()
    from keyboard_lm_training.corpus.archive import pack_corpus

    size, share = pack_corpus(folder, output, round(max_mib * 2**20), lambda text: click.echo(text, err=True))
    click.echo(f"{output}: {size / 2**20:.1f} MiB, {share:.0%} of an epoch")
