"""The text before the cursor as the network holds it: one KV cache, moved as little as possible between keystrokes."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.backends.protocol import ROOT, Backend, KeepingBackend, Logits
from keyboard_lm.decoding.pieces import PieceSet
from keyboard_lm.decoding.word_boundary import SUFFIX_SPACE, Path, Probabilities, WordBoundary
from keyboard_lm.device.turn import Turn

_MAX_KEPT = 16  # chains of a few tokens that were scored, some KB each


class Known:
    """What the network has said after one context, and after the continuations of it that were asked for so far.

    Attributes:
        context_ids: the context.
        probabilities: the next piece's, by continuation.
        arranged: the same for some pieces in their order, by those, continuation and whether a word begins there.
        words: the most probable words after a continuation, by that and how many were wanted, once looked for.
    """

    def __init__(self, context_ids: Path, first: Probabilities) -> None:
        self.context_ids = context_ids
        self.probabilities: dict[Path, Probabilities] = {(): first}
        self.arranged: dict[tuple[PieceSet, Path, bool], Probabilities] = {}
        self.words: dict[tuple[Path, int], list[tuple[str, float]]] = {}
        self._num_bytes = 0
        self._num_counted = (0, 0)  # of both

    def num_bytes(self) -> int:
        """Return the size of all of it; what was counted before is not looked at again, for nothing ever goes."""
        counted = len(self.probabilities), len(self.arranged)
        if counted != self._num_counted:
            new = [num - before for num, before in zip(counted, self._num_counted, strict=True)]
            for values in islice(reversed(self.probabilities.values()), new[0]):
                self._num_bytes += values.nbytes
            for values in islice(reversed(self.arranged.values()), new[1]):
                self._num_bytes += values.nbytes
            self._num_counted = counted
        return self._num_bytes


class KnownBudget:
    """What several context caches may remember together: the boundary that was used longest ago is dropped first.

    A keyboard is left with its newest boundary as long as it is typed on; what is dropped is asked for again.

    Args:
        max_bytes: of all distributions; the one in use is kept whatever its size.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._used: OrderedDict[tuple[int, Path], tuple[ContextCache, int]] = OrderedDict()  # by cache and context

    @property
    def num_bytes(self) -> int:
        """Size of what is remembered, as it was when each boundary was last used."""
        return self._num_bytes

    def use(self, cache: ContextCache, known: Known) -> None:
        """Note that a boundary is being used, and drop others where there are too many."""
        key, size = (id(cache), known.context_ids), known.num_bytes()
        self._num_bytes += size - self._used.pop(key, (cache, 0))[1]
        self._used[key] = cache, size
        while self._num_bytes > self._max_bytes and len(self._used) > 1:
            (_, context_ids), (owner, freed) = self._used.popitem(last=False)
            self._num_bytes -= freed
            owner.drop(context_ids)

    def release(self, cache: ContextCache) -> None:
        """Forget about a cache that remembers nothing any more."""
        for key in [key for key in self._used if key[0] == id(cache)]:
            self._num_bytes -= self._used.pop(key)[1]


class Boundary:
    """The boundary after a context, for one turn: what is known there, and more if the turn has room for a call.

    Made by `ContextCache.at`. Continuations are scored behind the cached context and change nothing in it.

    Attributes:
        words_after: see `Known.words`; kept from one keystroke to the next.
    """

    def __init__(self, cache: ContextCache, known: Known, turn: Turn) -> None:
        self._cache = cache
        self._turn = turn
        self._of_context = known
        self._end_id = cache.words.end_id
        self._known = known.probabilities
        self._arranged = known.arranged
        self.words_after = known.words

    def probabilities(self, path: Path = ()) -> Probabilities:
        """Return the next piece's probabilities after the context and `path`, which `expand` has seen.

        (V,); one more with prefix-space pieces, whose last is the end of the word (see `WordBoundary`).
        """
        return self._known[path if self._end_id is None else self._fed(path)]

    def arranged(self, pieces: PieceSet, path: Path = (), begins: bool = True) -> Probabilities:
        """Return the same for some pieces, in their order, (N,); kept from one keystroke to the next.

        Args:
            pieces: which.
            path: as above.
            begins: whether a word begins where the path ends; pieces that cannot begin one have none there.
        """
        key = pieces, path, begins
        known = self._arranged.get(key)
        if known is None:
            known = self.probabilities(path).take(pieces.ids)
            if begins:
                known *= pieces.may_begin
            self._arranged[key] = known
        return known

    def is_known(self, path: Path) -> bool:
        """Return whether `expand` has seen `path`, or a longer one that passes through it."""
        return (path if self._end_id is None else self._fed(path)) in self._known

    def expand(self, paths: Sequence[Path]) -> bool:
        """Score all `paths`, and the paths they pass through, in one call of the network.

        Returns:
            False where the turn has no room for the call: nothing more is known then.

        Raises:
            ContextLengthError: the tree does not fit behind the context.
        """
        nodes: dict[Path, int] = {}
        for path in paths if self._end_id is None else map(self._pieces, paths):
            for depth in range(1, len(path) + 1):
                nodes.setdefault(path[:depth], len(nodes))
        if not self._turn.take(len(nodes)):
            return False
        parents = [nodes[path[:-1]] if len(path) > 1 else ROOT for path in nodes]
        logits = self._cache.score_tree(
            self._of_context.context_ids, [path[-1] for path in nodes], parents, self._turn
        )  # (N, V)
        for path, row in zip(nodes, logits, strict=True):
            if path not in self._known:
                self._known[path] = self._cache.words.inside(row)
                if self._end_id is not None:
                    self._known[(*path, self._end_id)] = self._cache.words.first(row, path[-1])
                if len(path) == len(nodes):
                    self._cache.keep(self._of_context.context_ids, path)
        return True

    def _pieces(self, path: Path) -> Path:
        return tuple(piece_id for piece_id in path if piece_id != self._end_id)

    def _fed(self, path: Path) -> Path:
        # The end of a word is no piece: it matters only where it comes last.
        assert self._end_id is not None
        pieces = self._pieces(path)
        return (*pieces, self._end_id) if pieces and path[-1] == self._end_id else pieces


class ContextCache:
    """A backend that can be asked about any context; it computes only what differs from the one before.

    The last few boundaries are remembered, so going back to one (a deleted letter, the start of the word under the
    cursor) costs nothing.

    Args:
        backend: the network; nobody else may use its cache meanwhile.
        num_remembered: how many boundaries.
        words: how the tokenizer marks the boundary between words.
        budget: shared with other caches; None for none.
    """

    def __init__(
        self,
        backend: Backend,
        num_remembered: int = 4,
        words: WordBoundary = SUFFIX_SPACE,
        budget: KnownBudget | None = None,
    ) -> None:
        self.backend = backend
        self.words = words
        self._cached_ids: Path = ()
        self._keeper = backend if isinstance(backend, KeepingBackend) else None
        self._kept: dict[tuple[Path, Path], object] = {}  # chains scored behind cached contexts that stand unchanged
        self._num_remembered = num_remembered
        self._known: OrderedDict[Path, Known] = OrderedDict()
        self._budget = budget

    def at(self, context_ids: Sequence[int], turn: Turn | None = None) -> Boundary:
        """Return the boundary after `context_ids` (at least one), whatever that costs.

        Args:
            context_ids: the context.
            turn: of the answer that it is for; None where calls are not counted.

        Raises:
            ContextLengthError: they do not fit the KV cache.
        """
        ids = tuple(context_ids)
        turn = turn or Turn()
        known = self._known.get(ids)
        if known is None:
            first = self._looked_ahead(ids)
            if first is None:
                # The last token is fed again even if the cache holds it: its logits are what is wanted.
                first = self.words.first(self._feed(ids, min(self._shared(ids), len(ids) - 1), turn), ids[-1])
            known = self._known[ids] = Known(ids, first)
            if len(self._known) > self._num_remembered:
                self._known.popitem(last=False)
        self._known.move_to_end(ids)
        if self._budget is not None:
            self._budget.use(self, known)
        return Boundary(self, known, turn)

    def at_once(self, context_ids: Sequence[int], turn: Turn) -> Boundary | None:
        """Return the same if the network need not be asked, or the turn has room for that; else None."""
        ids = tuple(context_ids)
        is_free = ids in self._known or self._ahead_of(ids) is not None
        if not is_free and not turn.take(len(ids) - min(self._shared(ids), len(ids) - 1)):
            return None
        return self.at(ids, turn)

    def keep(self, context_ids: Path, path: Path) -> None:
        """Keep what the backend has just scored behind a context, a chain, for when the text goes on with it.

        What it says of the next piece, and the keys and values, are then those that feeding it would give, to the last
        bit: the same tokens in a call of their own.
        """
        if self._keeper is not None:
            if len(self._kept) >= _MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[context_ids, path] = self._keeper.kept(len(path))

    def _ahead_of(self, ids: Path) -> tuple[Path, Path] | None:
        # The cached context and the chain kept behind it that come to the wanted one: just those tokens would be fed.
        shared = self._shared(ids)
        context_ids, path = ids[:shared], ids[shared:]
        known = self._known.get(context_ids)
        if known is None or (context_ids, path) not in self._kept:
            return None
        return (context_ids, path) if self._end_of(path) in known.probabilities else None

    def _end_of(self, path: Path) -> Path:
        return path if self.words.end_id is None else (*path, self.words.end_id)

    def _looked_ahead(self, ids: Path) -> Probabilities | None:
        """Move the cache to a context without a call, and return what is known there; None where that is nothing."""
        found = self._ahead_of(ids)
        if found is None or self._keeper is None:
            return None
        context_ids, path = found
        kept = self._kept.pop(found)
        self._cut(len(context_ids))
        self._keeper.rewind(len(context_ids))
        self._keeper.append(kept, len(path))
        self._cached_ids = ids
        return self._known[context_ids].probabilities[self._end_of(path)]

    def forget(self) -> None:
        """Drop all that is cached, so that the next answer does not depend on earlier ones in its last bits."""
        self._cached_ids = ()
        self._kept.clear()
        self._known.clear()
        if self._budget is not None:
            self._budget.release(self)

    def drop(self, context_ids: Path) -> None:
        """Forget what the network said after one context."""
        self._known.pop(context_ids, None)

    def score_tree(self, context_ids: Path, token_ids: Sequence[int], parents: Sequence[int], turn: Turn) -> Logits:
        """Bring the cache to `context_ids` and score a tree behind it, as `Backend.score_tree` does."""
        shared = self._shared(context_ids)
        if shared < len(context_ids):
            self._feed(context_ids, shared, turn)
        elif shared < self.backend.length:
            self._cut(shared)
            self.backend.rewind(shared)
        begun = turn.clock()
        logits = self.backend.score_tree(token_ids, parents)
        turn.count_call(begun)
        return logits

    def _cut(self, length: int) -> None:
        # Count on no more than the first tokens of the cache: what lies behind them is about to be overwritten.
        self._cached_ids = self._cached_ids[:length]
        for key in [key for key in self._kept if len(key[0]) > length]:
            del self._kept[key]

    def _shared(self, ids: Path) -> int:
        shared = 0
        for cached, wanted in zip(self._cached_ids, ids, strict=False):
            if cached != wanted:
                break
            shared += 1
        return shared

    def _feed(self, ids: Path, kept: int, turn: Turn) -> Logits:
        # What is cached is forgotten first: a call that fails leaves a state that the next one can start from.
        self._cut(kept)
        begun = turn.clock()
        if not kept:
            logits = self.backend.prefill(ids)
        else:
            self.backend.rewind(kept)
            logits = self.backend.decode(ids[kept:])
        turn.count_call(begun)
        self._cached_ids = ids
        return logits


@dataclass(frozen=True)
class ContextWindow:
    """How much of the text before the cursor the network is given.

    Attributes:
        bos_id: the piece every context begins with.
        ends_token: whether a form token or a message ends with a piece, (V,).
        num_ids: most pieces of a context, ``bos_id`` included (at least 2).
        begins_token: whether one begins with a piece, (V,), where that and not the end is visible.
    """

    bos_id: int
    ends_token: NDArray[np.bool_]
    num_ids: int
    begins_token: NDArray[np.bool_] | None = None

    def fit(self, ids: Sequence[int]) -> Path:
        """Return the context of `ids`: ``bos_id``, then all of them, or as many of the last as there is room for.

        A longer text loses its oldest tokens up to the end of a word or message, and in steps of a quarter of the
        window and not with every word: what is cut moves everything, and costs a prefill. A single word longer than the
        window is cut inside.
        """
        room = self.num_ids - 1
        start = 0
        if len(ids) > room:
            step = max(1, room // 4)
            least = math.ceil((len(ids) - room) / step) * step
            if self.begins_token is None:
                cuts = np.flatnonzero(self.ends_token[list(ids[least - 1 : -1])])
            else:
                cuts = np.flatnonzero(self.begins_token[list(ids[least:])])
            start = least + int(cuts[0]) if len(cuts) else len(ids) - room
        return (self.bos_id, *ids[start:])
