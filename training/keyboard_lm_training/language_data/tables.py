"""Tables of a language: tab-separated, with a line of names first and comments behind `#`."""

from __future__ import annotations

import csv
from collections.abc import Iterable


def table_rows(lines: Iterable[str]) -> list[dict[str, str]]:
    """Return the rows by column; lines that begin with `#` are none."""
    rows = (line for line in lines if not line.startswith("#"))
    return list(csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE))
