"""What is known of a Core AI asset: what it stores, what it computes, and what Apple's runtime takes for it here.

There is no estimate of a device's time: the cost model is fitted to published latencies, and none is of this format.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm_coreml.execute.backend import CoreMLBackend
from keyboard_lm_coreml.execute.core_ai import CoreAIRunner
from keyboard_lm_coreml.package.asset import find_asset, read_asset, read_asset_contract
from keyboard_lm_coreml.package.core_ai_versions import CORE, require_core_ai

_CALLS = 5


@dataclass(frozen=True)
class AssetProfile:
    """An asset, seen from outside.

    Attributes:
        path: the asset.
        producer: what wrote it.
        recipe: how its weights are stored.
        num_bytes: of all files.
        num_slots: S of the state.
        functions: their names.
        stored: how many numbers of each type the program stores, the most first.
        operations: how many operations of each kind its functions hold together, the most first.
        load_ms: what Apple's runtime takes to load it and one function, here; None where that was not asked for.
        step_ms: and for one token, the median of some calls.
    """

    path: Path
    producer: str
    recipe: str
    num_bytes: int
    num_slots: int
    functions: tuple[str, ...]
    stored: tuple[tuple[str, int], ...]
    operations: tuple[tuple[str, int], ...]
    load_ms: float | None = None
    step_ms: float | None = None


def profile_asset(place: Path, is_measured: bool = False) -> AssetProfile:
    """Describe an asset that lies in a bundle.

    Args:
        place: the asset or its bundle.
        is_measured: run it as well.

    Raises:
        PackageError: it is missing, damaged, or no keyboard's.
        CheckpointError: there is no bundle around it.
        MissingExtraError: coreai-core is not installed.
        KeyboardLMError: it is of another version.
    """
    path = find_asset(place)
    asset = read_asset(path)
    checkpoint = Checkpoint.load(path)
    contract = read_asset_contract(asset, checkpoint)
    require_core_ai(CORE)
    from coreai.authoring import AIModelAsset

    summary = AIModelAsset.load(path).summary()
    load_ms = step_ms = None
    if is_measured:
        began = time.perf_counter()
        runner = CoreAIRunner(path, contract, checkpoint.config)
        backend = CoreMLBackend(runner, contract, checkpoint.config)
        backend.prefill([checkpoint.tokenizer.bos_id])  # loads the function
        load_ms = 1e3 * (time.perf_counter() - began)
        times = []
        for _ in range(_CALLS):
            began = time.perf_counter()
            backend.prefill([checkpoint.tokenizer.bos_id])
            times.append(1e3 * (time.perf_counter() - began))
        step_ms = statistics.median(times)
        runner.close()
    return AssetProfile(
        path, asset.producer, asset.custom.get("recipe", ""), asset.num_bytes, contract.num_slots,
        tuple(entry.name for entry in contract.entries), tuple(summary.storage_types),
        tuple(summary.operation_distribution), load_ms, step_ms,
    )  # fmt: skip
