"""`keyboard-lm-swift` as a user meets it."""

from __future__ import annotations

import subprocess

import pytest

from keyboard_lm.network.checkpoint import bundled_folder

from .conftest import ROOT


@pytest.mark.usefixtures("ask")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["suggest", "hi", "--frob", "1"], "error: no option --frob; see keyboard-lm-swift --help"),
        (["suggest", "hi", "--model"], "error: --model needs a value"),
        (["suggest", "hi", "-n", "0"], "error: n is a number from 1 to 64"),
        (["frob"], "error: no command frob; see keyboard-lm-swift --help"),
    ],
)
def test_what_is_not_understood_is_one_line_and_2(arguments: list[str], says: str) -> None:
    command = [str(ROOT / "ios_demo" / "tools" / "swift.sh"), "exec", *arguments]
    if "--model" not in arguments:
        command += ["--model", str(bundled_folder()), "--words", str(ROOT / "ios_demo" / "Model")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, says)
