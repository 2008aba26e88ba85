"""llama.cpp behind our protocol, on its C interface (its Python class would add its own time); for comparisons."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import llama_cpp
import numpy as np

from keyboard_lm.backends.checks import check_tree
from keyboard_lm.backends.flat_cache import FlatCacheBackend
from keyboard_lm.backends.protocol import ROOT, Logits, check_fits
from keyboard_lm.errors import CheckpointError
from keyboard_lm.network.config import ModelConfig

_SILENCE = llama_cpp.llama_log_callback(lambda *_: None)  # llama.cpp keeps it, so it must live as long as the process


class LlamaCppBackend(FlatCacheBackend):
    """Runs a GGUF file; see `keyboard_lm.backends.protocol.Backend` for what each call promises.

    A tree is scored path by path.

    Args:
        path: the file.
        config: the network's shape.
        num_threads: threads of one step.

    Raises:
        CheckpointError: llama.cpp does not load the file or does not run it.
    """

    name = "llama.cpp"

    def __init__(self, path: Path, config: ModelConfig, num_threads: int = 2) -> None:
        super().__init__(config)
        llama_cpp.llama_log_set(_SILENCE, ctypes.c_void_p(0))
        model_params = llama_cpp.llama_model_default_params()
        model_params.use_extra_bufts = False  # weights repacked for AMX crash llama.cpp 0.3.36 on this architecture
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), model_params)
        if not self._model:
            raise CheckpointError(f"{path}: llama.cpp does not load it; write it with: keyboard-lm export-gguf")
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = config.max_context_length
        params.n_threads = params.n_threads_batch = num_threads
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        if not self._context:
            raise CheckpointError(f"{path}: llama.cpp cannot run a network of this shape")
        self._memory = llama_cpp.llama_get_memory(self._context)

    def decode(self, token_ids: Sequence[int]) -> Logits:
        check_fits(self, self._length, len(token_ids))
        tokens = (llama_cpp.llama_token * len(token_ids))(*token_ids)
        if llama_cpp.llama_decode(self._context, llama_cpp.llama_batch_get_one(tokens, len(token_ids))):
            raise CheckpointError("llama.cpp could not run a step")
        self._length += len(token_ids)
        logits = llama_cpp.llama_get_logits_ith(self._context, -1)
        row: Logits = np.ctypeslib.as_array(logits, (self.config.vocab_size,)).astype(np.float32)
        return row

    def score_tree(self, token_ids: Sequence[int], parents: Sequence[int]) -> Logits:
        check_tree(self, token_ids, parents)
        start = self._length
        paths: list[list[int]] = []
        rows: list[Logits] = []
        for token, parent in zip(token_ids, parents, strict=True):
            paths.append([*(paths[parent] if parent != ROOT else ()), token])
            rows.append(self.decode(paths[-1]))
            self.rewind(start)
        return np.stack(rows)

    def rewind(self, length: int) -> None:
        super().rewind(length)
        llama_cpp.llama_memory_seq_rm(self._memory, 0, length, -1)
