"""Laws of the dry run: what lies here is measured, what is far is looked up, and nothing is fetched."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest
from click.testing import CliRunner
from keyboard_lm_training.corpus import estimate
from keyboard_lm_training.corpus.estimate import ESTIMATED, MEASURED, PUBLISHED, UNKNOWN, estimate_corpus
from keyboard_lm_training.corpus.recipe import Recipe, load_recipe
from keyboard_lm_training.corpus.sources import SourceRecipe

from keyboard_lm.cli import main
from keyboard_lm.errors import DataError


def test_every_source_of_openelm_has_its_bytes_core_hours_and_step() -> None:
    found = estimate_corpus(load_recipe("openelm"), "", machine_cores=64, hours=24)
    assert [source.name for source in found.sources] == [source.name for source in load_recipe("openelm").sources]
    assert {source.basis for source in found.sources} == {PUBLISHED, ESTIMATED}
    assert all(source.text_bytes > source.fetched_bytes > 0 and source.step for source in found.sources)
    by_name = {source.name: source for source in found.sources}
    assert by_name["pile"].text_bytes == 824.5e9
    assert by_name["refinedweb"].step == "the files of tiiuae/falcon-refinedweb"
    assert by_name["dolma_stack"].step == "the URLs in allenai/dolma/urls/v1_6.txt"
    assert found.core_hours == pytest.approx(sum(source.text_bytes for source in found.sources) / 1e6 / 3600)
    assert (found.machines - 1) * 64 * 24 < found.core_hours <= found.machines * 64 * 24


def test_files_are_measured_by_their_size_and_beginning(tmp_path: Path) -> None:
    text = "".join(f"line {number} of {number * 7919 % 1000}\n" for number in range(60_000)).encode()
    (tmp_path / "plain.txt").write_bytes(text)
    (tmp_path / "packed.txt.xz").write_bytes(lzma.compress(text))
    recipe = Recipe("two", (SourceRecipe("plain", path="plain.txt"), SourceRecipe("packed", path="*.xz")))
    plain, packed = estimate_corpus(recipe, tmp_path).sources
    assert (plain.text_bytes, plain.fetched_bytes, plain.basis) == (len(text), len(text), MEASURED)
    assert packed.text_bytes == pytest.approx(len(text), rel=0.5)
    assert packed.fetched_bytes == (tmp_path / "packed.txt.xz").stat().st_size
    (tmp_path / "packed.txt.xz").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"packed.txt.xz: cannot be read .*restore the file"):
        estimate_corpus(recipe, tmp_path)


def test_a_dataset_of_which_nothing_is_published_says_so() -> None:
    (source,) = estimate_corpus(Recipe("x", (SourceRecipe("x", dataset="o/n"),)), "").sources
    assert (source.basis, source.text_bytes) == (UNKNOWN, 0)


def test_faster_cores_need_fewer_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = estimate_corpus(load_recipe("openelm"), "", 16, 2)
    monkeypatch.setattr(estimate, "CORE_MB_PER_SECOND", 2 * estimate.CORE_MB_PER_SECOND)
    fast = estimate_corpus(load_recipe("openelm"), "", 16, 2)
    assert fast.core_hours == pytest.approx(slow.core_hours / 2)
    assert slow.machines / 2 <= fast.machines < slow.machines


def test_the_dry_run_prints_a_line_for_each_source_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["corpus", "--recipe", "openelm", "--dry-run"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:-2]] == [source.name for source in load_recipe("openelm").sources]
    assert "machines of 64 cores" in lines[-1]
    values = json.loads(CliRunner().invoke(main, ["corpus", "--recipe", "openelm", "--dry-run", "--json"]).stdout)
    assert values["machines"] >= 1
    assert len(values["sources"]) == len(lines) - 3
    assert list(tmp_path.iterdir()) == []
