"""`export-coreai` and the backend over its assets: Apple's runtime runs the very file; nothing unchecked is kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from click.testing import CliRunner  # noqa: E402
from keyboard_lm_coreml.check.package_weights import PackageWeights  # noqa: E402
from keyboard_lm_coreml.convert import core_ai as convert_core_ai  # noqa: E402
from keyboard_lm_coreml.convert.ane_model import AneModel, channel_norm, scaled_norm  # noqa: E402
from keyboard_lm_coreml.convert.recipe import Recipe, Rule  # noqa: E402
from keyboard_lm_coreml.export.bundle import read_manifest  # noqa: E402
from keyboard_lm_coreml.export.export import ExportOptions  # noqa: E402
from keyboard_lm_coreml.package import asset as assets  # noqa: E402
from keyboard_lm_coreml.package import core_ai_versions  # noqa: E402
from keyboard_lm_coreml.package.core_ai_versions import CONVERTER, CORE, has_core_ai  # noqa: E402

from keyboard_lm.backends import load_backend  # noqa: E402
from keyboard_lm.backends.torch import TorchBackend  # noqa: E402
from keyboard_lm.cli import main  # noqa: E402
from keyboard_lm.errors import ConfigError, PackageError  # noqa: E402
from keyboard_lm.network.checkpoint import Checkpoint  # noqa: E402

needs_core_ai = pytest.mark.skipif(
    not has_core_ai(CORE, CONVERTER), reason="Core AI is not installed in its pinned version"
)
OPTIONS = ExportOptions(num_slots=96, functions=("decode", "tree8", "prefill16"))


@pytest.fixture(scope="session")
def asset_bundle(tmp_path_factory: pytest.TempPathFactory, make_checkpoint):
    """Return the report of a bundle of the tiny network at 4 bits, and its checkpoint; not to be changed."""
    from keyboard_lm_coreml.export.core_ai import export_asset_bundle

    folder = tmp_path_factory.mktemp("coreai")
    checkpoint = make_checkpoint(folder / "tiny")
    return export_asset_bundle(checkpoint, folder / "bundle", OPTIONS), checkpoint


@pytest.fixture
def copy(asset_bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(asset_bundle[0].folder, tmp_path / "bundle"))


@needs_core_ai
def test_the_runtime_computes_what_the_checkpoint_does(asset_bundle):
    report, _ = asset_bundle
    rungs = {rung.name: rung for rung in report.rungs}
    assert set(rungs) == {"weights", "network", "rounded", "tree", "rewind", "text"}
    assert all(rung.is_passed for rung in report.rungs)
    assert rungs["network"].error < 0.01  # norms that are written otherwise are the same norms
    assert rungs["rounded"].top1 > 0.9


@needs_core_ai
def test_tables_stay_tables(asset_bundle):
    from keyboard_lm_coreml.cost.asset_profile import profile_asset

    report, checkpoint = asset_bundle
    found = profile_asset(report.folder, is_measured=True)
    stored = dict(found.stored)
    config = checkpoint.config
    assert stored["UInt6"] == config.num_embedding_parameters
    assert stored["UInt4"] > 0.9 * (config.num_parameters - config.num_embedding_parameters)
    assert dict(found.operations)["lut_to_dense"] > 0
    assert found.functions == ("decode", "tree8", "prefill16")
    assert found.num_slots == 96
    assert found.step_ms is not None


@needs_core_ai
def test_the_asset_holds_no_path_of_the_machine_that_wrote_it(asset_bundle):
    program = (asset_bundle[0].folder / "keyboard-lm.aimodel" / assets.PROGRAM_FILE).read_bytes()
    assert b"ane_model.py" not in program
    assert str(Path(__file__).parents[2]).encode() not in program


@needs_core_ai
def test_the_commands_run_on_the_very_file(asset_bundle):
    folder = str(asset_bundle[0].folder)
    run = CliRunner().invoke
    bar = run(main, ["suggest", "see you ", "--backend", "coreai", "--model", folder, "--json"])
    assert bar.exit_code == 0, bar.stderr
    assert json.loads(bar.stdout)["slots"]
    by_name = run(main, ["suggest", "see you ", "--backend", "coreai", "--model", f"{folder}/keyboard-lm.aimodel"])
    assert by_name.exit_code == 0, by_name.stderr
    evaluation = run(
        main, ["eval", "next-word", "--backend", "coreai", "--model", folder, "--limit", "1", "--jobs", "1", "--json"]
    )
    assert evaluation.exit_code == 0, evaluation.stderr
    assert json.loads(evaluation.stdout)["figures"]["next-word"]["all"]["words"]["value"] > 0
    profile = run(main, ["profile", folder])
    assert profile.exit_code == 0, profile.stderr
    assert "no time on a device is known" in profile.stdout


@needs_core_ai
def test_parity_has_a_row_for_it(asset_bundle, monkeypatch):
    monkeypatch.setattr(
        "keyboard_lm_coreml.export.core_ai.export_asset_bundle",
        lambda source, folder, options: shutil.copytree(asset_bundle[0].folder, folder),
    )
    monkeypatch.setattr("keyboard_lm.cli.parity.SLOW_PROMPTS", 1)
    arguments = ["--only", "coreai 4", "--prompts", "2", "--messages", "1", "--json"]
    result = CliRunner().invoke(main, ["parity", str(asset_bundle[1].folder), *arguments])
    assert result.exit_code == 0, result.stderr
    reference, row = json.loads(result.stdout)["rows"]
    assert row["name"] == "coreai 4 bits"
    assert (reference["num_prompts"], row["num_prompts"], row["num_messages"]) == (2, 1, 1)
    assert not row["reason"]
    assert row["mean_kl_nats"] < 1


@needs_core_ai
def test_the_backend_keeps_the_contract_of_a_cache(asset_bundle):
    report, _ = asset_bundle
    backend = load_backend("coreai", Checkpoint.load(report.folder))
    ids = [1, 9, 17, 4, 8]
    whole = backend.prefill(ids)
    backend.prefill(ids[:2])
    backend.decode(ids[2:4])
    backend.decode([33])
    backend.rewind(4)
    np.testing.assert_allclose(backend.decode(ids[4:]), whole, atol=0.05)
    backend.rewind(3)
    tree = backend.score_tree([4, 8, 21], [-1, 0, 0])
    np.testing.assert_allclose(tree[1], whole, atol=0.05)


@needs_core_ai
def test_it_runs_inside_an_event_loop(asset_bundle):
    import asyncio

    async def inside() -> None:
        backend = load_backend("coreai", Checkpoint.load(asset_bundle[0].folder))
        backend.prefill([1, 2])

    asyncio.run(inside())


@needs_core_ai
def test_an_asset_that_computes_something_else_is_not_kept(asset_bundle, tmp_path, monkeypatch):
    from keyboard_lm_coreml.export.core_ai import export_asset_bundle

    def half_rotated(x, cos, sin):
        return x * cos

    monkeypatch.setattr("keyboard_lm_coreml.convert.ane_model.rotate", half_rotated)
    with pytest.raises(PackageError, match="fails at 'network'"):
        export_asset_bundle(asset_bundle[1], tmp_path / "wrong", OPTIONS)
    assert not list(tmp_path.iterdir())


@needs_core_ai
def test_what_the_converter_gets_wrong_is_not_kept(asset_bundle, tmp_path, monkeypatch):
    from keyboard_lm_coreml.export.core_ai import export_asset_bundle

    load = AneModel.load

    def shifted(self, weights):
        load(self, weights | {"transformer.norm.weight": weights["transformer.norm.weight"].roll(1)})

    monkeypatch.setattr("keyboard_lm_coreml.convert.core_ai.AneModel.load", shifted)
    monkeypatch.setattr("keyboard_lm_coreml.check.ladder.AneRunner.__init__", _unshifted(load))
    with pytest.raises(PackageError, match="fails at 'rounded'"):
        export_asset_bundle(asset_bundle[1], tmp_path / "wrong", OPTIONS)
    assert not list(tmp_path.iterdir())


def _unshifted(load):
    # The checks' own copy of the network, which takes the weights as they are.
    def init(self, config, stored: PackageWeights, contract, shrink=1.0, is_scaled=False):
        self._num_tokens = {entry.name: entry.num_tokens for entry in contract.entries}
        self._model = AneModel(config, contract.num_slots, stored.num_head_parts, shrink, is_scaled=is_scaled).eval()
        load(self._model, {name: torch.from_numpy(value) for name, value in stored.weights.items()})

    return init


@needs_core_ai
@pytest.mark.parametrize("damage", ["program", "hash", "metadata", "producer", "no program", "another model"])
def test_a_damaged_asset_is_refused_before_the_runtime_sees_it(copy: Path, damage: str):
    asset = copy / "keyboard-lm.aimodel"
    metadata = asset / assets.METADATA_FILE
    program = asset / assets.PROGRAM_FILE
    if damage == "program":
        content = bytearray(program.read_bytes())
        content[len(content) // 2] ^= 1
        program.write_bytes(content)
    elif damage == "hash":
        (asset / assets.HASH_FILE).write_bytes(b"")
    elif damage == "metadata":
        metadata.write_text("[")
    elif damage == "no program":
        program.unlink()
    else:
        values = json.loads(metadata.read_text())
        if damage == "producer":
            del values["producer"]  # 1.0.0b1 says nothing, and its programs end the process of 1.0.0b3
        else:
            values[assets.CUSTOM]["checkpoint_digest"] = "0" * 64
        metadata.write_text(json.dumps(values))
    result = CliRunner().invoke(main, ["suggest", "hello", "--backend", "coreai", "--model", str(copy)])
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "export-coreai" in line


@needs_core_ai
def test_the_bundle_has_what_an_app_takes(asset_bundle):
    folder = asset_bundle[0].folder
    manifest = read_manifest(folder)
    assert manifest["package"] == "keyboard-lm.aimodel"
    assert manifest["target"] == "iOS27"
    assert [entry["name"] for entry in manifest["functions"]] == ["decode", "tree8", "prefill16"]
    assert "keyboard-lm.aimodel/main.mlirb" in manifest["files"]
    asset = assets.read_asset(folder / "keyboard-lm.aimodel")
    assert asset.custom["recipe"] == "4bit.toml"


@pytest.mark.parametrize("backend", ["onnx", "coreml"])
def test_an_asset_asks_for_its_backend(tiny_checkpoint: Path, tmp_path: Path, backend: str):
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "model"))
    (folder / "keyboard-lm.aimodel").mkdir()
    model = str(folder / "keyboard-lm.aimodel")
    result = CliRunner().invoke(main, ["suggest", "hello", "--backend", backend, "--model", model])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].endswith("is a Core AI asset; add: --backend coreai")


@pytest.mark.parametrize(("found", "expected"), [(None, "keyboard-lm[coreai]"), ("1.0.0b9", "1.0.0b9 is installed")])
def test_missing_and_other_wheels_are_refused_in_one_line(tmp_path, monkeypatch, found, expected):
    monkeypatch.setattr(core_ai_versions, "installed_version", lambda package: found)
    result = CliRunner().invoke(main, ["export-coreai", "-o", str(tmp_path / "out")])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert expected in line
    assert not list(tmp_path.iterdir())


@needs_core_ai
def test_indices_of_three_bits_are_refused(asset_bundle, tmp_path):
    from keyboard_lm_coreml.export.core_ai import export_asset_bundle

    recipe = Recipe("three.toml", (Rule("*", 3, 16),), importance=False, compensation=False)
    with pytest.raises(ConfigError, match="cannot pack indices of 3 bits"):
        export_asset_bundle(asset_bundle[1], tmp_path / "out", ExportOptions(recipe, 96, ("decode",)))


def test_a_scaled_norm_is_the_norm_and_holds_in_fp16():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 64, 1, 3, generator=generator) * torch.tensor([1e-3, 1.0, 900.0])
    weight = torch.rand(1, 64, 1, 1, generator=generator) + 0.5
    exact = channel_norm(x.double(), weight.double(), 1e-6).float()
    torch.testing.assert_close(scaled_norm(x, weight, 1e-6, dim=1), exact, rtol=1e-5, atol=1e-6)
    half = scaled_norm(x.half(), weight.half(), 1e-6, dim=1).float()
    torch.testing.assert_close(half, exact, rtol=0.02, atol=0.01)
    assert not torch.isfinite(channel_norm(x.half(), weight.half(), 1e-6)).all() or (
        (channel_norm(x.half(), weight.half(), 1e-6).float() - exact).abs().max() > 0.5
    )  # what it is for


@needs_core_ai
def test_fp32_is_exact_but_for_the_rotary_rows(asset_bundle, tmp_path):
    from keyboard_lm_coreml.execute.core_ai import CoreAIBackend, CoreAIRunner
    from keyboard_lm_coreml.package.contract import Contract, Entry

    _, checkpoint = asset_bundle
    contract = Contract((Entry("decode", 1, False),), 96)
    weights = {name: value.astype(np.float32) for name, value in checkpoint.weights().items()}
    path = tmp_path / "fp32.aimodel"
    convert_core_ai.convert_asset(checkpoint.config, weights, {}, contract, path, is_half=False)
    backend = CoreAIBackend(CoreAIRunner(path, contract, checkpoint.config), contract, checkpoint.config)
    reference = TorchBackend.load(checkpoint)
    for token in (1, 5, 77):
        got, expected = backend.decode([token]), reference.decode([token])
    np.testing.assert_allclose(got, expected, atol=0.01 * expected.std())
