"""From a checkpoint to a bundle in Core AI's format, which Apple's runtime has run before it gets its name."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from keyboard_lm import __version__
from keyboard_lm.files import replaced_folder
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm_coreml.check.core_ai import check_asset
from keyboard_lm_coreml.check.ladder import require_passed
from keyboard_lm_coreml.check.package_weights import PackageWeights
from keyboard_lm_coreml.convert.core_ai import convert_asset
from keyboard_lm_coreml.convert.recipe import UNCOMPRESSED_BITS
from keyboard_lm_coreml.export.bundle import ASSET_NAME, write_companions, write_manifest
from keyboard_lm_coreml.export.describe import LICENCE, sentence
from keyboard_lm_coreml.export.export import (
    ExportOptions,
    ExportReport,
    check_place,
    head_parts,
    num_bytes,
    plan_contract,
    prepared,
)  # fmt: skip
from keyboard_lm_coreml.package.asset import custom_metadata
from keyboard_lm_coreml.package.core_ai_versions import CONVERTER, CORE, PINNED, require_core_ai

TARGET = "iOS27"  # the first with Core AI


def export_asset_bundle(
    checkpoint: Checkpoint,
    folder: Path,
    options: ExportOptions | None = None,
    on_stage: Callable[[str], None] = lambda _: None,
) -> ExportReport:
    """Export a checkpoint for Core AI, run and compare it, and give the bundle its name; one of that name is replaced.

    Args:
        checkpoint: with weights.
        folder: the bundle to write.
        options: what to export; its target is Core ML's and not looked at.
        on_stage: told what is being done.

    Raises:
        ConfigError: the options do not fit the network.
        CheckpointError: the weights are missing or damaged.
        WriteError: the folder cannot be written.
        PackageError: the asset does not compute what it should, or the wheels fail.
        MissingExtraError: the wheels are not installed.
        KeyboardLMError: they are of other versions.
    """
    began = time.perf_counter()
    options = replace(options or ExportOptions(), target=ExportOptions.target)
    config = checkpoint.config
    contract = plan_contract(config, options)
    num_parts = head_parts(config, options.is_head_split)
    check_place(folder)
    require_core_ai(CORE, CONVERTER)
    stored, shrink = prepared(checkpoint, options.recipe, num_parts, on_stage)
    custom = custom_metadata(checkpoint, contract, options.recipe.name, f"{CONVERTER} {PINNED[CONVERTER]}")

    def about(metadata: Any) -> None:
        metadata.author, metadata.license = "keyboard-lm", LICENCE
        metadata.model_description = f"{sentence(config, contract)} keyboard-lm {__version__}."
        for key, value in custom.items():
            metadata.set_custom(key, value)

    with replaced_folder(folder) as draft:
        asset = draft / ASSET_NAME
        convert_asset(
            config, stored.snapped, stored.palettes, contract, asset, num_head_parts=num_parts, shrink=shrink,
            about=about, on_stage=on_stage,
        )  # fmt: skip
        bits = {}
        for name, weight in stored.snapped.items():
            rule = options.recipe.rule_for(name) if weight.ndim == 2 else None
            if weight.ndim == 2:
                bits[name] = rule.bits if rule else UNCOMPRESSED_BITS
        rungs = check_asset(asset, checkpoint, PackageWeights(stored.snapped, bits, num_parts), shrink, on_stage)
        require_passed(folder, rungs)
        on_stage("writing the bundle")
        write_companions(draft, checkpoint)
        write_manifest(draft, checkpoint, contract, options.recipe, TARGET, package=ASSET_NAME)
    return ExportReport(
        folder, num_bytes(folder / ASSET_NAME), num_bytes(folder), options.recipe.name, contract.num_slots,
        tuple(entry.name for entry in contract.entries), time.perf_counter() - began, rungs,
    )  # fmt: skip
