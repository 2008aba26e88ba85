"""A Core AI asset on disk: its metadata, and whether its program is the one that was written.

    metadata.json    who made it, with what, and the keyboard's own entries
    main.mlirb       the program and its weights, MLIR bytecode
    main.hash        SHA-256 of main.mlirb

Reading needs none of Apple's wheels. Whatever is handed to their loader has to pass here first: it ends the whole
process, without a Python exception, on a folder that holds no program and on programs of coreai-core 1.0.0b1 (seen with
1.0.0b2 and 1.0.0b3, on Linux).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyboard_lm.errors import PackageError
from keyboard_lm.network.checkpoint import ASSET_SUFFIX, Checkpoint
from keyboard_lm_coreml.package import names
from keyboard_lm_coreml.package.contract import Contract, Entry

METADATA_FILE = "metadata.json"
PROGRAM_FILE = "main.mlirb"
HASH_FILE = "main.hash"
CUSTOM = "creatorDefinedMetadata"
READABLE_PRODUCERS = ("coreai-core 1.0.0b2", "coreai-core 1.0.0b3")  # whose programs 1.0.0b3 has been seen to run
META_FUNCTIONS = "functions"
ASSET_FORMAT = 1
_AGAIN = "export it again with keyboard-lm export-coreai"


@dataclass(frozen=True)
class Asset:
    """A checked asset.

    Attributes:
        path: the `.aimodel` folder.
        producer: name and version of the package that wrote it.
        custom: the keyboard's own metadata, all of it text.
        program_sha256: of its program.
        num_bytes: of all files.
    """

    path: Path
    producer: str
    custom: Mapping[str, str]
    program_sha256: str
    num_bytes: int


def read_asset(path: Path) -> Asset:
    """Read an asset's metadata and check its program against its hash.

    Raises:
        PackageError: it is missing, damaged, or of a version whose programs Apple's runtime cannot load.
    """
    if not path.is_dir():
        raise PackageError(f"{path}: no such asset; make one with keyboard-lm export-coreai")
    try:
        values = json.loads((path / METADATA_FILE).read_bytes())
        producer = str(values.get("producer", "an unknown version"))
        custom = {str(key): str(value) for key, value in values.get(CUSTOM, {}).items()}
        wanted = (path / HASH_FILE).read_bytes()
        with (path / PROGRAM_FILE).open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256")
        num_bytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        what = error.strerror if isinstance(error, OSError) else f"{METADATA_FILE} is damaged"
        raise PackageError(f"{path}: cannot be read ({what}); {_AGAIN}") from None
    if found.digest() != wanted:
        raise PackageError(f"{path}: {PROGRAM_FILE} does not match its hash; {_AGAIN}")
    if producer not in READABLE_PRODUCERS:
        raise PackageError(f"{path}: written by {producer}, whose programs are not known to load; {_AGAIN}")
    return Asset(path, producer, custom, found.hexdigest(), num_bytes)


def find_asset(path: Path) -> Path:
    """Return the asset that a path means: itself, or the one inside a bundle folder.

    Raises:
        PackageError: there is none, or more than one.
    """
    if path.suffix == ASSET_SUFFIX:
        return path
    try:
        found = sorted(path.glob(f"*{ASSET_SUFFIX}"))
    except OSError as error:
        raise PackageError(f"{path}: cannot be read ({error.strerror})") from None
    if len(found) != 1:
        have = "several assets" if found else "no asset"
        raise PackageError(f"{path}: {have} (*{ASSET_SUFFIX}); make one with keyboard-lm export-coreai, or name it")
    return found[0]


def custom_metadata(checkpoint: Checkpoint, contract: Contract, recipe: str, converter: str) -> dict[str, str]:
    """Return what an asset says of itself, for `Asset.custom`."""
    return {
        names.META_FORMAT: str(ASSET_FORMAT),
        names.META_CHECKPOINT: checkpoint.digest,
        names.META_TOKENIZER: checkpoint.tokenizer.digest,
        names.META_RECIPE: recipe,
        names.META_SLOTS: str(contract.num_slots),
        names.META_CONVERTER: converter,
        META_FUNCTIONS: ",".join(entry.name for entry in contract.entries),
    }


def read_asset_contract(asset: Asset, checkpoint: Checkpoint) -> Contract:
    """Return an asset's functions and slots after checking that it was made from a checkpoint.

    What the program itself takes is compared with them when it is loaded.

    Raises:
        PackageError: it is no keyboard's, or was made with another tokenizer or from another model.
    """
    custom: Mapping[str, Any] = asset.custom
    if custom.get(names.META_FORMAT) != str(ASSET_FORMAT):
        raise PackageError(f"{asset.path}: not an asset of this version; run: keyboard-lm export-coreai")
    if custom.get(names.META_TOKENIZER) != checkpoint.tokenizer.digest:
        raise PackageError(
            f"{asset.path} was made with another tokenizer than {checkpoint.folder} has; keep an asset in the folder "
            "it was exported to"
        )
    if custom.get(names.META_CHECKPOINT) != checkpoint.digest:
        raise PackageError(
            f"{asset.path} was made from another model than {checkpoint.folder}; run: keyboard-lm export-coreai"
        )
    entries = []
    for name in str(custom.get(META_FUNCTIONS, "")).split(","):
        tokens = names.num_tokens(name)
        if tokens is None:
            raise PackageError(f"{asset.path}: function '{name}' is none of a keyboard's; {_AGAIN}")
        entries.append(Entry(name, tokens, name.startswith("prefill")))
    slots = str(custom.get(names.META_SLOTS, ""))
    if not slots.isdecimal() or not any(entry.num_tokens == 1 for entry in entries):
        raise PackageError(f"{asset.path}: does not say how many slots it has, or has no decode; {_AGAIN}")
    entries.sort(key=lambda entry: (entry.num_tokens, entry.is_prefill))
    return Contract(tuple(entries), int(slots))
