"""What a profile says of a package, against what is known of its network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from keyboard_lm_coreml.cost.profile import CPU, LOAD, NEURAL_ENGINE, placement, profile_function, profile_package
from keyboard_lm_coreml.package import names
from keyboard_lm_coreml.package.data_types import DataType
from keyboard_lm_coreml.package.package import Package, find_package
from keyboard_lm_coreml.package.program import Constant, Function, NamedType, Operation, TensorType

from keyboard_lm.cli import main
from keyboard_lm.device.budget import load_device
from keyboard_lm.device.cost_model import chips
from keyboard_lm.network.checkpoint import Checkpoint

FP16 = DataType("float16", 16, None)
INT32 = DataType("int32", 32, None)
CHIP = chips()["A15"]


@pytest.fixture(scope="module")
def bundle(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("coremltools")
    from keyboard_lm_coreml.convert.recipe import shipped_recipe
    from keyboard_lm_coreml.export.export import ExportOptions, export_bundle

    folder = tmp_path_factory.mktemp("profile") / "bundle"
    export_bundle(
        Checkpoint.load(tiny_checkpoint), folder, ExportOptions(shipped_recipe(8), functions=("decode", "tree4"))
    )
    return folder


def test_a_package_does_the_work_of_its_network(bundle: Path, tiny_checkpoint: Path) -> None:
    config = Checkpoint.load(tiny_checkpoint).config
    package = Package(find_package(bundle))
    decode, tree = profile_package(package, CHIP)
    matrices = (
        config.num_parameters
        - sum(2 * config.model_dim + 2 * config.head_dim for _ in range(config.num_transformer_layers))
        - config.model_dim
    )
    projections = sum(each.macs for each in decode.operations if each.kind in ("conv", "linear"))
    assert projections == matrices
    assert sum(each.macs for each in tree.operations if each.kind in ("conv", "linear")) == 4 * matrices
    slots = package.interfaces["decode"].states[0].shape[2]
    attention = sum(each.macs for each in decode.operations if each.kind == "matmul")
    assert attention == 2 * slots * config.head_dim * sum(config.num_query_heads)
    assert decode.num_dispatches == 1  # the CPU's part, looking up the token, comes before
    assert decode.num_layers == config.num_transformer_layers
    assert decode.state_bytes == slots * config.kv_bytes_per_token
    assert 0.9 * config.num_parameters < decode.weight_bytes < package.num_bytes
    assert decode.estimate.low_ms < decode.estimate.ms < tree.estimate.ms < tree.estimate.high_ms


def test_a_newer_chip_is_no_slower(bundle: Path) -> None:
    function = Package(find_package(bundle)).function("decode")
    times = [profile_function(function, load_device(name).chip).estimate.ms for name in ("iphone-12", "iphone-17-pro")]
    assert times[0] > times[1]


def function_of(kind: str, *outputs: TensorType, inputs: tuple[NamedType, ...] = ()) -> tuple[Function, Operation]:
    given = {"x": tuple(named.name for named in inputs)} if inputs else {}
    operation = Operation(
        0, kind, "it", given, tuple(NamedType(f"o{i}", kind) for i, kind in enumerate(outputs)), {}, 0
    )
    return Function("decode", "CoreML8", inputs, ("o0",), (operation,)), operation


@pytest.mark.parametrize(
    ("kind", "output", "reason"),
    [
        ("add", TensorType(FP16, (1, 8, 1, 4)), ""),
        ("add", TensorType(FP16, (1, 1, 1, 1, 2, 2)), "rank 6"),
        ("add", TensorType(FP16, (1, None)), "flexible"),
        ("linear", TensorType(FP16, (1, 32_000)), "axis over 16,384"),
        ("gather", TensorType(FP16, (1, 8)), "integer indices"),
        ("add", TensorType(INT32, (1, 8)), "integer arithmetic"),
    ],
)
def test_what_keeps_an_operation_off_the_neural_engine_is_named(kind: str, output: TensorType, reason: str) -> None:
    place, found = placement(*function_of(kind, output), CHIP)
    assert place == (CPU if reason else NEURAL_ENGINE)
    assert reason in found


def test_a_slice_of_the_mask_is_a_risk_on_chips_that_clamp() -> None:
    mask = NamedType(names.MASK, TensorType(FP16, (1, 1, 1, 64)))
    made = function_of("slice_by_index", TensorType(FP16, (1, 1, 1, 32)), inputs=(mask,))
    assert "-4094" in placement(*made, replace(CHIP, clamps_slices=True))[1]
    assert placement(*made, replace(CHIP, clamps_slices=False)) == (NEURAL_ENGINE, "")


@pytest.mark.parametrize(
    ("lut", "reason"),
    [
        (TensorType(FP16, (4, 1, 16, 1)), ""),
        (TensorType(FP16, (4, 1, 16, 2)), "vectors"),
        (TensorType(DataType("int8", 8, None), (4, 1, 16, 1)), "table of int8"),
    ],
)
def test_forms_of_look_up_tables_that_the_neural_engine_lacks_are_named(lut: TensorType, reason: str) -> None:
    constant = Constant(lut, None, None)  # type: ignore[arg-type]
    made = Operation(
        0, "constexpr_lut_to_dense", "it", {"lut": (constant,)}, (NamedType("o", TensorType(FP16, (8, 8))),), {}, 0
    )
    place, found = placement(Function("decode", "CoreML8", (), ("o",), (made,)), made, CHIP)
    assert place == (CPU if reason else LOAD)
    assert reason in found


def test_the_command_line_shows_estimates_as_such(bundle: Path) -> None:
    text = CliRunner().invoke(main, ["profile", str(bundle), "--device", "iphone-12"]).stdout
    assert "estimate" in text
    assert "gather by integer indices" in text
    report = json.loads(CliRunner().invoke(main, ["profile", str(bundle), "--json"]).stdout)
    assert [each["name"] for each in report["functions"]] == ["decode", "tree4"]
    assert "estimates" in CliRunner().invoke(main, ["profile", "--sweep"]).stdout


def test_a_sweep_is_monotone() -> None:
    rows = json.loads(CliRunner().invoke(main, ["profile", "--sweep", "--json"]).stdout)
    for name in {row["varied"] for row in rows}:
        times = [row["token_ms"] for row in rows if row["varied"] == name]
        assert times == sorted(times)


def test_there_is_nothing_to_profile_without_a_package(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["profile", str(tmp_path / "none.mlpackage")])
    assert result.exit_code == 1
    assert "export-coreml" in result.stderr


def test_the_ladder_is_climbed_again(bundle: Path, tiny_checkpoint: Path) -> None:
    arguments = ["verify-coreml", str(bundle), "--checkpoint", str(tiny_checkpoint), "--json"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert all(rung["is_passed"] for rung in report["rungs"])
    assert report["second_opinions"]["coremltools"]["num_constants"] > 0
