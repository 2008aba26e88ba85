"""An asset run by Apple's Core AI runtime: on Linux its own interpreter, on macOS 27 whatever the system offers.

The runtime is asynchronous and the backend is not, so that its event loop has a thread of its own; a caller may have
one as well.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.errors import PackageError
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.config import ModelConfig
from keyboard_lm_coreml.execute.backend import CoreMLBackend
from keyboard_lm_coreml.package import names
from keyboard_lm_coreml.package.asset import find_asset, read_asset, read_asset_contract
from keyboard_lm_coreml.package.contract import Contract
from keyboard_lm_coreml.package.core_ai_versions import CORE, require_core_ai

Array = NDArray[Any]
_Value = TypeVar("_Value")


class CoreAIRunner:
    """Runs an asset's functions, which share one state; see `keyboard_lm_coreml.execute.runners.Runner`.

    Args:
        path: the `.aimodel` folder, which `read_asset` has passed.
        contract: its functions and slots.
        config: the network's shape.

    Raises:
        MissingExtraError: coreai-core is not installed.
        KeyboardLMError: it is of another version.
        PackageError: the runtime cannot load it, or its functions are not those of the contract.
    """

    name = "core ai"

    def __init__(self, path: Path, contract: Contract, config: ModelConfig) -> None:
        require_core_ai(CORE)
        from coreai.authoring import AIModelAsset
        from coreai.runtime import NDArray as Tensor

        self.path = path
        self._tensor: Any = Tensor
        self._config, self._num_slots = config, contract.num_slots
        self._is_prefill = {entry.name: entry.is_prefill for entry in contract.entries}
        self._num_tokens = {entry.name: entry.num_tokens for entry in contract.entries}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="core-ai", daemon=True).start()
        self._functions: dict[str, Any] = {}
        self._state: dict[str, Any] = {}
        try:
            self._opened: Any = AIModelAsset.load(path).executable()
            self._model: Any = self._wait(self._opened.__aenter__())
        except Exception as error:  # its errors have no common base
            self._loop.call_soon_threadsafe(self._loop.stop)
            raise PackageError(f"{path}: Core AI cannot load it ({_line(error)})") from None

    def close(self) -> None:
        """Release the model and what the runtime has written to disk for it."""
        self._functions, self._model = {}, None
        self._wait(self._opened.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)

    def run(self, function: str, inputs: Mapping[str, Array]) -> NDArray[np.float32]:
        """Run a function and return its logits, (rows, V).

        Raises:
            PackageError: it cannot be run.
        """
        if function not in self._functions:
            self._functions[function] = self._load(function)
        loaded = self._functions[function]
        try:
            arrays = {
                name: self._tensor(value.astype(loaded.desc.input_descriptor(name).dtype, copy=False))
                for name, value in inputs.items()
            }
            outputs = self._wait(loaded(arrays, self._state))
        except Exception as error:
            raise PackageError(f"{self.path}: Core AI cannot run {function} ({_line(error)})") from None
        logits: NDArray[np.float32] = outputs[names.LOGITS].numpy()[0].astype(np.float32)  # (R, V), a copy
        return logits

    def _load(self, function: str) -> Any:
        try:
            with _silent():
                loaded = self._model.load_function(function)
        except Exception as error:
            raise PackageError(f"{self.path}: Core AI cannot load {function} ({_line(error)})") from None
        found = loaded.desc
        shapes = {name: tuple(found.input_descriptor(name).shape) for name in found.input_names}
        shapes |= {name: tuple(found.state_descriptor(name).shape) for name in found.state_names}
        tokens, slots, config = self._num_tokens[function], self._num_slots, self._config
        state = (1, 2 * sum(config.num_kv_heads), slots, config.head_dim)
        wanted: dict[str, tuple[int, ...]] = {
            names.TOKEN_IDS: (1, tokens), names.POSITION: (1,), names.MASK: (1, 1, tokens, slots),
            names.ROPE: (tokens, 2 * config.head_dim), names.STATE: state,
            **({names.ROW: (1, 1, tokens)} if self._is_prefill[function] else {}),
        }  # fmt: skip
        if shapes != wanted or found.state_names != [names.STATE] or found.output_names != [names.LOGITS]:
            raise PackageError(
                f"{self.path}: function {function} takes {shapes}, the network's takes {wanted}: it belongs to "
                "another model, or coreai-torch has made no state of the cache"
            )
        if not self._state:
            zeros = np.zeros(state, found.state_descriptor(names.STATE).dtype)
            self._state = {names.STATE: self._tensor(zeros)}
        return loaded

    def _wait(self, coroutine: Coroutine[Any, Any, _Value]) -> _Value:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


class CoreAIBackend(CoreMLBackend):
    """Runs an asset's functions; see `keyboard_lm_coreml.execute.backend.CoreMLBackend`, whose contract it shares."""

    name = "coreai"

    @classmethod
    def load(cls, checkpoint: Checkpoint, capacity: int | None = None) -> CoreAIBackend:
        """Open the asset that lies in a checkpoint folder, or that was named in its place.

        Raises:
            PackageError: there is none; it is damaged, or was made from another model or tokenizer.
            MissingExtraError: coreai-core is not installed.
            KeyboardLMError: it is of another version.
        """
        require_core_ai(CORE)
        asset = read_asset(checkpoint.package or find_asset(checkpoint.folder))
        contract = read_asset_contract(asset, checkpoint)
        return cls(CoreAIRunner(asset.path, contract, checkpoint.config), contract, checkpoint.config, capacity)


@contextmanager
def _silent() -> Iterator[None]:
    # The runtime writes a line for each function it loads, past Python, to the file of standard error.
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
