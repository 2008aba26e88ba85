#!/usr/bin/env bash
# mypyc of mypy 1.19.1, Python 3.11 or newer: functools.cached_property of a compiled class computes its value at every access.
#
# Expected: as in the interpreter, one computation for each object, since the class compiles without a word.
# Seen: two accesses make it twice, and what was put into the first list is gone. A class that relies on the value being made once (an object to be filled, a costly table) changes
# its meaning by being compiled.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet 'mypy==1.19.1' 'setuptools==80.9.0'
cat > table.py <<'PY'
from functools import cached_property


class Table:
    def __init__(self) -> None:
        self.made = 0

    @cached_property
    def rows(self) -> list[int]:
        self.made += 1
        return []
PY
cat > look.py <<'PY'
import sys

import table

one = table.Table()
one.rows.append(1)
print(sys.argv[1], "rows made", (len(one.rows), one.made)[1], "times, rows kept", len(one.rows))
PY
venv/bin/pip list 2>/dev/null | grep -E '^mypy '
plain=$(venv/bin/python look.py interpreted)
venv/bin/mypyc table.py > build.log 2>&1 || { tail -3 build.log; exit 1; }
compiled=$(venv/bin/python look.py compiled)
echo "$plain"
echo "$compiled"
[ "$plain" = "interpreted rows made 1 times, rows kept 1" ]
[ "$compiled" = "compiled rows made 2 times, rows kept 0" ]
