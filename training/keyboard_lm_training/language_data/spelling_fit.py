"""Fits how people misspell on lists of recorded misspellings: which letters they write for which.

    python -m keyboard_lm_training.language_data.spelling_fit misspellings.tsv -o keyboard_lm/languages/en/spelling.tsv

Letters are aligned, and every stretch that differs is counted with the letters around it (Brill and Moore 2000, "An
Improved Error Model for Noisy Channel Spelling Correction"). A rule of several letters is kept where it is likelier
than the rules of one letter that do the same.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from keyboard_lm.files import write_text_whole

START = "^"
_VOWELS = frozenset("aeiou")
_Op = tuple[str, str]  # meant, typed; "" on one side


@dataclass(frozen=True)
class SpellingFitOptions:
    """What is kept.

    Attributes:
        rate: of misspelling a word that lists of misspellings hold.
        longest: letters of one side of a rule.
        least_words: whose misspellings a rule must be seen in: one word's oddities are no rule.
        least_gain: logarithm by which a longer rule must be likelier than shorter ones together.
        most_rules: of several letters.
        smoothing: occurrences added to those of what was meant.
    """

    rate: float = 0.04
    longest: int = 4
    least_words: int = 4
    least_gain: float = 0.8
    most_rules: int = 900
    smoothing: float = 8.0


def aligned(meant: str, typed: str) -> list[_Op]:
    """Return the cheapest edits that make one word of the other; a swap of two letters is one edit."""
    rows, columns = len(meant) + 1, len(typed) + 1
    cost = [[0.0] * columns for _ in range(rows)]
    step = [[(0, 0)] * columns for _ in range(rows)]
    for i in range(rows):
        for j in range(columns):
            ways: list[tuple[float, tuple[int, int]]] = []
            if i and j:
                a, b = meant[i - 1], typed[j - 1]
                ways.append((cost[i - 1][j - 1] + _substitution(a, b), (1, 1)))
            if i:
                doubled = i > 1 and meant[i - 1] == meant[i - 2]
                ways.append((cost[i - 1][j] + (0.7 if doubled else 0.95), (1, 0)))
            if j:
                doubled = j > 1 and typed[j - 1] == typed[j - 2]
                ways.append((cost[i][j - 1] + (0.7 if doubled else 0.95), (0, 1)))
            if i > 1 and j > 1 and meant[i - 2 : i] == typed[j - 1] + typed[j - 2] and meant[i - 1] != meant[i - 2]:
                ways.append((cost[i - 2][j - 2] + 0.9, (2, 2)))
            if ways:
                cost[i][j], step[i][j] = min(ways)
    ops: list[_Op] = []
    i, j = len(meant), len(typed)
    while i or j:
        di, dj = step[i][j]
        ops.append((meant[i - di : i], typed[j - dj : j]))
        i, j = i - di, j - dj
    return ops[::-1]


def _substitution(a: str, b: str) -> float:
    if a == b:
        return 0.0
    return 0.8 if a in _VOWELS and b in _VOWELS else 1.0


def stretches(ops: list[_Op], longest: int) -> Iterator[_Op]:
    """Yield every stretch of edits around one that differs, with up to two equal letters on each side."""
    is_edit = [a != b for a, b in ops]
    first = 0
    while first < len(ops):
        if not is_edit[first]:
            first += 1
            continue
        last = first
        while last + 1 < len(ops) and is_edit[last + 1]:
            last += 1
        for left in range(first, max(first - 4, -1), -1):
            for right in range(last, min(last + 4, len(ops))):
                inner = ops[left : right + 1]
                if any(is_edit[left:first]) or any(is_edit[last + 1 : right + 1]):
                    break
                meant, typed = "".join(a for a, _ in inner), "".join(b for _, b in inner)
                if meant and typed and len(meant) <= longest and len(typed) <= longest:
                    yield meant, typed
                    if left == 0:
                        yield START + meant, START + typed
        first = last + 1


def fit(pairs: Iterable[tuple[str, str]], options: SpellingFitOptions) -> dict[_Op, float]:
    """Return logarithms of probabilities, by what was meant and what was typed.

    Args:
        pairs: of what was typed and what was meant, in small letters.
        options: what is kept.
    """
    misspellings: dict[str, set[str]] = defaultdict(set)
    for typed, meant in pairs:
        misspellings[meant].add(typed)
    seen: dict[_Op, float] = defaultdict(float)  # each word counts once, whatever it was made of it
    words: Counter[_Op] = Counter()
    occurrences: Counter[str] = Counter()
    for meant, written in sorted(misspellings.items()):
        here = Counter(op for typed in written for op in set(stretches(aligned(meant, typed), options.longest)))
        for op, times in here.items():
            seen[op] += times / len(written)
            words[op] += 1
        parts = {meant[i : i + n] for n in range(1, options.longest + 1) for i in range(len(meant) - n + 1)}
        occurrences.update(parts)
        occurrences.update(START + meant[:n] for n in range(1, options.longest + 1))
    log_of = {
        (meant, typed): math.log(options.rate * weight / (occurrences[meant] + options.smoothing))
        for (meant, typed), weight in seen.items()
        if words[meant, typed] >= options.least_words
    }
    kept: dict[_Op, float] = {op: log for op, log in log_of.items() if is_simple(*op)}
    longer = sorted((op for op in log_of if op not in kept), key=lambda op: (len(op[0]) + len(op[1]), op))
    gains: dict[_Op, float] = {}
    for meant, typed in longer:
        gain = log_of[meant, typed] - _best_inside(meant, typed, kept | {op: log_of[op] for op in gains})
        if gain >= options.least_gain:
            gains[meant, typed] = gain * seen[meant, typed]
    best = sorted(gains, key=lambda op: (-gains[op], op))[: options.most_rules]
    return kept | {op: log_of[op] for op in best}


def is_simple(meant: str, typed: str) -> bool:
    """Return whether a rule is one letter for another, left out behind another, or put in behind another."""
    sizes = len(meant), len(typed)
    if START in meant:
        return False
    return sizes == (1, 1) or (sizes in ((2, 1), (1, 2)) and meant[0] == typed[0])


def _best_inside(meant: str, typed: str, rules: dict[_Op, float]) -> float:
    # The likeliest way to make one of the other by rules that are shorter than the two together.
    best: dict[tuple[int, int], float] = {(0, 0): 0.0}
    for i in range(len(meant) + 1):
        for j in range(len(typed) + 1):
            ways = [best[i, j]] if (i, j) in best else []
            if i and j and meant[i - 1] == typed[j - 1] and (i - 1, j - 1) in best:
                ways.append(best[i - 1, j - 1])
            for a in range(i):
                for b in range(j):
                    if (i - a, j - b) != (len(meant), len(typed)) and (a, b) in best:
                        log = rules.get((meant[a:i], typed[b:j]))
                        if log is not None:
                            ways.append(best[a, b] + log)
            if ways:
                best[i, j] = max(ways)
    return best.get((len(meant), len(typed)), -16.0)


@click.command()
@click.argument("misspellings", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
def main(misspellings: tuple[Path, ...], output: Path) -> None:
    """Write the rules of MISSPELLINGS, lines of what was typed, a tab and what was meant."""
    pairs = []
    for path in misspellings:
        for line in path.read_text(encoding="utf-8").splitlines():
            typed, _, meant = line.lower().partition("\t")
            is_pair = typed != meant and all(word.isalpha() and word.isascii() for word in (typed, meant))
            if is_pair and 2 * sum(a != b for a, b in aligned(meant, typed)) <= len(meant) + 1:
                pairs.append((typed, meant))
    rules = fit(pairs, SpellingFitOptions())
    rows = sorted((meant, typed, log) for (meant, typed), log in rules.items())
    write_text_whole(output, "".join(f"{meant}\t{typed}\t{log:.2f}\n" for meant, typed, log in rows))
    click.echo(f"{len(pairs):,} misspellings, {len(rows):,} rules")


if __name__ == "__main__":
    main()
