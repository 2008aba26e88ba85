"""Which characters that somebody typed stand for which of the text that was meant."""

from __future__ import annotations

Pair = tuple[int | None, int | None]  # indices in typed and meant; None for one too many and one left out


def align(typed: str, meant: str, is_complete: bool = True) -> list[Pair]:
    """Pair the characters of two texts so that as few as possible differ (Levenshtein's distance).

    A blank or a punctuation mark is never taken for a letter, since words end there.

    Args:
        typed: one text.
        meant: the other.
        is_complete: whether all of `meant` was typed; if not, a rest of it may be without counterpart. The pairs end
            where `typed` does, and among equally good places at the last one.
    """
    costs = [list(range(len(meant) + 1))]
    targets = [(wanted, wanted.isalnum()) for wanted in meant]
    for row, char in enumerate(typed, 1):
        is_letter = char.isalnum()
        diagonal, *above = costs[-1]
        left = row
        here = [row]
        for (wanted, wants_letter), up in zip(targets, above, strict=True):
            least = diagonal if char == wanted else diagonal + 1 if is_letter and wants_letter else diagonal + 2
            if up < least:
                least = up + 1
            if left < least:
                least = left + 1
            here.append(least)
            diagonal, left = up, least
        costs.append(here)
    column = len(meant)
    if not is_complete:
        least = min(costs[-1])
        column = max(end for end, cost in enumerate(costs[-1]) if cost == least)
    return _walk_back(costs, typed, meant, column)


def _walk_back(costs: list[list[int]], typed: str, meant: str, column: int) -> list[Pair]:
    pairs: list[Pair] = []
    row = len(typed)
    while row or column:
        here = costs[row][column]
        is_same = bool(row and column) and typed[row - 1] == meant[column - 1]
        if (
            row
            and column
            and here == costs[row - 1][column - 1] + (not is_same)
            and (is_same or (typed[row - 1].isalnum() and meant[column - 1].isalnum()))
        ):
            row, column = row - 1, column - 1
            pairs.append((row, column))
        elif row and here == costs[row - 1][column] + 1:
            row -= 1
            pairs.append((row, None))
        else:
            column -= 1
            pairs.append((None, column))
    return pairs[::-1]


def distance(typed: str, meant: str) -> int:
    """Return the fewest letters left out, added, replaced and swapped with the next (optimal string alignment)."""
    before: list[int] = []
    above = list(range(len(meant) + 1))
    for row, char in enumerate(typed, 1):
        here = [row]
        for column, wanted in enumerate(meant, 1):
            least = min(above[column - 1] + (char != wanted), above[column] + 1, here[column - 1] + 1)
            if row > 1 and column > 1 and char == meant[column - 2] and typed[row - 2] == wanted:
                least = min(least, before[column - 2] + 1)
            here.append(least)
        before, above = above, here
    return above[-1]
