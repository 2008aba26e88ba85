"""The library's face: what is exported, that importing it costs nothing, and that the examples run."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import keyboard_lm

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SAID = {
    "corrections.py": "and it stays: 'What is teh '",
    "learning.py": "learned: ['Xiangyu']",
    "other_thread.py": "'How are yo': ",
    "suggest.py": "I am going to the shop",
}


def test_every_exported_name_is_there_and_nothing_else_is_promised() -> None:
    assert keyboard_lm.__all__ == sorted(keyboard_lm.__all__, key=lambda name: (name.startswith("_"), name))
    for name in keyboard_lm.__all__:
        assert getattr(keyboard_lm, name) is not None
        assert name in dir(keyboard_lm)
    lazy = set(keyboard_lm._MODULE_OF)
    assert lazy == set(keyboard_lm.__all__) - {"__version__"}
    with pytest.raises(AttributeError, match="no attribute 'Sesion'"):
        keyboard_lm.Sesion  # noqa: B018


def test_type_checkers_see_the_same_names_as_the_interpreter() -> None:
    tree = ast.parse(Path(keyboard_lm.__file__).read_text(encoding="utf-8"))
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in ast.walk(checked) if isinstance(node, ast.ImportFrom)]
    seen = {(node.module, alias.name) for node in imports for alias in node.names}
    assert seen == {(f"keyboard_lm.{module}", name) for name, module in keyboard_lm._MODULE_OF.items()}


def test_an_exported_name_is_the_one_of_its_module() -> None:
    for name, module in keyboard_lm._MODULE_OF.items():
        assert getattr(keyboard_lm, name) is getattr(importlib.import_module(f"keyboard_lm.{module}"), name)


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = "import sys, keyboard_lm; print(sorted({name.split('.')[0] for name in sys.modules} & set(sys.argv[1:])))"
    heavy = ["numpy", "onnxruntime", "sentencepiece", "click", "torch", "sqlite3"]
    found = subprocess.run([sys.executable, "-c", script, *heavy], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["keyboard_lm", "keyboard_lm_training", "keyboard_lm_coreml"])
def test_every_package_tells_type_checkers_that_it_is_typed(package: str) -> None:
    assert resources.files(package).joinpath("py.typed").is_file()


def test_every_example_is_run() -> None:
    assert {file.name for file in EXAMPLES} == set(SAID)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_an_example_does_what_it_says(file: Path, tmp_path: Path) -> None:
    arguments = [str(tmp_path / "learned")] if file.name == "learning.py" else []
    done = subprocess.run(
        [sys.executable, str(file), *arguments], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=120
    )
    assert SAID[file.name] in done.stdout
    assert done.stderr == ""


def test_examples_use_the_front_door_only() -> None:
    for file in EXAMPLES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keyboard_lm"):
                assert node.module == "keyboard_lm"
                assert {alias.name for alias in node.names} <= set(keyboard_lm.__all__)
