"""Make a corpus folder in which each training message is a document of its own, its source's in shuffled order.

    python training/experiments/shuffle_messages.py OUT data/keyboard

What a window packs then has nothing to do with each other: against the corpus itself, what the turns before a message
are worth. Held-out text stays as it is.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import click
import numpy as np
from keyboard_lm_training.corpus.shards import CorpusManifest, ShardWriter, open_shard

from keyboard_lm.network.tokenizer import PROPER_NOUNS_FILE, TOKENIZER_FILE, Tokenizer


@click.command()
@click.argument("output", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--seed", default=1, show_default=True)
def command(output: Path, folder: Path, seed: int) -> None:
    """Write OUTPUT from FOLDER."""
    manifest = CorpusManifest.load(folder)
    tokenizer = Tokenizer.load(folder)
    rng = np.random.default_rng(seed)
    shards = []
    for shard in manifest.shards_of("heldout"):
        target = output / shard.file
        target.parent.mkdir(parents=True, exist_ok=True)
        os.symlink((folder / shard.file).resolve(), target)
        shards.append(shard)
    for source in manifest.sources:
        of_source = manifest.shards_of("train", source.name)
        tokens = np.concatenate([np.asarray(open_shard(folder, shard)) for shard in of_source])
        tokens = tokens[tokens != tokenizer.bos_id]
        messages = np.split(tokens, np.flatnonzero(tokens == tokenizer.eos_id)[:-1] + 1)
        bos = np.array([tokenizer.bos_id], tokens.dtype)
        shuffled = [part for number in rng.permutation(len(messages)) for part in (bos, messages[number])]
        writer = ShardWriter(output, source.name, "train")
        writer.append(np.concatenate(shuffled), len(messages), sum(shard.num_bytes for shard in of_source))
        shards += writer.close()
    for name in (TOKENIZER_FILE, PROPER_NOUNS_FILE):
        shutil.copy(folder / name, output / name)
    dataclasses.replace(manifest, shards=tuple(shards)).save(output)


if __name__ == "__main__":
    command()
