"""Exported bundles that the tests of this folder share."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

import pytest

from keyboard_lm.network.checkpoint import Checkpoint

warnings.filterwarnings("ignore", module="coremltools")


class Exported(NamedTuple):
    """A bundle, the checkpoint it was made from, and the export's report."""

    folder: Path
    checkpoint: Checkpoint
    report: object


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, make_checkpoint) -> Exported:
    """A bundle of the tiny network at 4 bits with three functions; shared, so it is not to be changed."""
    pytest.importorskip("coremltools")
    from keyboard_lm_coreml.export.export import ExportOptions, export_bundle

    folder = tmp_path_factory.mktemp("coreml")
    checkpoint = make_checkpoint(folder / "tiny")
    options = ExportOptions(num_slots=96, functions=("decode", "tree8", "prefill16"))
    return Exported(folder / "bundle", checkpoint, export_bundle(checkpoint, folder / "bundle", options))
