"""The most frequent words that begin with what has been typed: what a keyboard knows without its model."""

from __future__ import annotations

import heapq

from keyboard_lm.text.case import fold
from keyboard_lm.words.lexicon import Lexicon

_MOST_NODES = 2_000  # looked at; a beginning that many words share gives its best within a few dozen


def frequent_words(lexicon: Lexicon, prefix: str, limit: int) -> list[tuple[str, int]]:
    """Return offered words that begin with `prefix` in any case, each with its frequency, the most frequent first.

    A best-first search: a node of the trie knows the highest frequency below it.
    """
    node = lexicon.node_of(fold(prefix))
    if node is None:
        return []
    found: list[tuple[str, int]] = []
    # (minus a frequency, whether it is an entry's, number of entry or node)
    heap: list[tuple[int, bool, int]] = [(-int(lexicon.best_frequency[node]), False, node)]
    for _ in range(_MOST_NODES):
        if not heap or len(found) == limit:
            break
        rank, is_entry, number = heapq.heappop(heap)
        if rank == 0:
            break
        if is_entry:
            found.append((lexicon.text(number), -rank))
            continue
        for entry in range(int(lexicon.first_entry[number]), int(lexicon.first_entry[number + 1])):
            if not lexicon.flags[entry]:
                heapq.heappush(heap, (-int(lexicon.frequencies[entry]), True, entry))
        for child in range(int(lexicon.first_child[number]), int(lexicon.first_child[number + 1])):
            heapq.heappush(heap, (-int(lexicon.best_frequency[child]), False, child))
    return found
