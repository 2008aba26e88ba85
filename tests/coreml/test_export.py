"""Export: what the package holds, what stops it, what is left behind."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

pytest.importorskip("coremltools")
torch = pytest.importorskip("torch")

from click.testing import CliRunner  # noqa: E402
from keyboard_lm_coreml.check.ladder import AneRunner, check_package, require_passed, walk  # noqa: E402
from keyboard_lm_coreml.check.package_weights import PackageWeights, read_weights  # noqa: E402
from keyboard_lm_coreml.convert.activations import measure  # noqa: E402
from keyboard_lm_coreml.convert.convert import convert  # noqa: E402
from keyboard_lm_coreml.convert.recipe import Recipe, Rule, shipped_recipe  # noqa: E402
from keyboard_lm_coreml.convert.stored import store_weights  # noqa: E402
from keyboard_lm_coreml.execute.backend import CoreMLBackend  # noqa: E402
from keyboard_lm_coreml.execute.runners import ExecutorRunner  # noqa: E402
from keyboard_lm_coreml.export.bundle import MANIFEST_FILE, PACKAGE_NAME, read_manifest  # noqa: E402
from keyboard_lm_coreml.export.export import (  # noqa: E402
    ExportOptions,
    export_bundle,
    head_parts,
    plan_contract,
    shrink_for,
)
from keyboard_lm_coreml.package import names  # noqa: E402
from keyboard_lm_coreml.package.contract import Contract, Entry  # noqa: E402
from keyboard_lm_coreml.package.package import Package  # noqa: E402

from keyboard_lm.backends import load_backend  # noqa: E402
from keyboard_lm.backends.torch import TorchBackend, load_model  # noqa: E402
from keyboard_lm.cli import main  # noqa: E402
from keyboard_lm.errors import CheckpointError, ConfigError, PackageError  # noqa: E402
from keyboard_lm.network.checkpoint import Checkpoint, save_checkpoint, weight_shapes  # noqa: E402
from keyboard_lm.network.model import OpenELM  # noqa: E402

_SMALL = ExportOptions(shipped_recipe(16), 64, ("decode",))


def test_every_rung_holds_and_none_is_left_out(exported):
    assert [rung.name for rung in exported.report.rungs] == [
        "weights", "network", "converted", "rounded", "tree", "rewind", "text",
    ]  # fmt: skip
    assert all(rung.is_passed for rung in exported.report.rungs)
    converted = exported.report.rungs[2]
    assert converted.top1 == 1.0


def test_a_bundle_without_weights_is_checked_by_its_own(exported):
    rungs = check_package(exported.folder / PACKAGE_NAME, Checkpoint.load(exported.folder))
    assert [rung.name for rung in rungs] == ["network", "converted", "rounded", "tree", "rewind"]
    require_passed(exported.folder, rungs)


def test_a_bundle_runs_as_a_backend_and_equals_torch_with_its_weights(exported):
    bundle = Checkpoint.load(exported.folder)
    stored = read_weights(Package(exported.folder / PACKAGE_NAME), bundle.config)
    model = OpenELM(bundle.config)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in stored.weights.items()})
    ids = list(range(3, 43))
    wanted, found = TorchBackend(model).prefill(ids), load_backend("coreml", bundle).prefill(ids)
    np.testing.assert_allclose(found, wanted, atol=0.02 * wanted.std())


def test_a_package_holds_its_recipe_and_shares_weights_between_functions(exported):
    package = Package(exported.folder / PACKAGE_NAME)
    stored = read_weights(package, exported.checkpoint.config)
    assert set(stored.bits.values()) == {4, 6}
    shapes = {name: value.size for name, value in stored.weights.items() if value.ndim == 2}
    packed = sum(size * stored.bits[name] / 8 for name, size in shapes.items())
    in_files = sum(file.stat().st_size for file in package.weights_folder.iterdir())
    assert packed < in_files < 1.5 * packed


def test_a_package_says_what_it_is(exported):
    package = Package(exported.folder / PACKAGE_NAME)
    about = package.metadata
    assert "OpenELM" in about.description
    assert about.licence
    assert about.version
    assert about.user[names.META_TOKENIZER] == exported.checkpoint.tokenizer.digest
    assert about.user[names.META_CHECKPOINT] == exported.checkpoint.digest
    for interface in package.interfaces.values():
        for feature in (*interface.inputs, *interface.outputs, *interface.states):
            assert feature.description.endswith("."), feature.name


def test_a_manifest_covers_every_file_and_notices_a_change(exported, tmp_path):
    import shutil

    assert read_manifest(exported.folder)["functions"][0] == {"name": "decode", "num_tokens": 1, "is_prefill": False}
    copy = tmp_path / "copy"
    shutil.copytree(exported.folder, copy)
    lexicon = copy / "language" / "lexicon.npz"
    lexicon.write_bytes(lexicon.read_bytes()[:-1])
    with pytest.raises(PackageError, match=r"lexicon\.npz: has changed"):
        read_manifest(copy)
    lexicon.unlink()
    with pytest.raises(PackageError, match=r"lexicon\.npz: is missing"):
        read_manifest(copy)
    (copy / MANIFEST_FILE).unlink()
    with pytest.raises(PackageError, match="no bundle"):
        read_manifest(copy)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"target": "iOS99"}, "iOS99"),
        ({"num_slots": 100}, "choose 96"),
        ({"num_slots": 0}, "choose 32"),
        ({"num_slots": 32}, "no room for prefill64"),
        ({"num_slots": 32768}, "16384"),
        ({"functions": ("tree8",)}, "decode"),
        ({"functions": ("decode", "tree01")}, "tree01"),
        ({"functions": ("decode", "prefill1")}, "prefill1"),
        ({"functions": ("decode", "prefill9999")}, "prefill9999"),
    ],
)
def test_options_that_do_not_fit_are_named(tiny_config, change, named):
    with pytest.raises(ConfigError, match=named):
        plan_contract(tiny_config, dataclasses.replace(ExportOptions(), **change))


def test_slots_have_room_for_the_longest_function_behind_the_context(tiny_config):
    assert plan_contract(tiny_config, ExportOptions()).num_slots == 128 + 64
    assert plan_contract(dataclasses.replace(tiny_config, max_context_length=100), ExportOptions()).num_slots == 192


def test_heads_that_do_not_suit_the_state_are_named(tiny_config):
    with pytest.raises(ConfigError, match="heads of width 16"):
        plan_contract(dataclasses.replace(tiny_config, head_dim=16), ExportOptions())


def test_a_vocabulary_over_the_axis_limit_needs_a_split_head(tiny_config):
    large = dataclasses.replace(tiny_config, vocab_size=32_000)
    with pytest.raises(ConfigError, match="--split-head"):
        head_parts(large, is_head_split=False)
    assert head_parts(large, is_head_split=True) == 2
    assert head_parts(tiny_config, is_head_split=True) == 1


@pytest.mark.parametrize("stage", ["looking", "converting decode", "checking: trees"])
def test_an_interrupted_export_leaves_nothing(make_checkpoint, tmp_path, stage):
    checkpoint = make_checkpoint(tmp_path / "tiny")

    def interrupt(now):
        if now.startswith(stage):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_bundle(checkpoint, tmp_path / "bundle", _SMALL, interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_a_package_that_computes_something_else_is_not_kept(make_checkpoint, tmp_path):
    checkpoint = make_checkpoint(tmp_path / "tiny")

    def damage(now):
        if now == "checking: the weights":
            (weights,) = tmp_path.glob(f".bundle*/{PACKAGE_NAME}/Data/com.apple.CoreML/weights/weight.bin")
            data = bytearray(weights.read_bytes())
            data[20_000:24_000] = data[24_000:28_000]
            weights.write_bytes(data)

    with pytest.raises(PackageError, match="fails at 'weights'"):
        export_bundle(checkpoint, tmp_path / "bundle", _SMALL, damage)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_a_graph_that_is_not_the_network_is_not_kept(make_checkpoint, tmp_path, monkeypatch):
    from keyboard_lm_coreml.convert import ane_model

    checkpoint = make_checkpoint(tmp_path / "tiny")
    monkeypatch.setattr(ane_model, "rotate", lambda x, cos, sin: x * cos)
    with pytest.raises(PackageError, match="fails at 'network'"):
        export_bundle(checkpoint, tmp_path / "bundle", _SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_only_a_bundle_is_replaced(make_checkpoint, tmp_path):
    checkpoint = make_checkpoint(tmp_path / "tiny")
    with pytest.raises(ConfigError, match="no bundle"):
        export_bundle(checkpoint, tmp_path / "tiny", _SMALL)
    assert Checkpoint.load(tmp_path / "tiny").digest == checkpoint.digest


def test_a_bundle_cannot_be_exported_again(exported, tmp_path):
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        export_bundle(Checkpoint.load(exported.folder), tmp_path / "again", _SMALL)
    assert not list(tmp_path.iterdir())


def test_activations_beyond_fp16_are_scaled_down(make_checkpoint, tmp_path, tiny_tokenizer):
    checkpoint = make_checkpoint(tmp_path / "tiny")
    # The same network with a residual stream 32,768 times as large, which every norm undoes; logits 16 times.
    weights = checkpoint.weights()
    for name in weights:
        if name.endswith(("token_embeddings.weight", "out_proj.weight", "proj_2.weight")):
            weights[name] = weights[name] * np.float32(2**15)
    weights["transformer.norm.weight"] = weights["transformer.norm.weight"] * np.float32(2**-11)
    loud = save_checkpoint(tmp_path / "loud", checkpoint.config, tiny_tokenizer, weights, {})
    largest = measure(load_model(loud), 1, num_samples=4).largest
    assert largest > 65_504
    assert largest / shrink_for(largest) <= 4096
    report = export_bundle(loud, tmp_path / "bundle", _SMALL)
    assert max(rung.error for rung in report.rungs if rung.name in ("converted", "text")) < 0.02


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("shrink", [1.0, 64.0])
def test_the_network_for_the_neural_engine_is_the_network(make_checkpoint, tmp_path, parts, shrink):
    checkpoint = make_checkpoint(tmp_path / "tiny")
    weights = {name: value.astype(np.float32) for name, value in checkpoint.weights().items()}
    contract = Contract((Entry("decode", 1, False), Entry("tree5", 5, False), Entry("prefill7", 7, True)), 64)
    runner = AneRunner(checkpoint.config, PackageWeights(weights, {}, parts), contract, shrink)
    windows = [list(range(3 * n, 3 * n + 40)) for n in (1, 90, 180)]
    found = walk(CoreMLBackend(runner, contract, checkpoint.config), windows)
    wanted = walk(TorchBackend(load_model(checkpoint)), windows)
    np.testing.assert_allclose(found, wanted, atol=5e-3 * wanted.std())


def test_a_cut_table_is_converted(make_checkpoint, tmp_path, monkeypatch):
    from keyboard_lm_coreml.export import export

    monkeypatch.setattr(export, "AXIS_LIMIT", 512)  # of the tiny vocabulary's 600 pieces
    checkpoint = make_checkpoint(tmp_path / "tiny")
    options = ExportOptions(Recipe("r", (Rule("*", 6, 16),)), 64, ("decode", "tree4"), is_head_split=True)
    report = export_bundle(checkpoint, tmp_path / "bundle", options)
    stored = read_weights(Package(report.folder / PACKAGE_NAME), checkpoint.config)
    assert stored.num_head_parts == 2


def test_a_cut_table_finds_every_id_that_fp16_has_no_number_for(tiny_config, tmp_path):
    config = dataclasses.replace(tiny_config, num_transformer_layers=1, vocab_size=5000)
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in weight_shapes(config).items()}
    stored = store_weights(config, weights, shipped_recipe(16), None, num_head_parts=2)
    contract = Contract((Entry("decode", 1, False),), 32)
    convert(config, stored, contract, tmp_path / "k.mlpackage", tmp_path, num_head_parts=2)
    package = CoreMLBackend(ExecutorRunner(Package(tmp_path / "k.mlpackage")), contract, config)
    runner = AneRunner(config, PackageWeights(stored.snapped, {}, 2), contract)
    network = CoreMLBackend(runner, contract, config)
    for piece in (0, 2047, 2049, 2499, 2500, 2501, 4097, 4999):
        wanted = network.prefill([piece])
        np.testing.assert_allclose(package.prefill([piece]), wanted, atol=0.01 * wanted.std())


def test_the_command_exports_and_reports(make_checkpoint, tmp_path):
    checkpoint = make_checkpoint(tmp_path / "tiny")
    recipe = tmp_path / "mine.toml"
    recipe.write_text('[[tensors]]\nmatch = "*"\nbits = 8\n')
    arguments = ["export-coreml", str(checkpoint.folder), "-o", str(tmp_path / "out"), "--context", "64"]
    result = CliRunner().invoke(main, [*arguments, "--functions", "decode", "--recipe", str(recipe), "--json"])
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    assert values["recipe"] == "mine.toml"
    assert values["num_slots"] == 64
    assert "converting decode ..." in result.stderr
    for wrong in (["--target", "iOS12"], ["--context", "50"], ["--functions", "tree8"], ["--recipe", "none.toml"]):
        failed = CliRunner().invoke(main, [*arguments[:4], *wrong])
        assert failed.exit_code == 1
        assert failed.stderr.startswith("error: ")
        assert failed.stderr.count("\n") == 1
