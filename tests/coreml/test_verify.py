"""`verify-coreml`, packages that do not fit, second opinions: what an honest package gets, and a changed one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("coremltools")
torch = pytest.importorskip("torch")

from click.testing import CliRunner  # noqa: E402
from keyboard_lm_coreml.check.core_ai import second_runner  # noqa: E402
from keyboard_lm_coreml.check.ladder import check_package, require_passed  # noqa: E402
from keyboard_lm_coreml.check.package_weights import read_weights  # noqa: E402
from keyboard_lm_coreml.check.second_opinion import ask_coremltools  # noqa: E402
from keyboard_lm_coreml.convert.ane_model import AneModel  # noqa: E402
from keyboard_lm_coreml.execute.backend import CoreMLBackend  # noqa: E402
from keyboard_lm_coreml.execute.runners import ExecutorRunner  # noqa: E402
from keyboard_lm_coreml.package import core_ai_versions, names  # noqa: E402
from keyboard_lm_coreml.package.contract import read_contract  # noqa: E402
from keyboard_lm_coreml.package.core_ai_versions import CONVERTER, CORE, has_core_ai  # noqa: E402
from keyboard_lm_coreml.package.package import Package, find_package  # noqa: E402

from keyboard_lm.cli import main  # noqa: E402
from keyboard_lm.errors import ContextLengthError, PackageError  # noqa: E402
from keyboard_lm.network.checkpoint import Checkpoint  # noqa: E402

WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


@pytest.fixture
def bundle(exported, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported.folder, tmp_path / "bundle"))


def test_an_honest_package_passes_with_and_without_its_checkpoint(exported):
    arguments = ["verify-coreml", str(exported.folder), "--json"]
    result = CliRunner().invoke(main, [*arguments, "--checkpoint", str(exported.checkpoint.folder)])
    assert result.exit_code == 0, result.stderr
    values = json.loads(result.stdout)
    assert {"weights", "network", "converted", "rounded", "tree", "rewind", "text"} <= {
        rung["name"] for rung in values["rungs"]
    }
    assert values["second_opinions"]["coremltools"]["num_compressed"] > 0
    alone = CliRunner().invoke(main, [*arguments, "--ladder-only"])
    assert alone.exit_code == 0, alone.stderr
    assert not json.loads(alone.stdout)["second_opinions"]
    assert "weights" not in {rung["name"] for rung in json.loads(alone.stdout)["rungs"]}


def test_changed_weights_fail_at_a_rung_that_is_named(exported, bundle):
    path = find_package(bundle) / WEIGHTS
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = bytes(b ^ 0x55 for b in content[middle : middle + 600])
    path.write_bytes(content)
    result = CliRunner().invoke(
        main, ["verify-coreml", str(bundle), "--checkpoint", str(exported.checkpoint.folder), "--ladder-only"]
    )
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "keyboard-lm.mlpackage" in line


def test_coremltools_reads_the_same_package(exported):
    package = Package(find_package(exported.folder))
    found = ask_coremltools(package)
    assert found.num_operations == sum(len(package.function(name).operations) for name in package.function_names)
    assert found.num_compressed > 0


@pytest.mark.skipif(not has_core_ai(CORE, CONVERTER), reason="Core AI is not installed in its pinned version")
def test_core_ai_computes_the_same(exported):
    path, checkpoint = find_package(exported.folder), exported.checkpoint
    package = Package(path)
    contract = read_contract(package, checkpoint.config)
    stored = read_weights(package, checkpoint.config)
    with second_runner(checkpoint.config, stored, contract) as runner:
        rungs = check_package(path, checkpoint, runner)
    require_passed(path, rungs)
    (rounded,) = [rung for rung in rungs if rung.name == "rounded"]
    assert rounded.error < 0.01  # fp32, apart from the rotary rows


def test_what_is_not_installed_is_said_to_be_left_out(exported, monkeypatch):
    monkeypatch.setattr(core_ai_versions, "installed_version", lambda package: None)
    result = CliRunner().invoke(main, ["verify-coreml", str(exported.folder)])
    assert result.exit_code == 0, result.stderr
    assert "core_ai: coreai-core is not installed; run: pip install 'keyboard-lm[coreai]'" in result.stdout


@pytest.mark.parametrize("place", [0, 5, 40])
def test_a_blended_state_is_a_sliced_one(exported, place):
    config = exported.checkpoint.config
    torch.manual_seed(0)
    models = [AneModel(config, 64, is_blended=is_blended).eval() for is_blended in (False, True)]
    models[1].load_state_dict(models[0].state_dict())
    inputs = (
        torch.randint(0, config.vocab_size, (1, 3), dtype=torch.int32), torch.tensor([place], dtype=torch.int32),
        torch.zeros(1, 1, 3, 64), torch.rand(3, 2 * config.head_dim),
    )  # fmt: skip
    for model in models:
        model.set_num_tokens(3)
        with torch.no_grad():
            model(*inputs)
    assert models[0].kv_cache.any()
    assert torch.equal(models[0].kv_cache, models[1].kv_cache)


def test_a_package_of_another_tokenizer_is_refused(exported, bundle):
    model = find_package(bundle) / "Data/com.apple.CoreML/model.mlmodel"
    digest = exported.checkpoint.tokenizer.digest.encode()
    assert digest in model.read_bytes()
    model.write_bytes(model.read_bytes().replace(digest, b"0" * len(digest)))
    for command in (["suggest", "hello", "--backend", "coreml", "--model"], ["verify-coreml"]):
        result = CliRunner().invoke(main, [*command, str(bundle)])
        assert result.exit_code == 1
        assert "was made with another tokenizer" in result.stderr.splitlines()[-1]


def test_another_state_is_refused_by_its_shape(exported):
    import dataclasses

    config = dataclasses.replace(exported.checkpoint.config, num_transformer_layers=2)
    with pytest.raises(PackageError, match=rf"'{names.STATE}' of function [a-z0-9]+ is \(.*\), the network's is \("):
        read_contract(Package(find_package(exported.folder)), config)


def test_more_tokens_than_slots_are_refused_and_the_cache_stays(exported):
    package = Package(find_package(exported.folder))
    config = exported.checkpoint.config
    contract = read_contract(package, config)
    backend = CoreMLBackend(ExecutorRunner(package), contract, config)
    backend.prefill([1, 2, 3])
    with pytest.raises(ContextLengthError, match=f"do not fit the {backend.capacity} slots"):
        backend.decode([4] * backend.capacity)
    assert backend.length == 3


def test_the_package_suggests(exported):
    assert Checkpoint.load(exported.folder).files.keys() == {"config.json", "tokenizer.model", "proper_nouns.txt"}
    result = CliRunner().invoke(
        main, ["suggest", "see you ", "--backend", "coreml", "--model", str(exported.folder), "--json"]
    )
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["slots"]
