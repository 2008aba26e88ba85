"""Runtimes that evaluate the network, all behind `keyboard_lm.backends.protocol.Backend`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyboard_lm.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from keyboard_lm.backends.protocol import Backend
    from keyboard_lm.network.checkpoint import Checkpoint

BACKENDS = ("onnx", "torch", "coreml", "mlx")
DEFAULT_BACKEND = "onnx"


def load_backend(
    name: str, checkpoint: Checkpoint, *, capacity: int | None = None, num_threads: int | None = None, bits: int = 4
) -> Backend:
    """Open a checkpoint with one runtime; only that runtime is imported.

    Args:
        name: one of `BACKENDS`.
        checkpoint: the folder.
        capacity: slots of the KV cache; by default the longest context the network is trained for.
        num_threads: threads of one step (ONNX Runtime only; torch's and numpy's are the process's own settings).
        bits: which of the folder's graphs (ONNX Runtime only; torch and MLX have the weights as they were trained, and
            Core ML those of its package).

    Raises:
        ConfigError: no such backend, or a Core ML package was named for one that cannot run it.
        CheckpointError: the checkpoint holds nothing that this backend can run.
        PackageError: its Core ML package is missing, damaged, or another model's.
        MissingExtraError: the backend is not installed.
    """
    if checkpoint.package is not None and name in BACKENDS and name != "coreml":
        raise ConfigError(f"{checkpoint.package} is a Core ML package; add: --backend coreml")
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
        PackageError: there is no Core ML package, or it cannot be read.
    """
    if name == "onnx":
        from keyboard_lm.backends.onnx_format import graph_file

        _, sha256 = checkpoint.files.get(graph_file(bits), (0, "none"))
        return f"{bits} bits, graph {sha256[:8]}"
    if name == "coreml":
        from keyboard_lm_coreml.package.package import find_package, package_digest

        package = checkpoint.package or find_package(checkpoint.folder)
        return f"{package.name} {package_digest(package)[:8]}"
    return ""
