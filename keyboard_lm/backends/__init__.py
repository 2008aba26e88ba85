"""Runtimes that evaluate the network, all behind `keyboard_lm.backends.protocol.Backend`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyboard_lm.errors import ConfigError, MissingExtraError
from keyboard_lm.network.checkpoint import ASSET_SUFFIX

if TYPE_CHECKING:
    from keyboard_lm.backends.protocol import Backend
    from keyboard_lm.network.checkpoint import Checkpoint

BACKENDS = ("onnx", "torch", "coreml", "coreai", "mlx")
DEFAULT_BACKEND = "onnx"
_CORE_ML = ("Core ML package", "coreml")


def load_backend(
    name: str, checkpoint: Checkpoint, *, capacity: int | None = None, num_threads: int | None = None, bits: int = 4
) -> Backend:
    """Open a checkpoint with one runtime; only that runtime is imported.

    Args:
        name: one of `BACKENDS`.
        checkpoint: the folder.
        capacity: slots of the KV cache; by default the longest context the network is trained for.
        num_threads: threads of one step (ONNX Runtime only; torch's and numpy's are the process's own settings).
        bits: which of the folder's graphs (ONNX Runtime only; torch and MLX have the weights as they were trained, Core
            ML and Core AI those of their files).

    Raises:
        ConfigError: no such backend, or a package or asset was named for one that cannot run it.
        CheckpointError: the checkpoint holds nothing that this backend can run.
        PackageError: its Core ML package or Core AI asset is missing, damaged, or another model's.
        MissingExtraError: the backend is not installed.
    """
    if checkpoint.package is not None and name in BACKENDS:
        what, needed = ("Core AI asset", "coreai") if checkpoint.package.suffix == ASSET_SUFFIX else _CORE_ML
        if name != needed:
            raise ConfigError(f"{checkpoint.package} is a {what}; add: --backend {needed}")
    if name == "onnx":
        from keyboard_lm.backends.onnx import DEFAULT_THREADS, OnnxBackend

        return OnnxBackend.load(checkpoint, capacity, num_threads or DEFAULT_THREADS, bits)
    if name == "torch":
        try:
            from keyboard_lm.backends.torch import TorchBackend
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise MissingExtraError("torch", "train") from None
        return TorchBackend.load(checkpoint, capacity)
    if name == "coreml":
        from keyboard_lm_coreml.execute.backend import CoreMLBackend

        return CoreMLBackend.load(checkpoint, capacity)
    if name == "coreai":
        from keyboard_lm_coreml.execute.core_ai import CoreAIBackend

        return CoreAIBackend.load(checkpoint, capacity)
    if name == "mlx":
        try:
            from keyboard_lm.backends.mlx import MlxBackend
        except ModuleNotFoundError as error:
            if error.name not in ("mlx", "mlx.core"):
                raise
            raise MissingExtraError("mlx", "mlx") from None
        return MlxBackend.load(checkpoint, capacity)
    raise ConfigError(f"no backend {name!r}; choose one of: {', '.join(BACKENDS)}")


def artefact(name: str, checkpoint: Checkpoint, bits: int = 4) -> str:
    """Return what tells the file that a backend would run from any other made of the same checkpoint; "" if none does.

    Raises:
        PackageError: there is no Core ML package or Core AI asset, or it cannot be read.
    """
    if name == "onnx":
        from keyboard_lm.backends.onnx_format import graph_file

        _, sha256 = checkpoint.files.get(graph_file(bits), (0, "none"))
        return f"{bits} bits, graph {sha256[:8]}"
    if name == "coreml":
        from keyboard_lm_coreml.package.package import find_package, package_digest

        package = checkpoint.package or find_package(checkpoint.folder)
        return f"{package.name} {package_digest(package)[:8]}"
    if name == "coreai":
        from keyboard_lm_coreml.package.asset import find_asset, read_asset

        asset = read_asset(checkpoint.package or find_asset(checkpoint.folder))
        return f"{asset.path.name} {asset.program_sha256[:8]}"
    return ""
