"""The parity ladder: from the checkpoint's network to the package, one step at a time.

    weights     the package's matrices against the checkpoint's
    network     the network written for the Neural Engine against torch, both with the package's weights
    converted   the package, run in fp32, against torch with the same weights
    rounded     the package with each result rounded to fp16, against the same
    tree        a tree of continuations against each branch decoded alone, both by the package
    rewind      what was rewound and typed anew against a fresh prefill, both by the package
    text        the package against torch with the checkpoint's own weights

Every rung but the first walks through real text the way a keyboard does: a prefill, then single tokens, a tree now and
then. Its error at one place is the root mean square over the vocabulary as a share of the logits' standard deviation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from keyboard_lm.backends.protocol import ROOT, Backend
from keyboard_lm.backends.torch import TorchBackend
from keyboard_lm.errors import PackageError
from keyboard_lm.evaluation.texts import shipped_texts
from keyboard_lm.network.checkpoint import WEIGHTS_FILE, Checkpoint
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.model import OpenELM
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm_coreml.check.package_weights import PackageWeights, read_weights
from keyboard_lm_coreml.convert.ane_model import AneModel
from keyboard_lm_coreml.execute.backend import CoreMLBackend
from keyboard_lm_coreml.execute.runners import ExecutorRunner, Runner
from keyboard_lm_coreml.package.contract import Contract, check_digests, read_contract
from keyboard_lm_coreml.package.package import Package

Rows = NDArray[np.float32]  # (P, V), logits at P places

# Thresholds of the worst place. What honest packages reach is in coreml/README.md; a wrong one is off by far more.
_NETWORK_THRESHOLD = 2e-2  # rotary rows are fp16 inputs
_CONVERTED_THRESHOLD = 2e-2
_ROUNDED_THRESHOLD = 1e-1
_SAME_THRESHOLD = 2e-3
# Relative error of a matrix, and mean error of the logits it leads to, by bits of an index.
_WEIGHT_THRESHOLDS = {1: 1.2, 2: 0.9, 3: 0.6, 4: 0.4, 6: 0.15, 8: 0.05, 16: 1e-3}
_TEXT_THRESHOLDS = {1: 2.0, 2: 2.0, 3: 1.5, 4: 1.0, 6: 0.4, 8: 0.2, 16: 0.05}

_NUM_WINDOWS = 8
_WINDOW_TOKENS = 88
_PREFILLS = (1, 7, 16, 17, 33, 60, 64, 2)
_NUM_DECODED = 24
_TREE = (ROOT, ROOT, 0, 0, 1, 4, 2, ROOT, 5)


@dataclass(frozen=True)
class Rung:
    """One comparison.

    Attributes:
        name: see the module.
        compares: what with what.
        error: of the worst place, or matrix; of `text` the mean.
        threshold: the error must not be larger.
        top1: share of places where both put the same token first; None where there are no two distributions.
        top3: mean share of three first tokens that both have.
        num_places: places, or matrices, compared.
    """

    name: str
    compares: str
    error: float
    threshold: float
    top1: float | None
    top3: float | None
    num_places: int

    @property
    def is_passed(self) -> bool:
        """Whether the error is a number within the threshold."""
        return self.error <= self.threshold


def check_package(
    path: Path,
    checkpoint: Checkpoint,
    runner: Runner | None = None,
    on_stage: Callable[[str], None] = lambda _: None,
) -> tuple[Rung, ...]:
    """Climb the ladder.

    Args:
        path: the package.
        checkpoint: what it was made from. Without weights (a bundle), `weights` and `text` are left out.
        runner: what runs the package, for example Core ML; by default the executor, with and without rounding. With
            one given, `rounded` is what it computes, and `converted` is left out.
        on_stage: told which rung is climbed.

    Raises:
        PackageError: the package is damaged or another checkpoint's.
    """
    on_stage("checking: the weights")
    package = Package(path)
    check_digests(package, checkpoint)
    contract = read_contract(package, checkpoint.config)
    stored = read_weights(package, checkpoint.config)
    plain: Runner = runner or ExecutorRunner(package)
    rounding: Runner = runner or ExecutorRunner(package, is_rounding=True)
    network = AneRunner(checkpoint.config, stored, contract)
    return climb(checkpoint, contract, stored, network, plain, rounding, on_stage=on_stage)


def climb(
    checkpoint: Checkpoint,
    contract: Contract,
    stored: PackageWeights,
    network: Runner,
    plain: Runner,
    rounding: Runner,
    num_windows: int = _NUM_WINDOWS,
    on_stage: Callable[[str], None] = lambda _: None,
) -> tuple[Rung, ...]:
    """Climb the ladder with whatever runs a file.

    Args:
        checkpoint: what the file was made from; see `check_package`.
        contract: the file's functions.
        stored: its weights.
        network: the network that was converted.
        plain: the file without rounding.
        rounding: the file in fp16; the same object as `plain` where there is only one way to run it, and `converted` is
            then left out.
        num_windows: stretches of text.
        on_stage: told which rung is climbed.
    """
    config = checkpoint.config
    windows = text_windows(checkpoint.tokenizer, _window_length(config, contract), num_windows)
    rungs: list[Rung] = []
    weights = _own_weights(checkpoint)
    if weights is not None:
        rungs.append(_weight_rung(stored, weights))
    on_stage("checking: torch with the package's weights")
    same = walk(TorchBackend(_network(config, stored.weights)), windows)
    on_stage("checking: the network for the Neural Engine")
    ane = walk(CoreMLBackend(network, contract, config), windows)
    rungs.append(_rung("network", "Neural Engine layout, torch", ane, same, _NETWORK_THRESHOLD))
    if plain is not rounding:
        on_stage("checking: the package")
        found = walk(CoreMLBackend(plain, contract, config), windows)
        rungs.append(_rung("converted", "package, torch with its weights", found, same, _CONVERTED_THRESHOLD))
    on_stage("checking: the package in fp16")
    rounded = walk(CoreMLBackend(rounding, contract, config), windows)
    rungs.append(_rung("rounded", "package in fp16, torch with its weights", rounded, same, _ROUNDED_THRESHOLD))
    on_stage("checking: trees and rewinding")
    loose = _ROUNDED_THRESHOLD if plain is rounding else _SAME_THRESHOLD
    backend = CoreMLBackend(plain, contract, config)
    rungs.append(_rung("tree", "tree, its branches", *_trees(backend, windows), loose))
    rungs.append(_rung("rewind", "rewound, fresh", *_rewinds(backend, windows), loose))
    if weights is not None:
        on_stage("checking: the checkpoint's own weights")
        own = walk(TorchBackend(_network(config, weights)), windows)
        threshold = _TEXT_THRESHOLDS[min(stored.bits.values())]
        rungs.append(_rung("text", "package in fp16, checkpoint", rounded, own, threshold, is_mean=True))
    return tuple(rungs)


def require_passed(path: Path, rungs: Sequence[Rung]) -> None:
    """Raise unless every rung is within its threshold.

    Raises:
        PackageError: the first that is not.
    """
    for rung in rungs:
        if not rung.is_passed:
            raise PackageError(
                f"{path}: fails at '{rung.name}' ({rung.compares}): error {rung.error:.3g}, allowed "
                f"{rung.threshold:.3g}; do not use it, and report this"
            )


class AneRunner:
    """`AneModel` in PyTorch, driven like a package.

    Args:
        config: the network's shape.
        stored: its weights.
        contract: functions and slots.
        shrink: see `AneModel`.
        is_scaled: its norms; see `AneModel`.
    """

    name = "ane_model"

    def __init__(
        self,
        config: ModelConfig,
        stored: PackageWeights,
        contract: Contract,
        shrink: float = 1.0,
        is_scaled: bool = False,
    ) -> None:
        self._num_tokens = {entry.name: entry.num_tokens for entry in contract.entries}
        self._model = AneModel(config, contract.num_slots, stored.num_head_parts, shrink, is_scaled=is_scaled).eval()
        self._model.load({name: torch.from_numpy(value) for name, value in stored.weights.items()})

    @torch.no_grad()
    def run(self, function: str, inputs: Mapping[str, NDArray[Any]]) -> Rows:
        """Run a function; see `keyboard_lm_coreml.execute.runners.Runner`."""
        self._model.set_num_tokens(self._num_tokens[function])
        arrays = {
            name: torch.from_numpy(value.astype(np.float32) if value.dtype == np.float16 else value)
            for name, value in inputs.items()
        }
        logits: Rows = self._model(**arrays)[0].numpy()  # (R, V)
        return logits


def text_windows(tokenizer: Tokenizer, length: int, num_windows: int = _NUM_WINDOWS) -> list[list[int]]:
    """Return stretches of the evaluation texts that ship, from each in turn."""
    streams = []
    for text in shipped_texts():
        ids: list[int] = []
        for messages in text.documents:
            ids += [tokenizer.bos_id, *(i for message in messages for i in tokenizer.encode_message(message))]
            if len(ids) >= length * (num_windows // 4 + 1):
                break
        streams.append(ids)
    windows = []
    for number in range(num_windows):
        stream, start = streams[number % len(streams)], number // len(streams) * length
        windows.append((stream[start:] + stream)[:length])
    return windows


def walk(backend: Backend, windows: Sequence[Sequence[int]]) -> Rows:
    """Return logits along each window, (P, V): after a prefill, after each single token, of a tree in between."""
    rows: list[Rows] = []
    for number, window in enumerate(windows):
        first = min(_PREFILLS[number % len(_PREFILLS)], len(window) - 1)
        last = min(first + _NUM_DECODED, len(window))
        rows.append(backend.prefill(window[:first])[None])
        for place in range(first, last):
            if place == first + _NUM_DECODED // 2:
                rows.append(backend.score_tree(_tree_tokens(window), _TREE))
            rows.append(backend.decode(window[place : place + 1])[None])
    return np.concatenate(rows)


def _trees(backend: Backend, windows: Sequence[Sequence[int]]) -> tuple[Rows, Rows]:
    found, wanted = [], []
    for number, window in enumerate(windows):
        place = min(_PREFILLS[number % len(_PREFILLS)], len(window) - 1)
        tokens = _tree_tokens(window)
        backend.prefill(window[:place])
        found.append(backend.score_tree(tokens, _TREE))
        for path in _paths(_TREE):
            backend.rewind(place)
            for node in path:
                row = backend.decode([tokens[node]])
            wanted.append(row[None])
    return np.concatenate(found), np.concatenate(wanted)


def _rewinds(backend: Backend, windows: Sequence[Sequence[int]]) -> tuple[Rows, Rows]:
    found, wanted = [], []
    for number, window in enumerate(windows):
        place = min(_PREFILLS[number % len(_PREFILLS)], len(window) - 1)
        backend.prefill(window[:place])
        backend.decode(_tree_tokens(window)[: len(window) - place])
        backend.rewind(place)
        found.append(backend.decode(window[place : place + 1])[None])
        wanted.append(backend.prefill(window[: place + 1])[None])
    return np.concatenate(found), np.concatenate(wanted)


def _paths(parents: Sequence[int]) -> Iterator[list[int]]:
    # The nodes from the root to each node.
    paths: list[list[int]] = []
    for node, parent in enumerate(parents):
        paths.append([*(paths[parent] if parent != ROOT else []), node])
    yield from paths


def _tree_tokens(window: Sequence[int]) -> list[int]:
    return [window[(7 * i + 3) % len(window)] for i in range(len(_TREE))]


def _window_length(config: ModelConfig, contract: Contract) -> int:
    return min(_WINDOW_TOKENS, min(config.max_context_length, contract.num_slots) - len(_TREE))


def _own_weights(checkpoint: Checkpoint) -> dict[str, NDArray[np.float32]] | None:
    if WEIGHTS_FILE not in checkpoint.files:
        return None
    return {name: value.astype(np.float32) for name, value in checkpoint.weights().items()}


def _network(config: ModelConfig, weights: Mapping[str, NDArray[np.float32]]) -> OpenELM:
    with torch.device("meta"):
        model = OpenELM(config)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()}, assign=True)
    return model.eval()


def _weight_rung(stored: PackageWeights, weights: Mapping[str, NDArray[np.float32]]) -> Rung:
    # The matrix that is nearest to its threshold, or farthest over it.
    worst = (-1.0, 0.0, 0.0)
    for name, own in weights.items():
        threshold = _WEIGHT_THRESHOLDS[stored.bits.get(name, 16)]
        error = float(np.linalg.norm(stored.weights[name] - own) / max(float(np.linalg.norm(own)), 1e-30))
        share = error / threshold if np.isfinite(error) else np.inf
        worst = max(worst, (share, error, threshold))
    return Rung("weights", "package, checkpoint", worst[1], worst[2], None, None, len(weights))


def _rung(name: str, compares: str, found: Rows, wanted: Rows, threshold: float, is_mean: bool = False) -> Rung:
    errors = np.sqrt(np.square(found - wanted).mean(-1)) / np.maximum(wanted.std(-1), 1e-30)  # (P,)
    error = float(errors.mean() if is_mean else errors.max())
    top1 = float((found.argmax(-1) == wanted.argmax(-1)).mean())
    three, others = _first_three(found), _first_three(wanted)  # (P, 3)
    top3 = float((three[:, :, None] == others[:, None]).any(-1).mean())
    return Rung(name, compares, error, threshold, top1, top3, len(found))


def _first_three(rows: Rows) -> NDArray[np.intp]:
    best: NDArray[np.intp] = np.argpartition(rows, -3, axis=-1)[:, -3:]
    return best
