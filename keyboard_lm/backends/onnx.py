"""The network on ONNX Runtime: the default backend, over the graph that `keyboard-lm export-onnx` writes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from keyboard_lm.backends import onnx_format as names
from keyboard_lm.backends.checks import check_tree
from keyboard_lm.backends.flat_cache import FlatCacheBackend
from keyboard_lm.backends.protocol import Logits, check_fits, tree_depths, tree_visibility
from keyboard_lm.errors import CheckpointError
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.config import ModelConfig

DEFAULT_THREADS = 2
_MOST_PREPARED = 16  # tokens of a call that is kept: those of a tree, mostly


class OnnxBackend(FlatCacheBackend):
    """Runs an exported graph; see `keyboard_lm.backends.protocol.Backend` for what each call promises.

    The cache lies in buffers that the graph reads and writes in place, so a step copies nothing, and the scratch slots
    of a tree are simply overwritten by the next call.

    Args:
        graph: a graph file or its content, or such a graph that has been opened.
        config: the network's shape.
        capacity: slots of the KV cache; at most, and by default, the longest context the network is trained for.
        num_threads: threads of one step; never more than there are cores.

    Raises:
        CheckpointError: the graph cannot be read, or is not one that this version runs.
    """

    name = "onnx"

    def __init__(
        self,
        graph: bytes | Path | Any,
        config: ModelConfig,
        capacity: int | None = None,
        num_threads: int = DEFAULT_THREADS,
    ) -> None:
        super().__init__(config, capacity)
        self._session = _open_session(graph, num_threads) if isinstance(graph, (bytes, Path)) else graph
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        if self.metadata.get(names.META_FORMAT) != str(names.GRAPH_FORMAT):
            raise CheckpointError("the runtime graph has another format; run: keyboard-lm export-onnx")
        self._cache: list[tuple[str, str, Any]] = []  # past name, present name, buffer; bindings keep none alive
        self._slots: list[NDArray[np.float32]] = []  # the same memory, (G, S, D) each
        self._logits = np.empty((_MOST_PREPARED, config.vocab_size), np.float32)  # of all prepared calls
        self._calls: dict[tuple[int, int], _Call] = {}  # by number of tokens and of rows
        for layer, heads in enumerate(config.num_kv_heads):
            shape = (1, heads, self._capacity + 1, config.head_dim)  # one more for a tree behind nothing
            for past, present in zip(names.past_names(layer), names.present_names(layer), strict=True):
                slots = np.zeros(shape, np.float32)
                buffer = _ort_value(slots)
                self._slots.append(slots[0])
                self._cache.append((past, present, buffer))
        self._no_bias = np.zeros(self._capacity, np.float32)

    @classmethod
    def load(
        cls,
        checkpoint: Checkpoint,
        capacity: int | None = None,
        num_threads: int = DEFAULT_THREADS,
        bits: int = 4,
    ) -> OnnxBackend:
        """Open the graph of a checkpoint.

        Args:
            checkpoint: the folder.
            capacity: see the class.
            num_threads: see the class.
            bits: which of the folder's graphs: 4 is the one that ships, 8, 16 and 32 serve comparison.

        Raises:
            CheckpointError: the graph is missing, damaged, or made from other weights than the checkpoint's.
        """
        file = names.graph_file(bits)
        command = f"keyboard-lm export-onnx {checkpoint.folder}" + (f" --bits {bits}" if bits != 4 else "")
        if file not in checkpoint.files:
            raise CheckpointError(f"{checkpoint.folder} has no {file}; run: {command}")
        graph = checkpoint.checked_path(file)  # a copy in memory would be as large as the weights
        try:
            backend = cls(graph, checkpoint.config, capacity, num_threads)
        except CheckpointError as error:
            raise CheckpointError(f"{checkpoint.folder / file}: {error}; run: {command}") from None
        if backend.metadata.get(names.META_CHECKPOINT) != checkpoint.digest:
            raise CheckpointError(f"{checkpoint.folder / file} was made from another model; run: {command}")
        return backend

    def another(self) -> OnnxBackend:
        """Return a backend over the same weights with a cache of its own; both are to be used from one thread."""
        other = OnnxBackend(self._session, self.config, self._capacity)
        other._logits = self._logits  # only ever written and copied within a call
        return other

    def decode(self, token_ids: Sequence[int]) -> Logits:
        num_new = len(token_ids)
        check_fits(self, self._length, num_new)
        positions = np.arange(self._length, self._length + num_new)  # (T,)
        logits: Logits = self._run(token_ids, positions, self._length, None, np.array([num_new - 1]))[0]  # (V,)
        self._length += num_new
        return logits

    def score_tree(self, token_ids: Sequence[int], parents: Sequence[int]) -> Logits:
        check_tree(self, token_ids, parents)
        num_new = len(token_ids)
        if num_new == 1 and self._length:  # half of all trees: nothing is hidden from anything
            return self._run(token_ids, np.array([self._length]), self._length, None, np.zeros(1, np.int64))
        positions = self._length + np.array(tree_depths(parents))  # (N,)
        # With nothing cached, GroupQueryAttention takes the first token's position and counts on from it, whatever the
        # others' are (ONNX Runtime 1.32), so a tree without context stands behind one hidden slot.
        start = max(self._length, 1)
        bias = np.zeros((num_new, start + num_new), np.float32)  # (N, L)
        bias[:, self._length : start] = -np.inf
        bias[:, start:][~tree_visibility(parents)] = -np.inf
        return self._run(token_ids, positions, start, bias, np.arange(num_new))  # (N, V)

    def kept(self, num: int) -> object:
        start = self._length
        return [slots[:, start : start + num].copy() for slots in self._slots]  # (G, T, D) each

    def append(self, kept: object, num: int) -> None:
        assert isinstance(kept, list)
        check_fits(self, self._length, num)
        start, self._length = self._length, self._length + num
        for slots, of_tokens in zip(self._slots, kept, strict=True):
            slots[:, start : start + num] = of_tokens

    def _run(
        self,
        token_ids: Sequence[int],
        positions: NDArray[np.int64],
        start: int,
        bias: NDArray[np.float32] | None,
        rows: NDArray[np.int64],
    ) -> Logits:
        # Writes the new tokens' keys and values into the slots from `start` on.
        num_new, num_rows, num_slots = len(positions), len(rows), start + len(positions)
        call = self._calls.get((num_new, num_rows)) or self._prepared(num_new, num_rows)
        if bias is not None:
            call.bind_bias(bias, num_slots)
        elif call.num_unbiased != num_slots:  # from one letter to the next it stays as it is
            if num_new * num_slots > len(self._no_bias):
                self._no_bias = np.zeros(num_new * num_slots, np.float32)
            call.bind_bias(self._no_bias[: num_new * num_slots], num_slots)
            call.num_unbiased = num_slots
        call.token_ids[0] = token_ids
        call.positions[0] = positions
        call.rows[:] = rows
        call.last_slot[0] = num_slots - 1
        call.num_slots[...] = num_slots
        self._session.run_with_iobinding(call.binding)
        logits: Logits = call.logits.copy()  # (R, V)
        return logits

    def _prepared(self, num_new: int, num_rows: int) -> _Call:
        is_small = num_new <= _MOST_PREPARED
        logits = self._logits if is_small else np.empty((num_rows, self.config.vocab_size), np.float32)  # (R, V)
        call = _Call(self._session.io_binding(), num_new, logits[:num_rows])
        for past, present, buffer in self._cache:
            call.binding.bind_ortvalue_input(past, buffer)
            call.binding.bind_ortvalue_output(present, buffer)
        if is_small:
            self._calls[num_new, num_rows] = call
        return call


class _Call:
    """A call for some number of tokens, prepared: what it is given lies in arrays that are bound once.

    Args:
        binding: a fresh one.
        num_new: tokens (T).
        logits: where the answer goes, (R, V).

    Attributes:
        num_unbiased: slots that the bound bias is for, where it hides none of them; else 0.
    """

    def __init__(self, binding: Any, num_new: int, logits: Logits) -> None:
        self.binding = binding
        self.logits = logits
        self.num_unbiased = 0
        self._bias: NDArray[np.float32] | None = None  # the binding does not keep it
        self.token_ids = np.zeros((1, num_new), np.int64)
        self.positions = np.zeros((1, num_new), np.int64)
        self.rows = np.zeros(len(logits), np.int64)
        self.last_slot = np.zeros(1, np.int32)
        self.num_slots = np.zeros((), np.int32)
        inputs: tuple[tuple[str, NDArray[Any]], ...] = (
            (names.TOKEN_IDS, self.token_ids),
            (names.POSITIONS, self.positions),
            (names.ROWS, self.rows),
            (names.LAST_SLOT, self.last_slot),
            (names.NUM_SLOTS, self.num_slots),
        )
        for name, value in inputs:
            binding.bind_cpu_input(name, value)
        self._output = _ort_value(logits[None])
        binding.bind_ortvalue_output(names.LOGITS, self._output)

    def bind_bias(self, bias: NDArray[np.float32], num_slots: int) -> None:
        """Bind what is added to the attention's scores: T L values for L slots."""
        num_new = self.token_ids.shape[1]
        self._bias, self.num_unbiased = bias.reshape(1, 1, num_new, num_slots), 0  # (1, 1, T, L)
        # Sharing the memory takes a third of the time of an OrtValue.
        self.binding.bind_cpu_input(names.BIAS, self._bias)


def available_threads(wanted: int) -> int:
    """Return `wanted`, or the number of cores this process may use if that is smaller."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(wanted, cores))


def _ort_value(array: NDArray[Any]) -> Any:
    # Shares the array's memory.
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def _open_session(graph: bytes | Path, num_threads: int) -> Any:
    onnxruntime.disable_telemetry_events()  # what is typed is nobody's business
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_threads(num_threads)
    options.log_severity_level = 3  # errors come back as exceptions
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has no common base class of its own
        raise CheckpointError(f"cannot be read ({' '.join(str(error).split())[:200]})") from None
