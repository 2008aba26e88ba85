#!/usr/bin/env bash
# The runtime's tests, without torch, under each of Python 3.11 to 3.13 that the machine has; fails where one of them does.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
passed=() failed=()
for version in ${PYTHONS:-3.11 3.12 3.13}; do
    python=$(ls ~/.pyenv/versions/"$version".*/bin/python 2>/dev/null | head -1 || true)  # a shim of pyenv may refuse
    python=${python:-$(command -v "python$version" || true)}
    "${python:-false}" --version >/dev/null 2>&1 || { echo "Python $version: not on this machine"; continue; }
    "$python" -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet . 'pytest>=8' 'hypothesis>=6.100' 'pytest-xdist>=3.5'
    if "$folder/$version/bin/python" -m pytest -n "${JOBS:-2}" -p no:cacheprovider ${TESTS:-tests/golden \
        tests/runtime/keyboard tests/runtime/personal tests/runtime/decoding tests/runtime/correction tests/runtime/swipe \
        tests/runtime/touch tests/runtime/text tests/runtime/words tests/runtime/device tests/runtime/test_*.py \
        tests/cli/test_suggest.py tests/cli/test_learned.py}; then passed+=("$version")
    else failed+=("$version")
    fi
done
echo "passes under: ${passed[*]:-none}; fails under: ${failed[*]:-none}"
[ ${#failed[@]} = 0 ] && [ ${#passed[@]} != 0 ]
