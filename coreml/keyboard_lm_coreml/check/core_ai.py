"""Apple's Core AI runtime as a runner: the same network, through another converter and another runtime.

Core AI has a format of its own and cannot read a Core ML package; what it runs is the network for the Neural Engine
with the package's weights, exported by `torch.export` and converted by Apple's `coreai-torch`, whose wheels have the
runtime for Linux as well. So the network, the state and the weights are checked by code of which nothing is this
project's.

Versions tried: coreai-core 1.0.0b3, coreai-torch 0.4.3.
"""

from __future__ import annotations

import asyncio
import importlib.util
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from keyboard_lm.errors import KeyboardLMError, MissingExtraError
from keyboard_lm.network.config import ModelConfig
from keyboard_lm_coreml.check.package_weights import PackageWeights
from keyboard_lm_coreml.convert.ane_model import AneModel
from keyboard_lm_coreml.convert.convert import example_inputs
from keyboard_lm_coreml.package import names
from keyboard_lm_coreml.package.contract import Entry


def is_installed() -> bool:
    """Whether Core AI's wheels are there."""
    return importlib.util.find_spec("coreai_torch") is not None


class CoreAIRunner:
    """Runs functions of the network in Core AI; a context manager, which holds the converted asset on disk.

    Args:
        config: the network's shape.
        stored: its weights.
        entries: the functions to convert; each takes some ten seconds.
        num_slots: S of the state.

    Raises:
        MissingExtraError: Core AI is not installed.
        KeyboardLMError: it cannot convert or load the network.
    """

    name = "core ai"

    def __init__(self, config: ModelConfig, stored: PackageWeights, entries: Sequence[Entry], num_slots: int) -> None:
        if not is_installed():
            raise MissingExtraError("coreai-torch", "coreml")
        self._closing = ExitStack()
        model = AneModel(config, num_slots, stored.num_head_parts, is_blended=True).eval()
        model.load({name: torch.from_numpy(value) for name, value in stored.weights.items()})
        path = Path(self._closing.enter_context(tempfile.TemporaryDirectory())) / "network.aimodel"
        try:
            _convert(model, config, entries, num_slots, path)
            self._loop = asyncio.new_event_loop()
            self._closing.callback(self._loop.close)
            self._functions = self._load(path, [entry.name for entry in entries])
        except Exception as error:  # its errors have no common base
            self._closing.close()
            what = " ".join(str(error).split())[:200]
            raise KeyboardLMError(f"Core AI cannot convert or load the network ({what})") from error
        from coreai.runtime import NDArray as Tensor

        self._tensor: Any = Tensor
        self._state = {names.STATE: Tensor(model.kv_cache.zero_().numpy().copy())}

    def __enter__(self) -> CoreAIRunner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._functions = {}
        self._closing.close()

    def run(self, function: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Run a function; see `keyboard_lm_coreml.execute.runners.Runner`."""
        arrays = {
            name: self._tensor(value.astype(np.float32) if value.dtype == np.float16 else value)
            for name, value in inputs.items()
        }
        outputs = self._loop.run_until_complete(self._functions[function](arrays, self._state))
        logits: NDArray[np.float32] = outputs[names.LOGITS].numpy()[0].copy()  # (R, V)
        return logits

    def _load(self, path: Path, functions: Sequence[str]) -> dict[str, Any]:
        from coreai.authoring import AIModelAsset

        executable = AIModelAsset.load(path).executable()
        model = self._loop.run_until_complete(executable.__aenter__())
        self._closing.callback(lambda: self._loop.run_until_complete(executable.__aexit__(None, None, None)))
        return {name: model.load_function(name) for name in functions}


def _convert(model: AneModel, config: ModelConfig, entries: Sequence[Entry], num_slots: int, path: Path) -> None:
    with warnings.catch_warnings(), redirect_stdout(StringIO()):  # it announces itself
        warnings.simplefilter("ignore")
        from coreai_torch import TorchConverter, get_decomp_table  # first: coreai.authoring alone cannot be imported

        converter = TorchConverter()
        for entry in entries:
            model.set_num_tokens(entry.num_tokens)
            inputs = example_inputs(config, entry, num_slots)
            exported = torch.export.export(model, tuple(inputs.values())).run_decompositions(get_decomp_table())
            converter.add_exported_program(
                exported, input_names=list(inputs), output_names=[names.LOGITS], state_names=[names.STATE],
                entrypoint_name=entry.name,
            )  # fmt: skip
        converter.to_coreai().save_asset(path)
