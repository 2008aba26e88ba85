"""What coreai-core and coreai-torch do that this project counts on; a version that behaves otherwise is named here.

These run with whatever version is installed. Where one fails, coreml/README.md ("Core AI") says what it is about.
Try the export, then move the pin in `keyboard_lm_coreml.package.core_ai_versions` and in pyproject.toml.
"""

from __future__ import annotations

import asyncio
import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coreai.authoring", reason="Core AI's wheels are not installed")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    coreai_torch = pytest.importorskip("coreai_torch", reason="Core AI's wheels are not installed")
    importlib.import_module("coreai_torch._compression.custom_layers")  # registers lut_to_dense

from coreai.runtime import NDArray  # noqa: E402
from keyboard_lm_coreml.package.core_ai_versions import PINNED, installed_version  # noqa: E402


class Counter(torch.nn.Module):
    """Adds its input to a state and returns the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(1, 4))

    def forward(self, x: Any) -> Any:
        self.total[:, :] = self.total + x
        return self.total * 1.0


class Looked(torch.nn.Module):
    """A matrix product with a weight in a look-up table."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        codes = torch.randint(0, 1 << bits, (4, 16), generator=generator, dtype=torch.uint8)
        self.register_buffer("indices", codes)
        self.register_buffer("lut", torch.randn(2, 1, 1 << bits, 1, generator=generator))

    def forward(self, x: Any) -> Any:
        return x @ torch.ops.coreai.lut_to_dense(self.indices, self.lut, 0).T


def converted(model: Any, inputs: tuple[Any, ...], states: list[str], path: Path, mode: Any = None) -> Any:
    """Convert a module as the project does and return the saved asset."""
    exported = torch.export.export(model.eval(), inputs).run_decompositions(coreai_torch.get_decomp_table())
    modes = coreai_torch.TorchConverter.Mode
    converter = coreai_torch.TorchConverter(mode=mode or modes.RELEASE)
    converter.add_exported_program(
        exported, input_names=["x"], output_names=["y"], state_names=states, entrypoint_name="main"
    )
    return converter.to_coreai().save_asset(path)


def called(asset: Any, inputs: list[Any], state: dict[str, Any]) -> list[Any]:
    """Run an asset's function on each input in turn."""

    async def run() -> list[Any]:
        async with asset.executable() as model:
            function = model.load_function("main")
            return [(await function({"x": NDArray(x)}, state))["y"].numpy().copy() for x in inputs]

    return asyncio.run(run())


def test_the_installed_versions_are_the_pinned_ones():
    found = {package: installed_version(package) for package in PINNED}
    assert found == dict(PINNED), "run this file's other tests, then move the pin"


def test_a_buffer_becomes_a_state_without_a_further_call(tmp_path):
    # 1.0.0b1 and 1.0.0b2 make it an input and an output, unless program.optimize() is called, and say nothing.
    asset = converted(Counter(), (torch.zeros(1, 4),), ["total"], tmp_path / "a.aimodel")
    assert [name for name, _ in asset.summary().function_inputs("main")] == ["x"]
    state = {"total": NDArray(np.zeros((1, 4), np.float32))}
    one = np.ones((1, 4), np.float32)
    assert [row[0, 0] for row in called(asset, [one, one, one], state)] == [1, 2, 3]


def test_a_file_of_that_name_is_replaced(tmp_path):
    # 1.0.0b1 refuses, after it has made the folder.
    for _ in range(2):
        converted(Counter(), (torch.zeros(1, 4),), ["total"], tmp_path / "a.aimodel")


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8])
def test_indices_are_stored_packed_and_read_back(tmp_path, bits):
    model = Looked(bits)
    asset = converted(model, (torch.zeros(1, 16),), [], tmp_path / "a.aimodel")
    assert dict(asset.summary().storage_types)[f"UInt{bits}"] >= 64
    x = np.random.default_rng(0).normal(size=(1, 16)).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(called(asset, [x], {})[0], expected, atol=1e-5)


def test_indices_of_three_bits_cannot_be_packed(tmp_path):
    with pytest.raises(ValueError, match="nbits=3"):
        converted(Looked(3), (torch.zeros(1, 16),), [], tmp_path / "a.aimodel")


def test_only_the_default_mode_writes_source_paths(tmp_path):
    for mode, has_path in (("RELEASE", False), ("DEBUG", True)):
        path = tmp_path / f"{mode}.aimodel"
        converted(Counter(), (torch.zeros(1, 4),), ["total"], path, coreai_torch.TorchConverter.Mode[mode])
        assert (Path(__file__).name.encode() in (path / "main.mlirb").read_bytes()) == has_path


def test_the_hash_is_of_the_program(tmp_path):
    import hashlib

    path = tmp_path / "a.aimodel"
    converted(Counter(), (torch.zeros(1, 4),), ["total"], path)
    assert (path / "main.hash").read_bytes() == hashlib.sha256((path / "main.mlirb").read_bytes()).digest()


def test_a_mean_of_squares_is_computed_in_its_own_precision(tmp_path):
    # Why norms divide by their largest value: nothing is fused, and fp16 ends at 65,504.
    class MeanSquare(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return (x * x).mean(dim=1, keepdim=True)

    asset = converted(MeanSquare(), (torch.zeros(1, 8).half(),), [], tmp_path / "a.aimodel")
    assert np.isinf(called(asset, [np.full((1, 8), 300, np.float16)], {})[0]).all()


def test_an_input_of_another_type_is_refused_and_a_negative_row_is_not(tmp_path):
    class Rows(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(10, 4)

        def forward(self, x: Any) -> Any:
            return self.table(x) * 1.0

    model = Rows()
    asset = converted(model, (torch.zeros(1, 2, dtype=torch.int32),), [], tmp_path / "a.aimodel")
    with pytest.raises(RuntimeError, match="invalid scalar type: int64, expected: int32"):
        called(asset, [np.array([[1, 2]])], {})
    with pytest.raises(RuntimeError, match="out of range"):
        called(asset, [np.array([[1, 10]], np.int32)], {})
    found = called(asset, [np.array([[1, -1]], np.int32)], {})[0]  # why the backend looks at ids itself
    np.testing.assert_array_equal(found[0, 1], model.table.weight.detach().numpy()[9])


def test_a_state_is_a_copy_of_the_array_it_is_made_from(tmp_path):
    asset = converted(Counter(), (torch.zeros(1, 4),), ["total"], tmp_path / "a.aimodel")
    array = np.zeros((1, 4), np.float32)
    state = {"total": NDArray(array)}
    called(asset, [np.ones((1, 4), np.float32)], state)
    assert not array.any()
    assert state["total"].numpy().all()
