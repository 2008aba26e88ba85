"""Cases of the whole keyboard on the network's own weights, in fp32, and of what its Core ML package is asked."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from keyboard_lm.backends.protocol import Backend, Logits
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.config import ModelConfig

from . import network_laws, session_laws
from .comparison import FIRM, differs

Case = dict[str, Any]
DISTURBANCE = 1e-3  # nats: twice what two engines may differ by in a logit
_NUM_KEYS = 2000
_NUM_CALLS = 300


class Disturbed:
    """A network whose every logit is off by up to `DISTURBANCE`; all else is as it is.

    Args:
        network: to be disturbed.
        seed: of what is added: to each piece always the same.
    """

    def __init__(self, network: Backend, seed: int = 0) -> None:
        self.config, self.name, self.capacity, self.rewind = (
            network.config,
            "disturbed",
            network.capacity,
            network.rewind,
        )
        self._network = network
        noise = np.random.default_rng(seed).uniform(-DISTURBANCE, DISTURBANCE, network.config.vocab_size)
        self._noise = noise.astype(np.float32)  # (V,)

    @property
    def length(self) -> int:
        return self._network.length

    def prefill(self, token_ids: Sequence[int]) -> Logits:
        return self._network.prefill(token_ids) + self._noise

    def decode(self, token_ids: Sequence[int]) -> Logits:
        return self._network.decode(token_ids) + self._noise

    def score_tree(self, token_ids: Sequence[int], parents: Sequence[int]) -> Logits:
        return self._network.score_tree(token_ids, parents) + self._noise


def bars(checkpoint: Checkpoint, messages: Sequence[str]) -> Iterator[Case]:
    """Yield events of one session after another, as `session_laws.told` has them, and whether what follows is firm."""
    from keyboard_lm.backends.torch import TorchBackend

    network = TorchBackend.load(checkpoint)
    session = session_laws.opened(network, session_laws.new_store())
    disturbed = session_laws.opened(Disturbed(network.another()), session_laws.new_store())
    for event in islice(session_laws.events(session, messages, random.Random(11)), _NUM_KEYS):
        case, other = session_laws.told(session, event), session_laws.told(disturbed, event)
        yield {**case, FIRM: differs(case, other, tolerance=1.0) is None}


class _Recorder:
    """A package that says nothing and remembers what it was asked."""

    name = "recorder"

    def __init__(self, vocab_size: int, rope: np.ndarray) -> None:
        self.calls: list[Case] = []
        self._vocab_size = vocab_size
        self._place_of = {row.tobytes(): place for place, row in enumerate(rope)}

    def run(self, function: str, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        from keyboard_lm_coreml.package import names

        is_seen = (inputs[names.MASK][0, 0] == 0).astype(np.uint8)  # (T, S)
        assert np.all((inputs[names.MASK] == 0) | (inputs[names.MASK] == np.float16(names.MASKED)))
        self.calls.append(
            {
                "function": function,
                "ids": inputs[names.TOKEN_IDS][0].tolist(),
                "position": int(inputs[names.POSITION][0]),
                "turned_as": [self._place_of[row.tobytes()] for row in inputs[names.ROPE]],
                "seen": hashlib.sha256(is_seen.tobytes()).hexdigest(),
                "row": inputs[names.ROW][0, 0].astype(int).tolist() if names.ROW in inputs else None,
            }
        )
        return np.zeros((1 if names.ROW in inputs else is_seen.shape[0], self._vocab_size), np.float32)


def runner(config: ModelConfig) -> Iterator[Case]:
    """Yield what a backend is asked, one thing after another, and what it asks its package for that.

    The package has the functions and the slots of an export with the options that it has by itself.
    """
    from keyboard_lm_coreml.execute.backend import CoreMLBackend, rope_rows
    from keyboard_lm_coreml.export.export import ExportOptions, plan_contract

    contract = plan_contract(config, ExportOptions())
    recorder = _Recorder(config.vocab_size, rope_rows(config, contract.num_slots))
    backend = CoreMLBackend(recorder, contract, config)
    yield {
        "functions": [[each.name, each.num_tokens, each.is_prefill] for each in contract.entries],
        "slots": contract.num_slots,
    }
    rng = random.Random(12)
    for _ in range(_NUM_CALLS):
        room = backend.capacity - backend.length
        ids = rng.choices(range(config.vocab_size), k=min(rng.choice((1, 2, 7, 8, 9, 15, 16, 17, 40, 70)), room))
        asked: Case = {"do": rng.choice(("prefill", "decode", "decode", "score_tree", "rewind")), "ids": ids}
        if asked["do"] == "rewind" or not ids:
            asked = {"do": "rewind", "length": rng.randint(0, backend.length)}
            backend.rewind(asked["length"])
        elif asked["do"] == "score_tree":
            asked["parents"] = [rng.randint(-1, node - 1) for node in range(len(ids))]
            backend.score_tree(ids, asked["parents"])
        else:
            getattr(backend, asked["do"])(ids)
        yield {**asked, "calls": recorder.calls[:], "length": backend.length}
        del recorder.calls[:]


def package(checkpoint: Checkpoint, messages: Sequence[str]) -> Iterator[Case]:
    """Yield ids and trees, with what the package of an export says of them where every operation is rounded to fp16.

    It has the functions that a key takes; those of an export's others compute the same. A phone that keeps fp16 between
    operations gives these logits but for how it rounds inside one.
    """
    from keyboard_lm_coreml.execute.backend import CoreMLBackend
    from keyboard_lm_coreml.execute.runners import ExecutorRunner
    from keyboard_lm_coreml.export.export import ExportOptions, plan_contract, write_package
    from keyboard_lm_coreml.package.package import Package

    options = ExportOptions(functions=("decode", "tree8"))
    with TemporaryDirectory() as folder:
        path = Path(folder, "keyboard-lm.mlpackage")
        write_package(checkpoint, path, options)
        runner = ExecutorRunner(Package(path), is_rounding=True)
        backend = CoreMLBackend(runner, plan_contract(checkpoint.config, options), checkpoint.config)
        for ids, tree, parents in network_laws.questions(checkpoint, messages):
            rows = np.stack((backend.prefill(ids), *backend.score_tree(tree, parents)))  # (1 + N, V)
            yield {"ids": ids, "tree": tree, "parents": parents, "after": [network_laws.said(row) for row in rows]}
