"""Writes `ios_demo/Model/` anew: `make ios-model`."""

from __future__ import annotations

from pathlib import Path

from keyboard_lm.export.pack import write_pack
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder

FOLDER = Path(__file__).parents[2] / "ios_demo" / "Model"


if __name__ == "__main__":
    write_pack(FOLDER, Checkpoint.load(bundled_folder()).config)
