"""The folder that an app takes: the package with all that is needed to use it, and a manifest with checksums.

    keyboard-lm.mlpackage    the network; keyboard-lm.aimodel in Core AI's format
    config.json              its shape
    tokenizer.model          SentencePiece model
    proper_nouns.txt         the text form's true-case list
    checkpoint.json          digests that tie the four above together
    pack.json                layouts, rules, channel, gate and costs, for readers without TOML
    lexicon.bin              the lexicon as arrays to be mapped, for readers without numpy
    language/                lexicon, channel, emoji and rules of the language
    LICENCE.txt              of the model and the data
    manifest.json            what this is, and size and SHA-256 of every other file

It is also a checkpoint folder without weights: `keyboard-lm suggest --backend coreml --model FOLDER` runs it (or
`--backend coreai`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from keyboard_lm import __version__
from keyboard_lm.errors import PackageError
from keyboard_lm.export.pack import write_pack
from keyboard_lm.network.checkpoint import CONFIG_FILE, INDEX_FILE, Checkpoint, bundled_folder
from keyboard_lm.network.tokenizer import PROPER_NOUNS_FILE, TOKENIZER_FILE
from keyboard_lm_coreml.convert.recipe import Recipe
from keyboard_lm_coreml.export.describe import LICENCE
from keyboard_lm_coreml.package import names
from keyboard_lm_coreml.package.contract import Contract

PACKAGE_NAME = "keyboard-lm.mlpackage"
ASSET_NAME = "keyboard-lm.aimodel"
MANIFEST_FILE = "manifest.json"
LICENCE_FILE = "LICENCE.txt"
LANGUAGE_FOLDER = "language"
BUNDLE_FORMAT = 1


def write_companions(folder: Path, checkpoint: Checkpoint, language: str = "en") -> None:
    """Write what lies beside a package in its bundle, but for the manifest."""
    kept = (CONFIG_FILE, TOKENIZER_FILE, PROPER_NOUNS_FILE)
    for name in kept:
        (folder / name).write_bytes(checkpoint.read_file(name))
    index = json.loads((checkpoint.folder / INDEX_FILE).read_text(encoding="utf-8"))
    index["files"] = {name: index["files"][name] for name in kept}
    (folder / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    write_pack(folder, checkpoint.config, language)
    (folder / LANGUAGE_FOLDER).mkdir()
    for source in resources.files("keyboard_lm").joinpath("languages", language).iterdir():
        if source.is_file():
            (folder / LANGUAGE_FOLDER / source.name).write_bytes(source.read_bytes())
    (folder / LICENCE_FILE).write_text(_licence(checkpoint), encoding="utf-8")


def write_manifest(
    folder: Path,
    checkpoint: Checkpoint,
    contract: Contract,
    recipe: Recipe,
    target: str,
    language: str = "en",
    package: str = PACKAGE_NAME,
) -> None:
    """Write `manifest.json` over all files that lie in a bundle; `package` is the network's."""
    tokenizer = checkpoint.tokenizer
    values = {
        "bundle_format": BUNDLE_FORMAT,
        "keyboard_lm_version": __version__,
        "package": package,
        names.META_FORMAT: names.PACKAGE_FORMAT,
        "target": target,
        "recipe": recipe.name,
        "language": language,
        names.META_CHECKPOINT: checkpoint.digest,
        names.META_TOKENIZER: tokenizer.digest,
        "num_slots": contract.num_slots,
        "max_context_length": checkpoint.config.max_context_length,
        "functions": [
            {"name": entry.name, "num_tokens": entry.num_tokens, "is_prefill": entry.is_prefill}
            for entry in contract.entries
        ],
        "files": {name: {"bytes": size, "sha256": digest} for name, (size, digest) in sorted(_files(folder).items())},
    }
    (folder / MANIFEST_FILE).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return a bundle's manifest after checking every file that it lists.

    Raises:
        PackageError: there is none, it cannot be read, or a file is missing, changed, or not listed.
    """
    path = folder / MANIFEST_FILE
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        wanted: Mapping[str, Any] = values["files"]
        listed = {name: (int(entry["bytes"]), str(entry["sha256"])) for name, entry in wanted.items()}
    except FileNotFoundError:
        raise PackageError(
            f"{folder}: no bundle ({MANIFEST_FILE} is missing); run: keyboard-lm export-coreml"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise PackageError(f"{path}: cannot be read; export it again with keyboard-lm export-coreml") from None
    found = _files(folder)
    for name in sorted(set(listed) | set(found)):
        if name not in found:
            raise PackageError(f"{folder / name}: is missing; export it again with keyboard-lm export-coreml")
        if name not in listed:
            raise PackageError(f"{folder / name}: is not in the manifest; remove it or export again")
        if found[name] != listed[name]:
            raise PackageError(f"{folder / name}: has changed; export it again with keyboard-lm export-coreml")
    return values


def _files(folder: Path) -> dict[str, tuple[int, str]]:
    # Size and digest of every file but the manifest, by its path in the folder.
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST_FILE:
            with path.open("rb") as stream:
                found[name] = (path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest())
    return found


def _licence(checkpoint: Checkpoint) -> str:
    lines = [f"Software and exported form: {LICENCE}, keyboard-lm {__version__}.", ""]
    licences = sorted(
        {str(source.get("licence", "")) for source in checkpoint.record().get("corpus", {}).get("sources", [])} - {""}
    )
    if licences:
        lines += ["The weights were trained on text under these licences:", *(f"- {licence}" for licence in licences)]
    else:
        lines += ["The checkpoint does not say what its weights were trained on; see where it came from."]
    if checkpoint.folder == bundled_folder():
        lines += ["", "The model's card, MODEL_CARD.md in the source, lists each source."]
    return "\n".join([*lines, "", "Language data: see language/SOURCES.md.", ""])
