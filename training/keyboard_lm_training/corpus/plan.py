"""The plan of a corpus: what it is made of, and what is read in one go; made once, before anything is read.

Whoever goes on with a corpus makes the plan again and compares: work that was done for another recipe, other input or
another version is never mixed in.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from keyboard_lm import __version__
from keyboard_lm_training.corpus.inputs import InputFile
from keyboard_lm_training.corpus.recipe import Recipe
from keyboard_lm_training.corpus.sources import SourceReader, SourceRecipe, dataset_urls, num_dataset_shards
from keyboard_lm_training.corpus.work import WORK_FORMAT, Values

PART_BYTES = 64 << 20
FILES, WHOLE, URL, SHARD = "files", "whole", "url", "shard"
_UNIT_BYTES = 256 << 20  # of small files that are read together


def make_plan(
    recipe: Recipe, readers: Sequence[SourceReader], data_dir: str, tokenizer_digest: str, part_bytes: int
) -> Values:
    """Return the plan as plain values.

    Args:
        recipe: of the corpus.
        readers: of its sources; their files are found already.
        data_dir: the folder or URL that the recipe's relative paths start from.
        tokenizer_digest: of the tokenizer that is reused, ``""`` where one is trained.
        part_bytes: text of a part at most; the corpus does not depend on it.

    Raises:
        DataError: a dataset cannot be reached.
        MissingExtraError: the package that reaches it is not installed.
    """
    values = {
        "format": WORK_FORMAT,
        "version": __version__,
        "recipe": recipe.to_dict(),
        "tokenizer": tokenizer_digest,
        "inputs": {reader.source.name: [dataclasses.asdict(file) for file in reader.files] for reader in readers},
    }
    units = [unit for number, reader in enumerate(readers) for unit in _units(number, reader)]
    plan = {**json.loads(json.dumps(values)), "data_dir": data_dir, "part_bytes": part_bytes, "units": units}
    return {**plan, "digest": hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()}


def difference(old: Values, new: Values) -> str:
    """Return in words what two plans do not have in common, ``""`` where they make the same corpus."""
    if old.get("digest") == new["digest"]:
        return ""
    if old.get("format") != new["format"] or old.get("version") != new["version"]:
        return f"by version {old.get('version')} of keyboard-lm, and this is {new['version']}"
    if old["recipe"] != new["recipe"]:
        return f"with another recipe ({', '.join(_changed(old['recipe'], new['recipe']))})"
    if old["tokenizer"] != new["tokenizer"]:
        return "with another tokenizer"
    files = {name: {file["place"]: file for file in files} for name, files in old["inputs"].items()}
    for name, found in new["inputs"].items():
        for file in found:
            if files.get(name, {}).pop(file["place"], None) != file:
                return f"from other input ({file['place']} changed)"
    gone = [place for left in files.values() for place in left]
    return f"from other input ({gone[0]} is gone)" if gone else "otherwise"


def _changed(old: Any, new: Any, label: str = "") -> Iterator[str]:
    """Yield the names of recipe keys whose values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in new | old:
            yield from _changed(old.get(key), new.get(key), f"{label}.{key}" if label else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for before, after in zip(old, new, strict=True):
            name = after.get("name", "") if isinstance(after, dict) else ""
            yield from _changed(before, after, f"{label} {name}")
    elif old != new:
        yield label


def _units(number: int, reader: SourceReader) -> Iterator[Values]:
    source: SourceRecipe = reader.source
    if source.max_documents:  # where to stop shows in one reading from the start only
        yield {"source": number, "kind": WHOLE, "files": [dataclasses.asdict(file) for file in reader.files]}
    elif source.path:
        for files in _groups(reader.files):
            yield {"source": number, "kind": FILES, "files": [dataclasses.asdict(file) for file in files]}
    elif source.url_list:
        for url in dataset_urls(source):
            yield {"source": number, "kind": URL, "url": url}
    else:
        count = num_dataset_shards(source)
        for shard in range(count):
            yield {"source": number, "kind": SHARD, "shard": shard, "of": count}


def _groups(files: Sequence[InputFile]) -> Iterator[list[InputFile]]:
    group: list[InputFile] = []
    size = 0
    for file in files:
        if group and size + file.size > _UNIT_BYTES:
            yield group
            group, size = [], 0
        group.append(file)
        size += file.size
    if group:
        yield group
