"""Core AI as a second opinion on a Core ML package, and the ladder of an asset of its own.

Core AI has a format of its own and cannot read a Core ML package; asked about one, it runs the network for the Neural
Engine with the package's weights in fp32, exported by `torch.export` and converted by Apple's `coreai-torch`, whose
wheels have the runtime for Linux as well. So the network, the state and the weights are checked by code of which
nothing is this project's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.config import ModelConfig
from keyboard_lm_coreml.check.ladder import AneRunner, Rung, climb
from keyboard_lm_coreml.check.package_weights import PackageWeights
from keyboard_lm_coreml.convert.core_ai import convert_asset
from keyboard_lm_coreml.execute.core_ai import CoreAIRunner
from keyboard_lm_coreml.package.asset import read_asset, read_asset_contract
from keyboard_lm_coreml.package.contract import Contract

_NUM_WINDOWS = 4  # its runtime on Linux unfolds every table at every call: half a second a token


@contextmanager
def second_runner(config: ModelConfig, stored: PackageWeights, contract: Contract) -> Iterator[CoreAIRunner]:
    """Convert a package's network for Core AI and yield what runs it.

    Args:
        config: the network's shape.
        stored: the package's weights.
        contract: its functions; each takes some seconds.

    Raises:
        MissingExtraError: the wheels are not installed.
        KeyboardLMError: they are of other versions.
        PackageError: they cannot convert or load the network.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.aimodel"
        convert_asset(
            config, stored.weights, {}, contract, path, num_head_parts=stored.num_head_parts, is_half=False
        )  # fmt: skip
        runner = CoreAIRunner(path, contract, config)
        try:
            yield runner
        finally:
            runner.close()


def check_asset(
    path: Path,
    checkpoint: Checkpoint,
    stored: PackageWeights,
    shrink: float = 1.0,
    on_stage: Callable[[str], None] = lambda _: None,
) -> tuple[Rung, ...]:
    """Climb the ladder with an asset, run by Apple's runtime.

    Args:
        path: the asset.
        checkpoint: what it was made from.
        stored: the weights that were put into it.
        shrink: see `AneModel`.
        on_stage: told which rung is climbed.

    Raises:
        MissingExtraError: coreai-core is not installed.
        KeyboardLMError: it is of another version.
        PackageError: the asset is damaged or another checkpoint's, or cannot be run.
    """
    asset = read_asset(path)
    contract = read_asset_contract(asset, checkpoint)
    runner = CoreAIRunner(path, contract, checkpoint.config)
    try:
        network = AneRunner(checkpoint.config, stored, contract, shrink, is_scaled=True)
        return climb(checkpoint, contract, stored, network, runner, runner, _NUM_WINDOWS, on_stage)
    finally:
        runner.close()
