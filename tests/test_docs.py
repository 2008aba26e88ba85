"""The documents name what is there: files, rooms, commands, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from keyboard_lm.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "coreml/*.md", "training/*.md", "ios_demo/*.md", "web/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
    if "node_modules" not in path.parts
)
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
PACKAGES = {"keyboard_lm": "", "training/keyboard_lm_training": "", "coreml/keyboard_lm_coreml": ""}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_resolves(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.S)
    targets = [target for target in LINK.findall(text) if "://" not in target and not target.startswith("mailto:")]
    assert [target for target in targets if not (document.parent / target).exists()] == []


def rooms(package: str) -> list[str]:
    return sorted(file.parent.name for file in (ROOT / package).glob("*/__init__.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_architecture_names_every_room(package: str) -> None:
    assert [room for room in rooms(package) if f"`{room}/`" not in ARCHITECTURE] == []


def test_the_architecture_names_every_module_that_stands_beside_the_rooms() -> None:
    beside = sorted(file.name for file in (ROOT / "keyboard_lm").glob("*.py") if not file.name.startswith("__"))
    assert [name for name in beside if f"`{name}`" not in ARCHITECTURE] == []


def test_what_the_architecture_names_is_there() -> None:
    known = {path.name for package in PACKAGES for path in (ROOT / package).rglob("*")} | {
        path.name for path in ROOT.iterdir()
    }
    named = re.findall(r"`([\w./]+/|[\w/]+\.(?:py|toml|md|json))`", ARCHITECTURE)
    missing = [name for name in named if not (ROOT / name).exists() and Path(name).name not in known]
    assert missing == []


def test_the_readme_names_commands_that_there_are() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"keyboard-lm ([a-z][\w-]*)", text))
    assert named - set(COMMANDS) == set()


def test_every_command_is_in_a_document() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS if path.name != "CHANGELOG.md")
    named = set(re.findall(r"(?:(?<=keyboard-lm )|(?<=`))[a-z][\w-]*", text))
    assert set(COMMANDS) - named == set()


def test_the_bar_that_the_readme_shows_is_the_one_that_is_printed() -> None:
    pytest.importorskip("onnxruntime", reason="what runs the bundled model")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^    (.*)", text[text.index("prints the suggestion bar") :], flags=re.M)[:3]
    printed = CliRunner().invoke(main, ["suggest", "I am going"]).stdout.splitlines()
    took = [line[line.index("; ") :] for line in (shown[2], printed[2])]  # behind what differs from machine to machine
    assert [line.strip() for line in printed[:2]] == [line.strip() for line in shown[:2]]
    assert took[0] == took[1]


def test_a_file_that_a_document_runs_is_there() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    files = set(re.findall(r"(?:python|bash|node) ((?:tests|examples|training|findings|web)/[\w/-]+\.\w+)", text))
    assert [file for file in sorted(files) if not (ROOT / file).exists()] == []


def test_what_the_readme_says_its_code_prints_is_what_it_prints() -> None:
    cogapp = pytest.importorskip("cogapp", reason="comes with the dev extra")
    status = cogapp.Cog().main(["cog", "--check", str(ROOT / "README.md")])
    assert status == 0, "README.md's code prints something else now; run: make docs"
