"""The command `keyboard-lm corpus`: what it prints, where, and how it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from keyboard_lm_training.corpus.shards import CorpusManifest

from keyboard_lm.cli import main


@pytest.fixture
def chat(tmp_path: Path, sentences: list[str]) -> Path:
    file = tmp_path / "chat.txt"
    file.write_text("\n\n".join(sentences) + "\n", encoding="utf-8")
    return file


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(main, ["corpus", *map(str, args)])


def test_text_becomes_a_corpus_with_its_figures_on_stdout(tmp_path: Path, chat: Path) -> None:
    result = run(chat, "-o", tmp_path / "c", "--vocab-size", "500", "--workers", "1", "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    manifest = CorpusManifest.load(tmp_path / "c")
    assert summary["train"]["tokens"] == manifest.num_tokens("train") > 1000
    assert summary["vocab_size"] == 500
    assert summary["sources"][0]["messages_read"] == 201
    assert "encoding" in result.stderr


def test_without_json_the_figures_are_a_table(tmp_path: Path, chat: Path) -> None:
    result = run(chat, "-o", tmp_path / "c", "--vocab-size", "500", "--workers", "1")
    assert result.stdout.splitlines()[0].split()[:2] == ["source", "read"]
    assert result.stdout.splitlines()[1].split()[:2] == ["chat", "201"]
    assert "train: " in result.stdout


def test_a_recipe_finds_its_files_in_the_data_folder(tmp_path: Path, chat: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        'name = "mine"\n[tokenizer]\nvocab_size = 500\n[[source]]\nname = "talk"\npath = "chat.txt"\nlicence = "CC0"\n'
    )
    result = run("--recipe", recipe, "--data-dir", tmp_path, "-o", tmp_path / "c", "--workers", "1")
    assert result.exit_code == 0, result.output
    manifest = CorpusManifest.load(tmp_path / "c")
    assert [(source.name, source.licence) for source in manifest.sources] == [("talk", "CC0")]


def test_max_documents_limits_every_source(tmp_path: Path, chat: Path) -> None:
    args = (chat, "-o", tmp_path / "c", "--vocab-size", "420", "--workers", "1", "--max-documents", "90", "--json")
    assert json.loads(run(*args).stdout)["sources"][0]["documents_read"] == 90


def test_a_tokenizer_can_be_reused(tmp_path: Path, chat: Path) -> None:
    run(chat, "-o", tmp_path / "a", "--vocab-size", "500", "--workers", "1")
    result = run(chat, "-o", tmp_path / "b", "--tokenizer", tmp_path / "a", "--workers", "1")
    assert result.exit_code == 0, result.output
    digests = [CorpusManifest.load(tmp_path / name).tokenizer_digest for name in ("a", "b")]
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["none.txt", "-o", "out"], "no file none.txt"),
        (["--recipe", "none.toml", "-o", "out"], "no recipe file none.toml"),
        (["--recipe", "keyboard", "-o", "out"], "no file assistant_utterances.txt.xz; check the path and --data-dir"),
        (["none.txt", "-o", "out", "--vocab-size", "3"], "vocab_size must be between"),
        (["none.txt", "-o", "out", "--tokenizer", "none"], "no file none.txt"),
    ],
)
def test_a_mistake_is_one_line_on_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*args)
    assert result.exit_code == 1
    assert complaint in result.stderr
    assert [line for line in result.stderr.splitlines() if line.strip()] == [result.stderr.strip()]
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "args",
    [
        ["-o", "out"],
        ["a.txt", "--recipe", "keyboard", "-o", "out"],
        ["a.txt"],
        ["a.txt", "-o", "out", "--tokenizer", "t", "--vocab-size", "500"],
        ["a.txt", "-o", "out", "--workers", "0"],
        ["a.txt", "-o", "out", "--rank", "0"],
        ["a.txt", "-o", "out", "--of", "2"],
        ["a.txt", "-o", "out", "--rank", "2", "--of", "2"],
        ["a.txt", "-o", "out", "--rank", "-1", "--of", "2"],
        ["a.txt", "-o", "out", "--rank", "0", "--of", "2", "--workers", "2"],
    ],
)
def test_a_contradiction_is_a_usage_error(args: list[str]) -> None:
    assert run(*args).exit_code == 2


def test_help_imports_no_training_code() -> None:
    script = (
        "import sys; from keyboard_lm.cli.corpus import command\n"
        "try: command(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'keyboard_lm_training', 'numpy', 'sentencepiece', 'rich', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
