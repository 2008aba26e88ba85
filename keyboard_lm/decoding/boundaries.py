"""From the text of a field to what the network says at the boundary before the word under the cursor."""

from __future__ import annotations

from collections.abc import Callable

from keyboard_lm.backends.protocol import Backend
from keyboard_lm.decoding.context import Boundary, ContextCache, ContextWindow, KnownBudget
from keyboard_lm.decoding.pieces import PieceTable
from keyboard_lm.decoding.word_boundary import Path, word_boundary
from keyboard_lm.device.turn import Turn
from keyboard_lm.errors import ConfigError
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.form import TypedText

_MOST_CHARS = 4096  # of a field that are looked at; far more than the window holds
_MAX_KNOWN = 4  # texts whose ids are remembered
_STEP_CHARS = 1024  # what is cut off grows by so much at a time: each cut costs a prefill


def recent(text: str) -> str:
    """Return the end of a long text, from the beginning of a word on, so that answers take no longer for it."""
    if len(text) <= _MOST_CHARS:
        return text
    start = -(-(len(text) - _MOST_CHARS) // _STEP_CHARS) * _STEP_CHARS
    space = text.find(" ", start, start + _STEP_CHARS)
    return text[space + 1 if space >= 0 else start :]


class Boundaries:
    """Keeps what the network has computed from one keystroke to the next.

    Args:
        backend: the network; nobody else may use its cache.
        tokenizer: the one it was trained with.
        max_nodes: largest tree that will be scored behind a context.
        table: of the tokenizer's pieces, where there is one already.
        budget: of what several caches remember together; None where each may remember its last boundaries.
        read: a token of the text, to the one that the network is given for it; None for the same.

    Attributes:
        table: of the tokenizer's pieces.
        cache: of contexts.

    Raises:
        ConfigError: the KV cache is too small for a context and a tree.
    """

    def __init__(
        self,
        backend: Backend,
        tokenizer: Tokenizer,
        max_nodes: int,
        table: PieceTable | None = None,
        budget: KnownBudget | None = None,
        read: Callable[[str], str] | None = None,
    ) -> None:
        self._read = read
        self.table = table or PieceTable(tokenizer)
        words = word_boundary(tokenizer)
        self.cache = ContextCache(backend, words=words, budget=budget)
        self._tokenizer = tokenizer
        self._known: dict[tuple[tuple[str, ...], ...], Path] = {}
        room = min(backend.capacity, backend.config.max_context_length) - max_nodes
        if room < 2:
            raise ConfigError(
                f"a search tree of {max_nodes} tokens leaves no room for text in a KV cache of {backend.capacity}; "
                "use a smaller max_nodes or a larger cache"
            )
        self._window = ContextWindow(tokenizer.bos_id, self.table.ends_token, room, words.begins_token)

    def at(self, typed: TypedText, turn: Turn | None = None) -> Boundary:
        """Return the boundary before the word under the cursor, or before the next one, whatever that costs."""
        return self.cache.at(self.ids(typed), turn)

    def at_once(self, typed: TypedText, turn: Turn) -> Boundary | None:
        """Return the same if the network need not be asked, or the turn has room for that; else None."""
        return self.cache.at_once(self.ids(typed), turn)

    def ids(self, typed: TypedText) -> Path:
        """Return the context's ids; those of the texts asked about last are remembered."""
        known = self._known.get(typed.messages)
        if known is not None:
            return known
        messages = typed.messages
        if self._read is not None:
            messages = tuple(tuple(map(self._read, message)) for message in messages)
        *earlier, current = messages
        ids: list[int] = []
        for message in earlier:
            ids += self._tokenizer.encode_tokens(message)
            ids.append(self._tokenizer.message_end_id)
        ids += self._tokenizer.encode_tokens(current)
        if len(self._known) >= _MAX_KNOWN:
            del self._known[next(iter(self._known))]
        known = self._known[typed.messages] = self._window.fit(ids)
        return known
