"""A teacher that speaks another tokenizer: its folder, and its distribution over our pieces.

FOLDER/foreign.json            what it is made of, the mixture's weights, and the digest of all of it
FOLDER/weights.safetensors     the foreign network, in bf16
FOLDER/tokenizer.json          its tokenizer, as `tokenizers` writes it
FOLDER/projection.safetensors  which of its tokens begin where each of our pieces begins
FOLDER/own/                    a checkpoint of ours, for the places of which it knows nothing
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from keyboard_lm.errors import CheckpointError, MissingExtraError
from keyboard_lm.files import replaced_folder
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm_training.teach.llama import Llama, LlamaConfig
from keyboard_lm_training.teach.mixture import Mixture, MixturePlaces
from keyboard_lm_training.teach.native_text import NativeText
from keyboard_lm_training.teach.networks import load_network
from keyboard_lm_training.teach.projection import Projection
from keyboard_lm_training.teach.teacher_logits import TopLogits, top_logits

FOREIGN_FILE = "foreign.json"
FORMAT_VERSION = 1
_WEIGHTS_FILE, _TOKENIZER_FILE, _PROJECTION_FILE = "weights.safetensors", "tokenizer.json", "projection.safetensors"
_OWN_FOLDER = "own"
_WINDOWS = 32  # at once


@dataclass(frozen=True)
class ForeignTeacher:
    """The opened folder.

    Attributes:
        folder: where it lies.
        digest: SHA-256 over everything in it.
        own: our checkpoint; pieces, contexts and vocabulary are its.
        network_config: the foreign network's shape.
        bos_id: the foreign token in front of a text.
        weights: of the projected distribution by kind of place; ours has the rest.
        origin: what the foreign model says about itself, and how it was tuned.
    """

    folder: Path
    digest: str
    own: Checkpoint
    network_config: LlamaConfig
    bos_id: int
    weights: tuple[float, ...]
    origin: dict[str, Any]

    @property
    def tokenizer(self) -> Tokenizer:
        """The pieces that it foretells."""
        return self.own.tokenizer

    @property
    def config(self) -> ModelConfig:
        """The shape of our own network."""
        return self.own.config

    @property
    def flops_per_token(self) -> int:
        """Operations in matrix products for one token, of both networks."""
        return 2 * (self.network_config.num_parameters + self.own.config.num_parameters)

    @classmethod
    def load(cls, folder: Path) -> ForeignTeacher:
        """Read everything but the weights.

        Raises:
            CheckpointError: it is no such folder, or a damaged one.
        """
        path = folder / FOREIGN_FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            version = values["format_version"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path}: no teacher of another tokenizer here ({error})") from None
        if version != FORMAT_VERSION:
            raise CheckpointError(f"{path}: format {version}, but this version reads {FORMAT_VERSION}; make it again")
        try:
            config = LlamaConfig(**values["network"])
            weights = tuple(float(weight) for weight in values["mixture"])
            return cls(
                folder, str(values["digest"]), Checkpoint.load(folder / _OWN_FOLDER), config, int(values["bos_id"]),
                weights, dict(values["origin"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{path}: damaged ({type(error).__name__}: {error}); make the teacher again"
            ) from None

    def open(self, device: torch.device) -> RunningTeacher:
        """Return the teacher ready to run."""
        return RunningTeacher(self, device)


class RunningTeacher:
    """Both networks, the tables between them, and their mixture.

    Args:
        teacher: see `ForeignTeacher`.
        device: where the networks run.

    Raises:
        CheckpointError: a file is missing or damaged.
        MissingExtraError: `tokenizers` is not installed.
    """

    def __init__(self, teacher: ForeignTeacher, device: torch.device) -> None:
        try:
            tokenizers: Any = importlib.import_module("tokenizers")
        except ImportError:
            raise MissingExtraError("tokenizers", "teach") from None
        folder = teacher.folder
        try:
            weights = load_file(folder / _WEIGHTS_FILE)
            tables = load_file(folder / _PROJECTION_FILE)
            native = tokenizers.Tokenizer.from_file(str(folder / _TOKENIZER_FILE))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{folder}: cannot be read ({error}); make the teacher again") from None
        with torch.device("meta"):
            network = Llama(teacher.network_config)
        network.load_state_dict(weights, assign=True)
        text = NativeText(teacher.tokenizer, native, teacher.bos_id)
        projection = Projection.from_tensors(tables, teacher.config.vocab_size, teacher.network_config.vocab_size)
        self._places = MixturePlaces(
            network.requires_grad_(False).eval().to(device), load_network(teacher.own, device), text, projection
        )
        self._mixture = Mixture(teacher.weights)
        self._device_type = device.type

    @torch.no_grad()
    def top(self, windows: NDArray[np.int64], top_k: int, temperature: float) -> TopLogits:
        """Return the most probable next pieces of windows (B, T + 1): B x T positions."""
        parts: list[TopLogits] = []
        # Its own precision, whatever run asks: under a student's autocast the sparse tables would be taken in bf16.
        with torch.autocast(self._device_type, enabled=False):
            for first in range(0, len(windows), _WINDOWS):
                log_p = self._mixture.log_probabilities(self._places, windows[first : first + _WINDOWS])  # (B, T, V)
                parts.append(top_logits(log_p.flatten(0, 1), top_k, temperature))
        return TopLogits(*(torch.cat([getattr(p, name) for p in parts]) for name in ("ids", "log_q", "log_rest")))


def save_foreign_teacher(
    folder: Path,
    network: Llama,
    tokenizer: Any,
    bos_id: int,
    projection: Projection,
    own: Checkpoint,
    weights: Sequence[float],
    origin: dict[str, Any],
) -> ForeignTeacher:
    """Write a teacher's folder whole or not at all.

    Args:
        folder: to be made or replaced.
        network: the foreign network, tuned or not.
        tokenizer: its `tokenizers.Tokenizer`.
        bos_id: the token in front of a text.
        projection: which of its tokens begin where our pieces do.
        own: our checkpoint.
        weights: see `Mixture`.
        origin: for the record.
    """
    with replaced_folder(folder) as draft:
        narrow = {name: value.detach().to(torch.bfloat16).contiguous() for name, value in network.state_dict().items()}
        save_file(narrow, draft / _WEIGHTS_FILE)
        save_file(projection.tensors(), draft / _PROJECTION_FILE)
        tokenizer.save(str(draft / _TOKENIZER_FILE))
        shutil.copytree(own.folder, draft / _OWN_FOLDER, ignore=shutil.ignore_patterns("*.onnx", "*.mlpackage"))
        _unlist_graphs(draft / _OWN_FOLDER)
        values = {
            "format_version": FORMAT_VERSION,
            "network": dataclasses.asdict(network.config),
            "bos_id": bos_id,
            "mixture": [round(weight, 4) for weight in weights],
            "origin": origin,
            "own_digest": own.digest,
        }
        sha = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
        for name in (_WEIGHTS_FILE, _PROJECTION_FILE, _TOKENIZER_FILE):
            with (draft / name).open("rb") as file:
                sha.update(hashlib.file_digest(file, "sha256").digest())
        (draft / FOREIGN_FILE).write_text(json.dumps({**values, "digest": sha.hexdigest()}, indent=2) + "\n")
    return ForeignTeacher.load(folder)


def _unlist_graphs(folder: Path) -> None:
    # The copy has no graphs; its index must not name them.
    path = folder / "checkpoint.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    index["files"] = {name: entry for name, entry in index["files"].items() if (folder / name).is_file()}
    path.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def is_foreign(folder: Path) -> bool:
    """Return whether the folder is a teacher of another tokenizer."""
    return (folder / FOREIGN_FILE).is_file()
