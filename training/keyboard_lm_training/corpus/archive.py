"""A corpus in one small file, to train from where the text is not.

The archive is a `.tar.xz` of a corpus folder, which `tar` unpacks too. Of a source whose weight is below 1 it holds
that share alone: what one epoch reads.
"""

from __future__ import annotations

import dataclasses
import lzma
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.errors import DataError, WriteError
from keyboard_lm.files import replaced_file, replaced_folder
from keyboard_lm.network.tokenizer import PROPER_NOUNS_FILE, TOKENIZER_FILE, Tokenizer
from keyboard_lm_training.corpus.shards import (
    HELDOUT,
    MANIFEST_FILE,
    TRAIN,
    CorpusManifest,
    ShardWriter,
    open_shard,
)

# Ids are two bytes wide: literal and position contexts that know so are worth a tenth of the size.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 26, "lc": 3, "lp": 1, "pb": 1}]
_MAX_TRIES = 4
_MAX_BYTES = 1 << 33  # of one unpacked file


def pack_corpus(
    folder: Path, archive: Path, max_bytes: int, report: Callable[[str], None] = lambda text: None
) -> tuple[int, float]:
    """Write a corpus folder as one archive of at most `max_bytes`.

    Sources with a weight below 1 lose the documents that an epoch would not read, evenly over the source; if that is
    not enough, all sources lose the same further share of theirs. Held-out text stays whole. What a training shard's
    text took in bytes is scaled, not counted.

    Args:
        folder: made by `keyboard-lm corpus`.
        archive: written under a temporary name first.
        max_bytes: largest size.
        report: called with a sentence before each try.

    Returns:
        The archive's size in bytes, and the share of an epoch that it holds.

    Raises:
        DataError: not a corpus, no room on the disk, or the held-out text alone is larger.
    """
    manifest = CorpusManifest.load(folder)
    tokenizer = Tokenizer.load(folder)
    share = 1.0
    last: tuple[float, int] | None = None
    draft = archive.with_name(f".{archive.name}.whole")
    try:
        for _ in range(_MAX_TRIES):
            report(f"packing {share:.0%} of an epoch")
            with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
                _write_share(manifest, folder, Path(scratch), share, tokenizer)
                _compress(Path(scratch), draft)
            size = draft.stat().st_size
            if size <= max_bytes:
                with replaced_file(archive) as place:
                    draft.replace(place)
                return size, share
            # What does not shrink (held-out text, tokenizer) shows from the second try on: a line through both sizes.
            slope = (last[1] - size) / (last[0] - share) if last else size / share
            last = (share, size)
            share -= (size - 0.98 * max_bytes) / slope
            if share <= 0:
                break
    except OSError as error:
        raise DataError(f"{archive}: cannot be written ({error.strerror}); choose another place") from None
    finally:
        draft.unlink(missing_ok=True)
    raise DataError(f"{archive}: cannot be made so small; allow more than {max_bytes / 2**20:.0f} MiB")


def _write_share(manifest: CorpusManifest, folder: Path, target: Path, share: float, tokenizer: Tokenizer) -> None:
    sources, shards = [], []
    for source in manifest.sources:
        kept_share = min(1.0, source.weight) * share
        sources.append(dataclasses.replace(source, weight=source.weight / min(1.0, source.weight or 1.0)))
        for split in (TRAIN, HELDOUT):
            writer = ShardWriter(target, source.name, split)
            for shard in manifest.shards_of(split, source.name):
                tokens = np.asarray(open_shard(folder, shard))
                kept = tokens if split == HELDOUT else even_documents(tokens, kept_share, tokenizer.bos_id)
                if split == TRAIN and not len(kept):
                    continue
                writer.append(
                    kept,
                    shard.num_messages if len(kept) == len(tokens) else int((kept == tokenizer.eos_id).sum()),
                    round(shard.num_bytes * len(kept) / max(1, len(tokens))),
                )
            shards += writer.close()
    tokenizer.save(target)
    dataclasses.replace(manifest, sources=tuple(sources), shards=tuple(shards)).save(target)


def even_documents(tokens: NDArray[np.uint16], share: float, bos_id: int) -> NDArray[np.uint16]:
    """Return whole documents that hold `share` of the tokens together, evenly over the shard and in its order."""
    if share >= 1:
        return tokens
    starts = np.flatnonzero(tokens == bos_id)
    if not len(starts):
        return tokens[: round(len(tokens) * share)]
    ends = np.append(starts[1:], len(tokens))
    # A document is taken when the tokens owed so far reach past its middle.
    taken, pieces = 0, []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if end * share - taken >= (end - start) / 2:
            pieces.append(tokens[start:end])
            taken += end - start
    return np.concatenate(pieces) if pieces else tokens[:0]


def _compress(folder: Path, draft: Path) -> None:
    with lzma.open(draft, "wb", filters=_FILTERS) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = tar.gettarinfo(path, str(path.relative_to(folder)))
                entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, 0, "", ""
                with path.open("rb") as file:
                    tar.addfile(entry, file)


def unpack_corpus(archive: Path, folder: Path) -> None:
    """Make a corpus folder out of an archive and check every shard.

    Raises:
        DataError: no such file, not an archive of a corpus, damaged, or no room on the disk.
    """
    if not archive.is_file():
        raise DataError(f"{archive}: no such file; make it with `keyboard-lm pack-corpus`")
    try:
        with replaced_folder(folder) as draft:
            with tarfile.open(archive, "r:xz") as tar:
                for entry in tar:
                    if not entry.isfile() or entry.size > _MAX_BYTES:
                        raise DataError(f"{archive}: not the archive of a corpus")
                    tar.extract(entry, draft, filter="data")
            if not all((draft / name).is_file() for name in (MANIFEST_FILE, TOKENIZER_FILE, PROPER_NOUNS_FILE)):
                raise DataError(f"{archive}: not the archive of a corpus")
            CorpusManifest.load(draft).verify(draft)
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise DataError(f"{archive}: not the archive of a corpus, or damaged ({error})") from None
    except WriteError as error:
        raise DataError(str(error)) from None
