"""Make a corpus folder out of others that share a tokenizer, with other weights; shards are linked, not copied.

    python training/experiments/mix_corpora.py OUT data/keyboard --weights messages.toml
    python training/experiments/mix_corpora.py OUT data/keyboard data/generated

A weights file is TOML: `default = 0` and one line `source = weight` for each source that differs from it; without
`default` the sources that it does not name keep their weights.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tomllib
from pathlib import Path

import click
from keyboard_lm_training.corpus.shards import CorpusManifest

from keyboard_lm.network.tokenizer import PROPER_NOUNS_FILE, TOKENIZER_FILE


@click.command()
@click.argument("output", type=click.Path(path_type=Path))
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--weights", "weights_file", type=click.Path(exists=True, path_type=Path))
@click.option("--train-only", is_flag=True, help="Take held-out text from the first folder alone.")
def command(output: Path, folders: tuple[Path, ...], weights_file: Path | None, train_only: bool) -> None:
    """Write OUTPUT from FOLDERS."""
    manifests = [CorpusManifest.load(folder) for folder in folders]
    if len({manifest.tokenizer_digest for manifest in manifests}) > 1:
        raise click.UsageError("the folders have different tokenizers")
    weights = tomllib.loads(weights_file.read_text(encoding="utf-8")) if weights_file else {}
    default = weights.pop("default", None)
    sources, shards = [], []
    for number, (folder, manifest) in enumerate(zip(folders, manifests, strict=True)):
        for source in manifest.sources:
            weight = weights.get(source.name, source.weight if default is None else default)
            sources.append(dataclasses.replace(source, weight=float(weight)))
        for shard in manifest.shards:
            if number and train_only and shard.split != "train":
                continue
            target = output / shard.file
            target.parent.mkdir(parents=True, exist_ok=True)
            os.symlink((folder / shard.file).resolve(), target)
            shards.append(shard)
    for name in (TOKENIZER_FILE, PROPER_NOUNS_FILE):
        shutil.copy(folders[0] / name, output / name)
    dataclasses.replace(manifests[0], sources=tuple(sources), shards=tuple(shards)).save(output)


if __name__ == "__main__":
    command()
