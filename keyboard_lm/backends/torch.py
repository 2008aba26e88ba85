"""The network on PyTorch: the backend that training checks itself with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from keyboard_lm.backends.checks import check_tree
from keyboard_lm.backends.flat_cache import FlatCacheBackend
from keyboard_lm.backends.protocol import Logits, check_fits, tree_depths, tree_visibility
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.model import KVCache, OpenELM


class TorchBackend(FlatCacheBackend):
    """Runs an `OpenELM` module; see `keyboard_lm.backends.protocol.Backend` for what each call promises.

    Args:
        model: the network, used as it is (its dtype and device are kept).
        capacity: slots of the KV cache; at most, and by default, the longest context the network is trained for.
    """

    name = "torch"

    def __init__(self, model: OpenELM, capacity: int | None = None) -> None:
        super().__init__(model.config, capacity)
        self._model = model.eval()
        table = model.transformer.token_embeddings.weight
        self._device = table.device
        self._cache = KVCache(model.config, self._capacity, dtype=table.dtype, device=table.device)

    @classmethod
    def load(cls, checkpoint: Checkpoint, capacity: int | None = None) -> TorchBackend:
        """Read a checkpoint's weights as fp32.

        Raises:
            CheckpointError: the weights are missing, damaged, or do not fit the configuration.
            MissingExtraError: safetensors is not installed.
        """
        return cls(load_model(checkpoint), capacity)

    def another(self) -> TorchBackend:
        """Return a backend over the same weights with a cache of its own; both are to be used from one thread."""
        return TorchBackend(self._model, self.capacity)

    def decode(self, token_ids: Sequence[int]) -> Logits:
        check_fits(self, self.length, len(token_ids))
        logits: Logits = self._logits(token_ids, None, None, last_only=True)[0]  # (V,)
        self._length += len(token_ids)
        return logits

    def score_tree(self, token_ids: Sequence[int], parents: Sequence[int]) -> Logits:
        check_tree(self, token_ids, parents)
        depths = torch.tensor(tree_depths(parents), device=self._device)  # (N,)
        seen = torch.ones(len(token_ids), self.length, dtype=torch.bool)  # (N, length)
        mask = torch.cat((seen, torch.from_numpy(tree_visibility(parents))), dim=1)  # (N, length + N)
        return self._logits(token_ids, self.length + depths, mask.to(self._device), last_only=False)

    @torch.inference_mode()
    def _logits(
        self, token_ids: Sequence[int], positions: Tensor | None, mask: Tensor | None, last_only: bool
    ) -> Logits:
        self._cache.length = self._length
        ids = torch.tensor([list(token_ids)], device=self._device)  # (1, T)
        hidden = self._model.hidden(ids, positions, mask, self._cache)[0]  # (T, C)
        logits = self._model.head(hidden[-1:] if last_only else hidden)  # (1 or T, V)
        rows: Logits = logits.float().cpu().numpy().astype(np.float32, copy=False)
        return rows


def load_model(checkpoint: Checkpoint) -> OpenELM:
    """Return the checkpoint's network in fp32, in evaluation mode.

    Raises:
        CheckpointError: the weights are missing, damaged, or do not fit the configuration.
        MissingExtraError: safetensors is not installed.
    """
    with torch.device("meta"):
        model = OpenELM(checkpoint.config)
    weights = {name: torch.from_numpy(value).float() for name, value in checkpoint.weights().items()}
    model.load_state_dict(weights, assign=True)
    return model.eval()
