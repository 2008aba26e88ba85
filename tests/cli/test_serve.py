"""`keyboard-lm serve` and `serve-token` refuse what would be a mistake."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from keyboard_lm.cli import main
from keyboard_lm.serve.tokens import read_tokens


def _run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.output


def test_other_machines_are_let_in_with_tokens_only() -> None:
    code, output = _run("serve", "--host", "0.0.0.0")
    assert code == 1
    assert "--tokens" in output


def test_a_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, output = _run("serve", "--tokens", str(tmp_path / "none.json"))
    assert code == 1
    assert "serve-token" in output


def test_tokens_are_added_listed_and_removed(tmp_path: Path) -> None:
    path = str(tmp_path / "tokens.json")
    code, token = _run("serve-token", "--tokens", path, "add", "app", "--scope", "suggest", "--scope", "sign")
    assert code == 0
    assert token.strip().startswith("klm_")
    assert token.strip() not in Path(path).read_text()
    assert _run("serve-token", "--tokens", path, "list") == (0, "app\tsign suggest\n")
    assert _run("serve-token", "--tokens", path, "add", "app")[0] == 1
    assert _run("serve-token", "--tokens", path, "remove", "app")[0] == 0
    assert read_tokens(Path(path)).tokens == ()
    code, output = _run("serve-token", "--tokens", path, "remove", "app")
    assert code == 1
    assert "no token" in output
