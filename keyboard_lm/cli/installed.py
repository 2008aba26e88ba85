"""What is installed, and what that lets this machine do."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata


@dataclass(frozen=True)
class Ability:
    """Something the project can do.

    Attributes:
        name: as the README has it.
        packages: import names that it takes.
        install: the pip line that brings them; "" where the core install does.
        note: what is to be known about it on this machine.
    """

    name: str
    packages: tuple[str, ...]
    install: str = ""
    note: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages that are not installed."""
        return tuple(name for name in self.packages if importlib.util.find_spec(name) is None)


_ON_MAC = sys.platform == "darwin"
_EXTRA = "pip install 'keyboard-lm[{}]'".format

ABILITIES = (
    Ability("suggest, eval, bench (--backend onnx)", ("onnxruntime", "numpy", "sentencepiece", "click")),
    Ability("type (a phone in the terminal)", ("textual",), _EXTRA("tui")),
    Ability("train, distill, --backend torch, parity", ("torch", "safetensors", "rich", "matplotlib"), _EXTRA("train")),
    Ability("export-onnx", ("onnx", "safetensors"), _EXTRA("onnx")),
    Ability(
        "export-coreml",
        ("coremltools", "torch", "safetensors"),
        _EXTRA("coreml"),
        "" if _ON_MAC else "converts here; a Mac is needed to measure a device",
    ),
    Ability(
        "--backend coreml",
        ("coremltools",) if _ON_MAC else (),
        _EXTRA("coreml") if _ON_MAC else "",
        "Core ML itself" if _ON_MAC else "the package is run by our own executor",
    ),
    Ability("--backend coreai", ("coreai",), _EXTRA("coreai"), "Apple's own runtime; slow on Linux"),
    Ability("export-coreai", ("coreai", "coreai_torch", "torch", "safetensors"), _EXTRA("coreai")),
    Ability(
        "--backend mlx, export-mlx",
        ("mlx",),
        _EXTRA("mlx"),
        "" if _ON_MAC else "correct but slow off Apple silicon",
    ),
    Ability("import-hf, export-hf", ("safetensors",), _EXTRA("train")),
    Ability("export-gguf", ("gguf", "safetensors"), _EXTRA("gguf")),
    Ability("parity's GGUF rows", ("llama_cpp",), "pip install llama-cpp-python"),
    Ability("corpora from Hugging Face", ("datasets",), _EXTRA("data")),
    Ability("eval --plot", ("matplotlib",), _EXTRA("plot")),
    Ability("kebbie's benchmark", ("kebbie",), "pip install kebbie 'pyarrow<21'"),
)

PACKAGES = (
    "keyboard-lm", "numpy", "onnxruntime", "sentencepiece", "click", "textual", "torch", "safetensors", "onnx",
    "coremltools", "coreai-core", "coreai-torch",
    "mlx", "mlx-lm", "gguf", "llama-cpp-python", "transformers", "datasets", "matplotlib",
)  # fmt: skip


def versions(names: Iterable[str] = PACKAGES) -> dict[str, str | None]:
    """Return the installed version of each distribution; None where there is none."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def machine() -> dict[str, str]:
    """Return what the machine is."""
    return {"python": platform.python_version(), "system": platform.platform(), "processor": platform.machine()}


def training_devices() -> list[str]:
    """Return what torch can train on here, the fastest first; nothing without torch (whose import takes a second)."""
    if importlib.util.find_spec("torch") is None:
        return []
    import torch

    devices = []
    if torch.cuda.is_available():
        devices += [f"cuda ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps (Apple GPU)")
    return [*devices, f"cpu ({torch.get_num_threads()} threads)"]
