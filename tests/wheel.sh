#!/usr/bin/env bash
# Installs a wheel in an empty folder, without the checkout, and uses it: every command's help, a bar, the library's face.
set -euo pipefail
wheel=$(realpath "${1:?usage: tests/wheel.sh WHEEL}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet "$wheel"
venv/bin/keyboard-lm suggest "I am going" | grep -q "to "
venv/bin/keyboard-lm suggest "I am going" --json | venv/bin/python -c 'import json, sys; assert len(json.load(sys.stdin)["slots"]) == 3'
venv/bin/keyboard-lm doctor >doctor && grep -q "yes suggest" doctor
venv/bin/keyboard-lm sizes >sizes && grep -q "9m" sizes
for command in $(venv/bin/python -c 'from keyboard_lm.cli import COMMANDS; print(*COMMANDS)'); do
    venv/bin/keyboard-lm "$command" --help >/dev/null || { echo "keyboard-lm $command --help fails"; exit 1; }
done
venv/bin/python -c '
from importlib import resources
import keyboard_lm
assert all(getattr(keyboard_lm, name) is not None for name in keyboard_lm.__all__)
assert resources.files("keyboard_lm").joinpath("py.typed").is_file()
assert str(resources.files("keyboard_lm")).startswith("'"$folder"'")
'
test ! -e venv/lib/python*/site-packages/training -a ! -e venv/lib/python*/site-packages/coreml
echo "$(basename "$wheel"): installed in an empty folder, and works"
