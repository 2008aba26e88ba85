"""What the app weighs, as `ios_demo/tools/size.py` counts it."""

from __future__ import annotations

import importlib.util
import shutil
from types import ModuleType

import pytest

from .conftest import ROOT


@pytest.fixture(scope="module")
def size() -> ModuleType:
    path = ROOT / "ios_demo" / "tools" / "size.py"
    spec = importlib.util.spec_from_file_location("ios_size", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_file_that_the_project_copies_is_counted(size: ModuleType) -> None:
    project = (ROOT / "ios_demo" / "KeyboardLMDemo.xcodeproj" / "project.pbxproj").read_text(encoding="utf-8")
    parts = size.resources(project)
    assert len(parts) == project.count(" in Resources */,") == 8
    assert parts["lexicon.bin"] == (ROOT / "ios_demo" / "Model" / "lexicon.bin").stat().st_size


@pytest.mark.usefixtures("ask")
def test_the_app_without_fp16_weights_is_within_its_limit(size: ModuleType) -> None:
    if shutil.which("size") is None:
        pytest.skip("the code is measured with `size`, of binutils")
    parts = size.payload(ROOT / "ios_demo" / ".build" / "release" / "KeyboardLM.build", None)
    package = 6_000_000  # more than an export of the bundled model takes
    assert sum(parts.values()) - parts[size.WEIGHTS] + package <= size.LIMIT
