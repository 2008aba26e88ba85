"""The pictures of the keyboard in the documents are those that the engine draws today."""

from __future__ import annotations

import subprocess
from xml.etree import ElementTree

import pytest

from keyboard_lm.network.checkpoint import bundled_folder

from .conftest import ROOT

TEXT = "I am going"
PICTURES = {"ios_keyboard.svg": (), "ios_keyboard_dark.svg": ("--dark",)}


@pytest.mark.usefixtures("ask")
@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_what_the_command_draws(name: str) -> None:
    command = [
        *(str(ROOT / "ios_demo" / "tools" / "swift.sh"), "exec", "picture", TEXT, *PICTURES[name]),
        *("--model", str(bundled_folder()), "--words", str(ROOT / "ios_demo" / "Model")),
    ]
    drawn = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    shipped = (ROOT / "docs" / name).read_text(encoding="utf-8")
    hint = f"draw it anew: ios_demo/tools/swift.sh exec picture '{TEXT}' {' '.join(PICTURES[name])} ... > docs/{name}"
    assert drawn == shipped, hint


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_one_image_with_every_letter(name: str) -> None:
    root = ElementTree.parse(ROOT / "docs" / name).getroot()
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert set("qwertyuiopasdfghjklzxcvbnm") <= set(texts)
    assert {"space", "return"} <= set(texts)
    assert sum(element.tag.endswith("rect") for element in root) == 1 + 26 + 6
