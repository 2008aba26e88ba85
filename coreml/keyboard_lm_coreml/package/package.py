"""A Core ML package on disk: its manifest, its model file, its weights.

    Manifest.json                              which item is the model
    Data/com.apple.CoreML/model.mlmodel        the program and its interface
    Data/com.apple.CoreML/weights/weight.bin   the constants that are worth a file

Reading needs numpy alone: no coremltools, no protobuf, on any system. Whatever a damaged or foreign file holds ends in
a `PackageError`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath

from keyboard_lm.errors import PackageError
from keyboard_lm.network.checkpoint import PACKAGE_SUFFIX
from keyboard_lm_coreml.package.mil import parse_function
from keyboard_lm_coreml.package.model_file import Model, parse_model
from keyboard_lm_coreml.package.program import Function, Interface, Metadata
from keyboard_lm_coreml.package.protobuf import MalformedError
from keyboard_lm_coreml.package.weight_file import WeightFile

_MAX_MANIFEST_BYTES = 1 << 20
_MAX_MODEL_BYTES = 1 << 28  # the program alone; a network of 16 layers takes less than 1 MB for each function
_PIECE_BYTES = 1 << 20
_DATA_FOLDER = "Data"


class Package:
    """An opened package; functions are parsed when they are asked for.

    Args:
        path: the `.mlpackage` folder.

    Attributes:
        path: that folder.
        weights_folder: where its weight files lie.

    Raises:
        PackageError: it is missing, incomplete, damaged, or no ML Program.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        model_path = _model_path(path)
        self.weights_folder = model_path.parent / "weights"
        try:
            self._model: Model = parse_model(memoryview(_read(model_path, _MAX_MODEL_BYTES)))
        except MalformedError as error:
            raise damaged(path, f"{model_path.name}: {error}") from None
        self._functions: dict[str, Function] = {}
        self._weights: dict[str, WeightFile] = {}

    @property
    def function_names(self) -> tuple[str, ...]:
        """Names of the functions, in the order of the file."""
        return tuple(self._model.bodies)

    @property
    def default_function(self) -> str:
        """The function that runs when none is named."""
        return self._model.default_function

    @property
    def metadata(self) -> Metadata:
        """What the package says about itself."""
        return self._model.metadata

    @property
    def specification(self) -> int:
        """Core ML's version of the format: 9 for iOS 18."""
        return self._model.specification

    @property
    def interfaces(self) -> Mapping[str, Interface]:
        """What callers of each function give and get."""
        return self._model.interfaces

    def function(self, name: str) -> Function:
        """Return one function's operations.

        Raises:
            PackageError: there is no such function, or it is damaged.
        """
        if name not in self._model.bodies:
            have = ", ".join(self.function_names)
            raise PackageError(f"{self.path}: no function '{name}'; it has: {have}")
        if name not in self._functions:
            try:
                self._functions[name] = parse_function(name, self._model.bodies[name], self._open_weights)
            except MalformedError as error:
                raise damaged(self.path, str(error)) from None
        return self._functions[name]

    @cached_property
    def num_bytes(self) -> int:
        """Bytes of all files of the package."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())

    def _open_weights(self, name: str) -> WeightFile:
        # Programs say "@model_path/weights/weight.bin"; nothing outside that folder is opened.
        if name not in self._weights:
            file = PurePosixPath(name).name
            if not file or name != f"@model_path/weights/{file}":
                raise MalformedError(f"weights in '{name}', which is no file of the package")
            self._weights[name] = WeightFile(self.weights_folder / file)
        return self._weights[name]


def damaged(path: Path, what: str) -> PackageError:
    """Return the error for a package that is broken or was not made by this project."""
    return PackageError(f"{path}: {what}; export it again with keyboard-lm export-coreml")


def find_package(path: Path) -> Path:
    """Return the package that a path means: itself, or the one inside a bundle folder.

    Raises:
        PackageError: there is none, or more than one.
    """
    if path.suffix == PACKAGE_SUFFIX:
        return path
    try:
        found = sorted(path.glob(f"*{PACKAGE_SUFFIX}"))
    except OSError as error:
        raise PackageError(f"{path}: cannot be read ({error.strerror})") from None
    if len(found) != 1:
        have = "several packages" if found else "no package"
        raise PackageError(f"{path}: {have} (*{PACKAGE_SUFFIX}); name the one that is meant")
    return found[0]


def package_digest(path: Path) -> str:
    """Return the SHA-256 of a package's files: program and weights, whatever the manifest calls them.

    Raises:
        PackageError: it is missing or cannot be read.
    """
    digest = hashlib.sha256()
    files = sorted(file for file in (path / _DATA_FOLDER).rglob("*") if file.is_file())
    if not files:
        raise PackageError(f"{path}: no such package; make one with keyboard-lm export-coreml")
    try:
        for file in files:
            with file.open("rb") as stream:
                digest.update(file.relative_to(path).as_posix().encode() + b"\0")
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    except OSError as error:
        raise PackageError(f"{path}: cannot be read ({error.strerror})") from None
    return digest.hexdigest()


def _model_path(path: Path) -> Path:
    # Manifest.json: {"itemInfoEntries": {id: {"path": ...}}, "rootModelIdentifier": id, ...}
    if not path.is_dir():
        raise PackageError(f"{path}: no such package; make one with keyboard-lm export-coreml")
    manifest = path / "Manifest.json"
    try:
        values = json.loads(_read(manifest, _MAX_MANIFEST_BYTES))
        item = values["itemInfoEntries"][values["rootModelIdentifier"]]["path"]
        inside = PurePosixPath(item)
    except MalformedError as error:
        raise damaged(path, str(error)) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise damaged(path, "Manifest.json does not say which file is the model") from None
    if inside.is_absolute() or ".." in inside.parts or "\0" in item:
        raise damaged(path, f"Manifest.json names a file outside the package, {item!r}")
    return path / _DATA_FOLDER / inside


def _read(path: Path, limit: int) -> bytes:
    # In pieces: a read of the whole limit would allocate that much for the smallest file.
    pieces: list[bytes] = []
    num_bytes = 0
    try:
        with path.open("rb") as stream:
            while piece := stream.read(_PIECE_BYTES):
                pieces.append(piece)
                num_bytes += len(piece)
                if num_bytes > limit:
                    raise MalformedError(f"{path.name} is larger than {limit >> 20} MB")
    except OSError as error:
        raise MalformedError(f"{path.name} cannot be read ({error.strerror})") from None
    return b"".join(pieces)
