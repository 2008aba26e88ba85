"""A Core ML package behind the backend protocol: padded to its fixed shapes, with masks, rotary rows and positions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.backends.checks import check_tree
from keyboard_lm.backends.flat_cache import FlatCacheBackend
from keyboard_lm.backends.protocol import ROOT, Logits, check_fits, tree_depths
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.config import ModelConfig
from keyboard_lm_coreml.execute.runners import Runner, open_runner
from keyboard_lm_coreml.package import names
from keyboard_lm_coreml.package.contract import Contract, Entry, check_digests, read_contract
from keyboard_lm_coreml.package.package import Package, find_package


class CoreMLBackend(FlatCacheBackend):
    """Runs a package's functions; see `keyboard_lm.backends.protocol.Backend` for what each call promises.

    New tokens are given to the smallest function that holds them, or to several one after the other. Slots that a call
    has no tokens for are given its last token once more: what they leave behind is finite, and never attended to.

    Args:
        runner: what runs the package.
        contract: the package's functions.
        config: the network's shape.
        capacity: slots to use; at most, and by default, what the package has and the network is trained for.
    """

    name = "coreml"

    def __init__(self, runner: Runner, contract: Contract, config: ModelConfig, capacity: int | None = None) -> None:
        super().__init__(config, capacity, contract.num_slots)
        self._runner = runner
        self._entries = contract.entries
        self._num_slots = contract.num_slots
        self._rope = rope_rows(config, contract.num_slots)

    @classmethod
    def load(cls, checkpoint: Checkpoint, capacity: int | None = None) -> CoreMLBackend:
        """Open the package that lies in a checkpoint folder, or that was named in its place.

        Raises:
            PackageError: there is none; it is damaged, or was made from another model or tokenizer.
            MissingExtraError: on macOS, coremltools is not installed.
        """
        package = Package(checkpoint.package or find_package(checkpoint.folder))
        check_digests(package, checkpoint)
        contract = read_contract(package, checkpoint.config)
        return cls(open_runner(package), contract, checkpoint.config, capacity)

    def decode(self, token_ids: Sequence[int]) -> Logits:
        check_fits(self, self._length, len(token_ids))
        ids = self._checked(token_ids)
        start, done = self._length, 0
        while True:
            entry = self._entry_for(len(ids) - done, start + done, is_tree=False)
            num_new = min(entry.num_tokens, len(ids) - done)
            place = start + done
            slots = np.arange(place, place + num_new)  # (n,)
            visible = np.arange(self._num_slots) <= slots[:, None]  # (n, S)
            rows = self._call(entry, ids[done : done + num_new], place, slots, visible)
            done += num_new
            if done == len(ids):
                break
        self._length = start + done
        logits: Logits = rows[0] if entry.is_prefill else rows[num_new - 1]  # (V,)
        return logits

    def score_tree(self, token_ids: Sequence[int], parents: Sequence[int]) -> Logits:
        check_tree(self, token_ids, parents)
        ids, start = self._checked(token_ids), self._length
        positions = start + np.array(tree_depths(parents))  # (N,)
        visible = self._tree_mask(parents)  # (N, S)
        found: list[NDArray[np.float32]] = []
        done = 0
        while done < len(ids):
            entry = self._entry_for(len(ids) - done, start + done, is_tree=True)
            part = slice(done, done + entry.num_tokens)
            rows = self._call(entry, ids[part], start + done, positions[part], visible[part])
            found.append(rows[: len(ids[part])])
            done += len(ids[part])
        return np.concatenate(found)  # (N, V)

    def _call(
        self,
        entry: Entry,
        ids: NDArray[np.int32],
        place: int,
        positions: NDArray[np.int64],
        visible: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        # Writes n <= T tokens into the slots from `place` on; returns (T, V), or (1, V) from a prefill function.
        num_new, num_tokens = len(ids), entry.num_tokens
        padded = np.minimum(np.arange(num_tokens), num_new - 1)  # (T,)
        mask = np.where(visible[padded], np.float16(0), np.float16(names.MASKED))  # (T, S)
        inputs = {
            names.TOKEN_IDS: ids[padded][None],  # (1, T)
            names.POSITION: np.array([place], np.int32),  # (1,)
            names.MASK: mask[None, None],  # (1, 1, T, S)
            names.ROPE: self._rope[positions[padded]],  # (T, 2 D)
        }
        if entry.is_prefill:
            row = np.zeros((1, 1, num_tokens), np.float16)
            row[0, 0, num_new - 1] = 1
            inputs[names.ROW] = row
        return self._runner.run(entry.name, inputs)

    def _entry_for(self, num_new: int, place: int, is_tree: bool) -> Entry:
        # The smallest function that holds the tokens, or else the largest; its slots may not reach behind the state's.
        fitting = [
            entry
            for entry in self._entries
            if place + entry.num_tokens <= self._num_slots and not (is_tree and entry.is_prefill)
        ]
        return next((entry for entry in fitting if entry.num_tokens >= num_new), fitting[-1])

    def _tree_mask(self, parents: Sequence[int]) -> NDArray[np.bool_]:
        # Which slots each node sees: the cached tokens, its ancestors, itself.
        start = self._length
        visible = np.zeros((len(parents), self._num_slots), np.bool_)  # (N, S)
        for node, parent in enumerate(parents):
            if parent == ROOT:
                visible[node, :start] = True
            else:
                visible[node] = visible[parent]
            visible[node, start + node] = True
        return visible

    def _checked(self, token_ids: Sequence[int]) -> NDArray[np.int32]:
        ids = np.asarray(token_ids, np.int64)
        if ids.min() < 0 or ids.max() >= self.config.vocab_size:
            raise ValueError(f"a token id is outside the vocabulary of {self.config.vocab_size}")
        return ids.astype(np.int32)


def rope_rows(config: ModelConfig, num_slots: int) -> NDArray[np.float16]:
    """Return cosines, then sines, of the rotary angles of each position, (S, 2 D), for half-split pairs."""
    exponents = np.arange(0, config.head_dim, 2, dtype=np.float32) / config.head_dim  # (D / 2,)
    frequencies = np.float32(config.rope_freq_constant) ** -exponents
    angles = np.arange(num_slots, dtype=np.float32)[:, None] * frequencies  # (S, D / 2)
    angles = np.concatenate((angles, angles), axis=1)  # (S, D)
    rows: NDArray[np.float16] = np.concatenate((np.cos(angles), np.sin(angles)), axis=1).astype(np.float16)  # (S, 2 D)
    return rows
