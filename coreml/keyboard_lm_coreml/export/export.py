"""From a checkpoint to a bundle that has been run and compared before it gets its name."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from keyboard_lm.backends.torch import load_model
from keyboard_lm.errors import ConfigError
from keyboard_lm.files import replaced_folder
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.config import ModelConfig
from keyboard_lm_coreml.check.ladder import Rung, check_package, require_passed
from keyboard_lm_coreml.convert.activations import Activations, measure
from keyboard_lm_coreml.convert.ane_model import AXIS_LIMIT
from keyboard_lm_coreml.convert.convert import convert, import_coremltools
from keyboard_lm_coreml.convert.recipe import Recipe, shipped_recipe
from keyboard_lm_coreml.convert.stored import StoredWeights, store_weights
from keyboard_lm_coreml.export.bundle import MANIFEST_FILE, PACKAGE_NAME, write_companions, write_manifest
from keyboard_lm_coreml.export.describe import describe
from keyboard_lm_coreml.package import names
from keyboard_lm_coreml.package.contract import Contract, Entry

TARGETS = ("iOS18",)
FUNCTIONS = ("decode", "tree8", "prefill16", "prefill64")
SLOT_MULTIPLE = 32  # a state whose axes are not multiples of this leaves the Neural Engine
_DEFAULT_CONTEXT = 512
_MAX_FUNCTION_TOKENS = 256
_LARGEST = 4096.0  # activations above this are scaled down: fp16 ends at 65,504, and sums have to fit as well


@dataclass(frozen=True)
class ExportOptions:
    """What to export.

    Attributes:
        recipe: how weights are stored.
        num_slots: S of the state; None for the network's context with room for the longest function behind it.
        functions: names of the functions, see `names.function_name`.
        target: the oldest system that has to run it.
        is_head_split: cut a tied table that is over the Neural Engine's axis limit into parts.
    """

    recipe: Recipe = field(default_factory=lambda: shipped_recipe(4))
    num_slots: int | None = None
    functions: tuple[str, ...] = FUNCTIONS
    target: str = TARGETS[0]
    is_head_split: bool = False


@dataclass(frozen=True)
class ExportReport:
    """What was written.

    Attributes:
        folder: the bundle.
        package_bytes: of the package in it.
        bundle_bytes: of all files.
        recipe: the recipe's name.
        num_slots: S.
        functions: names of the functions.
        seconds: that it took, checks included.
        rungs: how the package did; see `parity`.
    """

    folder: Path
    package_bytes: int
    bundle_bytes: int
    recipe: str
    num_slots: int
    functions: tuple[str, ...]
    seconds: float
    rungs: tuple[Rung, ...]


def export_bundle(
    checkpoint: Checkpoint,
    folder: Path,
    options: ExportOptions | None = None,
    on_stage: Callable[[str], None] = lambda _: None,
) -> ExportReport:
    """Export a checkpoint, check the package, and give the bundle its name; a bundle of that name is replaced.

    Args:
        checkpoint: with weights.
        folder: the bundle to write.
        options: what to export.
        on_stage: told what is being done.

    Raises:
        ConfigError: the options do not fit the network or the target.
        CheckpointError: the weights are missing or damaged, or the folder cannot be written.
        PackageError: the package does not compute what it should, or coremltools fails.
        MissingExtraError: coremltools is not installed.
    """
    began = time.perf_counter()
    options = options or ExportOptions()
    contract = plan_contract(checkpoint.config, options)
    head_parts(checkpoint.config, options.is_head_split)
    check_place(folder)
    import_coremltools()
    with replaced_folder(folder) as draft:
        package = draft / PACKAGE_NAME
        write_package(checkpoint, package, options, on_stage)
        rungs = check_package(package, checkpoint, on_stage=on_stage)
        require_passed(folder, rungs)
        on_stage("writing the bundle")
        write_companions(draft, checkpoint)
        write_manifest(draft, checkpoint, contract, options.recipe, options.target)
    return ExportReport(
        folder, num_bytes(folder / PACKAGE_NAME), num_bytes(folder), options.recipe.name, contract.num_slots,
        tuple(entry.name for entry in contract.entries), time.perf_counter() - began, rungs,
    )  # fmt: skip


def write_package(
    checkpoint: Checkpoint, package: Path, options: ExportOptions, on_stage: Callable[[str], None] = lambda _: None
) -> None:
    """Write a checkpoint's package into an existing folder; whether it computes what it should is not looked at.

    Args:
        checkpoint: with weights.
        package: to be written.
        options: what to export.
        on_stage: told what is being done.

    Raises:
        ConfigError: the options do not fit the network or the target.
        CheckpointError: the weights are missing or damaged.
        PackageError: coremltools fails.
        MissingExtraError: coremltools is not installed.
    """
    contract = plan_contract(checkpoint.config, options)
    num_parts = head_parts(checkpoint.config, options.is_head_split)
    stored, shrink = prepared(checkpoint, options.recipe, num_parts, on_stage)
    with tempfile.TemporaryDirectory(dir=package.parent) as scratch:
        convert(checkpoint.config, stored, contract, package, Path(scratch), num_parts, shrink, on_stage)
    describe(package, checkpoint, contract, options.recipe, options.target)


def prepared(
    checkpoint: Checkpoint, recipe: Recipe, num_parts: int, on_stage: Callable[[str], None]
) -> tuple[StoredWeights, float]:
    """Return a checkpoint's weights as a recipe stores them, and what its activations are divided by to fit fp16.

    Args:
        checkpoint: with weights.
        recipe: how weights are stored.
        num_parts: into how many parts the tied table is cut.
        on_stage: told what is being done.

    Raises:
        CheckpointError: the weights are missing or damaged.
    """
    on_stage("reading the checkpoint")
    activations = look(checkpoint, on_stage)
    on_stage(f"storing weights by {recipe.name}")
    stored = store_weights(checkpoint.config, checkpoint.weights(), recipe, activations, num_parts)
    return stored, shrink_for(activations.largest)


def plan_contract(config: ModelConfig, options: ExportOptions) -> Contract:
    """Return the functions and slots that the options mean for a network.

    Raises:
        ConfigError: the target is unknown, a function has no known name, one for single tokens is missing, or the
            slots or the network's heads do not suit the Neural Engine.
    """
    if options.target not in TARGETS:
        raise ConfigError(f"unknown target {options.target!r}; choose {', '.join(TARGETS)}")
    entries = [_entry(name) for name in dict.fromkeys(options.functions)]
    if not any(entry.num_tokens == 1 for entry in entries):
        raise ConfigError("the functions need 'decode', which takes a single token")
    entries.sort(key=lambda entry: (entry.num_tokens, entry.is_prefill))
    longest = entries[-1].num_tokens
    if options.num_slots is None:
        context = min(config.max_context_length, _DEFAULT_CONTEXT)
        num_slots = -(-(context + longest) // SLOT_MULTIPLE) * SLOT_MULTIPLE
    else:
        num_slots = options.num_slots
    if num_slots < 1 or num_slots % SLOT_MULTIPLE:
        nearest = max(1, round(num_slots / SLOT_MULTIPLE)) * SLOT_MULTIPLE
        raise ConfigError(
            f"a context of {num_slots} slots is no multiple of {SLOT_MULTIPLE}, which the Neural Engine needs; "
            f"choose {nearest}"
        )
    if num_slots < longest:
        raise ConfigError(f"a context of {num_slots} slots has no room for {entries[-1].name}; choose a longer one")
    if num_slots > AXIS_LIMIT:
        raise ConfigError(f"a context of {num_slots} slots is over the Neural Engine's limit of {AXIS_LIMIT}")
    if config.head_dim % SLOT_MULTIPLE:
        raise ConfigError(
            f"heads of width {config.head_dim} are no multiple of {SLOT_MULTIPLE}, which the Neural Engine needs for "
            "the state; train a size with another head_dim"
        )
    return Contract(tuple(entries), num_slots)


def head_parts(config: ModelConfig, is_head_split: bool) -> int:
    """Return into how many parts the tied table is cut.

    Raises:
        ConfigError: it is over the axis limit and may not be cut.
    """
    num_parts = -(-config.vocab_size // AXIS_LIMIT)
    if num_parts > 1 and not is_head_split:
        raise ConfigError(
            f"a vocabulary of {config.vocab_size} is over the Neural Engine's axis limit of {AXIS_LIMIT}; add "
            "--split-head, which cuts the table into parts"
        )
    return num_parts


def shrink_for(largest: float) -> float:
    """Return the power of two that brings activations as large as `largest` well inside fp16."""
    shrink = 1.0
    while largest / shrink > _LARGEST:
        shrink *= 2
    return shrink


def _entry(name: str) -> Entry:
    tokens = names.num_tokens(name)
    if tokens is None or tokens > _MAX_FUNCTION_TOKENS or names.function_name(tokens, name.startswith("p")) != name:
        raise ConfigError(
            f"no function {name!r}; choose decode, tree8, prefill64 or other numbers of tokens from 2 to "
            f"{_MAX_FUNCTION_TOKENS}"
        )
    return Entry(name, tokens, name.startswith("prefill"))


def look(checkpoint: Checkpoint, on_stage: Callable[[str], None]) -> Activations:
    """Return what a network's activations look like on text that it samples from itself."""
    model = load_model(checkpoint)
    on_stage("looking at its activations")
    return measure(model, checkpoint.tokenizer.bos_id)


def check_place(folder: Path) -> None:
    """Raise if a bundle may not be written there: only what an export wrote is replaced.

    Raises:
        ConfigError: something else is there.
    """
    if folder.exists() and not (folder / MANIFEST_FILE).is_file() and not _is_empty(folder):
        raise ConfigError(f"{folder}: exists and is no bundle of an earlier export; choose another folder")


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def num_bytes(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
