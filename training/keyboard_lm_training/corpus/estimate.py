"""What a corpus would take, before anything is fetched: bytes, disk, core hours, machines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from keyboard_lm.errors import DataError
from keyboard_lm.tables import parse_toml
from keyboard_lm_training.corpus.decompression import compression_of, unpack
from keyboard_lm_training.corpus.inputs import InputFile, find_inputs, open_input
from keyboard_lm_training.corpus.plan import PART_BYTES
from keyboard_lm_training.corpus.recipe import Recipe
from keyboard_lm_training.corpus.sources import SourceRecipe

CORE_MB_PER_SECOND = 1.0  # all stages; more on a core of its own (docs/corpus.md says what was measured)
DISK_SHARE = 2.5  # of the text: unpacked, cleaned, keys, ids and shards, at the time when most of it lies there
MEASURED, PUBLISHED, ESTIMATED, UNKNOWN = "measured", "published", "estimated", "unknown"
_PUBLISHED_FILE = "published_sizes.toml"
_SAMPLE_BYTES = 1 << 20
_GB = 1e9


@dataclass(frozen=True, slots=True)
class SourceEstimate:
    """What one source would take.

    Attributes:
        name: of the source.
        text_bytes: unpacked.
        fetched_bytes: as it lies there.
        basis: where `text_bytes` is from: ``measured`` (its files, unpacked for a megabyte), ``published``,
            ``estimated`` (from published tokens), or ``unknown`` (0 bytes then).
        step: what fetches or reads it, in words.
    """

    name: str
    text_bytes: float
    fetched_bytes: float
    basis: str
    step: str

    @property
    def core_hours(self) -> float:
        """Hours of one core, at `CORE_MB_PER_SECOND`."""
        return self.text_bytes / 1e6 / CORE_MB_PER_SECOND / 3600


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a corpus would take.

    Attributes:
        sources: one by one.
        num_parts: tasks of the widest stages.
        work_bytes: on the output's storage while it is made.
        core_hours: of all sources.
        machines: how many are needed.
        machine_cores: cores of each.
        hours: in which they are to be done.
    """

    sources: tuple[SourceEstimate, ...]
    num_parts: int
    work_bytes: float
    core_hours: float
    machines: int
    machine_cores: int
    hours: float


def estimate_corpus(recipe: Recipe, data_dir: Path | str, machine_cores: int = 64, hours: float = 24.0) -> Estimate:
    """Return what a recipe would take; nothing is downloaded.

    Args:
        recipe: of the corpus.
        data_dir: the folder or URL that relative paths start from; where the files are not there, what is published
            counts.
        machine_cores: cores of a machine.
        hours: in which the corpus is wanted.

    Raises:
        DataError: a file cannot be read.
    """
    sources = tuple(_estimate_source(source, str(data_dir)) for source in recipe.sources)
    text = sum(source.text_bytes for source in sources)
    core_hours = sum(source.core_hours for source in sources)
    return Estimate(
        sources=sources,
        num_parts=sum(math.ceil(source.text_bytes / PART_BYTES) for source in sources),
        work_bytes=DISK_SHARE * text,
        core_hours=core_hours,
        machines=max(1, math.ceil(core_hours / machine_cores / hours)),
        machine_cores=machine_cores,
        hours=hours,
    )


def _estimate_source(source: SourceRecipe, data_dir: str) -> SourceEstimate:
    if source.path:
        files = find_inputs(source.name, source.path, data_dir)
        fetched = sum(file.size for file in files)
        largest = max(files, key=lambda file: file.size)
        return SourceEstimate(source.name, fetched * _unpacked_share(largest), fetched, MEASURED, f"{len(files)} files")
    step = f"the URLs in {source.dataset}/{source.url_list}" if source.url_list else f"the files of {source.dataset}"
    values = _published().get(source.name)
    if not isinstance(values, Mapping):
        return SourceEstimate(source.name, 0.0, 0.0, UNKNOWN, step)
    text = values.get("text_gb", values["tokens_billions"] * _published()["bytes_per_token"])
    fetched = values.get("download_gb", text * _published()["packed_share"])
    basis = PUBLISHED if "text_gb" in values else ESTIMATED
    return SourceEstimate(source.name, text * _GB, fetched * _GB, basis, step)


def _unpacked_share(file: InputFile) -> float:
    """Return the bytes of text for each byte of a file, by its beginning."""
    if not compression_of(file.name) or not file.size:
        return 1.0
    with open_input(file.place) as raw:
        try:
            text = len(unpack(raw, compression_of(file.name)).read(_SAMPLE_BYTES))
        except OSError as error:
            raise DataError(f"{file.place}: cannot be read ({error}); restore the file") from None
        packed = raw.tell()
    return text / max(1, packed)


@cache
def _published() -> dict[str, Any]:
    text = resources.files(__package__).joinpath(_PUBLISHED_FILE).read_text(encoding="utf-8")
    return parse_toml(text, _PUBLISHED_FILE)
