"""A folder that a browser could load: the tiny model, and a runtime that is there in name only."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from keyboard_lm.export import web_runtime
from keyboard_lm.export.web import export_web
from keyboard_lm.network.checkpoint import Checkpoint

FAKE = {name: f"not {name}".encode() for name in web_runtime.SHA256}


@pytest.fixture(scope="session")
def fake_runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runtime")
    for name, content in FAKE.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="session")
def fake_digests() -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in FAKE.items()}


@pytest.fixture(scope="session")
def web_folder(
    tiny_checkpoint: Path, fake_runtime: Path, fake_digests: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What `export-web` writes for the tiny model."""
    pytest.importorskip("onnx")
    output = tmp_path_factory.mktemp("web") / "page"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web_runtime, "SHA256", fake_digests)
        export_web(Checkpoint.load(tiny_checkpoint), output, runtime=fake_runtime)
    return output
