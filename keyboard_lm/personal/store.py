"""The personal store: learns what one user commits, answers before each word, forgets on request."""

from __future__ import annotations

import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Literal, TypeVar

from keyboard_lm.personal import counts
from keyboard_lm.personal.file import TABLES, PersonalFile, PersonalStoreError, refuse_database
from keyboard_lm.personal.model import Continuations, Interpolation, PersonalOptions
from keyboard_lm.personal.shortcuts import Shortcuts
from keyboard_lm.personal.words import Token, contexts, history, key_of
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import normalise

Source = Literal["typed", "accepted", "restored"]
Result = TypeVar("Result")

_MAX_CONTEXTS = 1024  # held in memory
_TIDY_EVERY = 1000  # learned words


class PersonalView:
    """What is known after one context, made by `PersonalStore.view`; it holds until something is learned.

    Attributes:
        weight: the personal model's share of a mixture, above 0 and below 1; the rest is the language model's.
    """

    def __init__(self, store: PersonalStore, found: Interpolation) -> None:
        self.weight = found.weight
        self._store = store
        self._found = found
        self._left = 1 - found.weight
        self._joints = found.joints

    def mix(self, model_probability: float, word: str) -> float:
        """Return a word's probability: 1 - weight parts the model's, weight parts the personal one."""
        joint = self._joints.get(word)
        if joint is None:
            joint = self._joints[word] = self._found.joint(fold(word))
        return self._left * model_probability + joint

    def candidates(self, prefix: str, limit: int) -> list[str]:
        """Return the most probable words that begin with what was typed, in any case, as they are mostly written."""
        return self._store.texts(self._found.best(fold(normalise(prefix)), limit))


@dataclass(frozen=True)
class _Learned:
    """What one transaction has written, for the tables in memory to follow."""

    state: counts.State
    ngrams: tuple[tuple[str, str, float], ...]  # context, word, mass
    is_rebased: bool


class PersonalStore:
    """A decayed n-gram cache over folded words: the contexts in use in memory, all of it in one file.

    A learned word is in the file when `learn` returns. A word that nobody knows is learned when it is seen again; until
    then it is in no answer. Answers depend on what was learned, not on the time: the clock only tells two sightings
    apart. Words are form tokens (`keyboard_lm.text.form`) with sentence capitals taken off, contexts the form tokens
    before them in the same message, punctuation included. To be used from one thread.

    Args:
        file: where everything is kept.
        options: how to learn and how to mix.
        clock: seconds of the day, not of the process: sightings by different processes are compared.
        knows: whether the lexicon or the model knows a word, so that it is no typo.

    Attributes:
        shortcuts: what the writer types for something longer.
    """

    def __init__(
        self,
        file: PersonalFile,
        options: PersonalOptions | None = None,
        clock: Callable[[], float] = time.time,
        knows: Callable[[str], bool] = lambda word: False,
    ) -> None:
        self.options = options or PersonalOptions()
        self._file = file
        self._clock = clock
        self._knows = knows
        self._epoch = -1  # of the file, when what follows was read from it
        self._num_readings = 0  # how often it was read anew
        self._state = counts.State(0, 0, self.options.half_life_words)
        self._tables: OrderedDict[str, Continuations] = OrderedDict()  # by context
        self._texts: dict[str, str] = {}  # folded word -> as it is mostly written
        self._blocks: frozenset[tuple[str, str]] | None = None
        self._last: tuple[tuple[str, ...], Interpolation] | None = None  # the context asked about last
        self.shortcuts = Shortcuts(file)

    @classmethod
    def open(
        cls,
        path: Path | None,
        clock: Callable[[], float] = time.time,
        knows: Callable[[str], bool] = lambda word: False,
        options: PersonalOptions | None = None,
    ) -> PersonalStore:
        """Open a file, which is made if there is none; None keeps everything in memory.

        A damaged file is set aside, which adds a warning.

        Raises:
            PersonalStoreError: it cannot be opened, is something else, or is of a newer version.
        """
        return cls(PersonalFile(path), options, clock, knows)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> PersonalStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def path(self) -> Path | None:
        """The file; None where everything is in memory."""
        return self._file.path

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong without stopping anything, the latest last: a damaged file, a word that was not written."""
        return tuple(self._file.warnings)

    # Learning

    def learn(
        self, words: Sequence[str], context: Sequence[str] = (), source: Source = "typed", is_private: bool = False
    ) -> None:
        """Learn what was committed, in one transaction; where the file cannot be written now, that adds a warning.

        Args:
            words: what was committed, in order.
            context: what stands before it; nothing is learned about that.
            source: words ``accepted`` from the bar or ``restored`` after a correction are meant as they are and learned
                at once.
            is_private: in a password field or a private window: nothing is learned.
        """
        if is_private or not any(Token.of(word).key for word in words):
            return
        now = self._clock()

        def change(connection: Connection) -> _Learned:
            self._refresh(connection)
            return self._write(connection, words, context, source, now)

        try:
            learned = self._file.write(change)
        except PersonalStoreError as error:
            self._file.warn(f"not learned: {error}")
            return
        tidied_before = self._state.num_events // _TIDY_EVERY
        self._state, self._last = learned.state, None
        if learned.is_rebased:
            self._epoch = -1
        for context_key, word, mass in learned.ngrams:
            self._texts.pop(word, None)
            if context_key in self._tables:
                self._tables[context_key].add(word, mass)
        if self._state.num_events // _TIDY_EVERY > tidied_before:
            self._tidy()

    def _write(
        self, connection: Connection, words: Sequence[str], context: Sequence[str], source: Source, now: float
    ) -> _Learned:
        state = self._state
        is_rebased = False
        known = self._table(connection, "")
        new: set[str] = set()
        ngrams = []
        tokens = [*context, *words]
        for index, token in enumerate(map(Token.of, words), len(context)):
            if not token.key:
                continue
            state = state.next()
            if state.num_events - state.origin > counts.MAX_GROWTH * state.half_life or (
                state.half_life != self.options.half_life_words
            ):
                state = counts.rebase(connection, state, self.options.half_life_words)
                is_rebased = True
            if token.key in known or token.key in new:
                sightings = 1
            else:
                sightings = self._sightings(connection, token, state.num_events, source, now)
            if not sightings:
                continue
            keys = history(tokens[:index], lambda key: key in known or key in new)
            for context_key in contexts(keys).values():
                mass = state.mass * (1 if context_key else sightings)
                counts.add_ngram(connection, context_key, token.key, mass)
                ngrams.append((context_key, token.key, mass))
            counts.add_form(connection, token.key, token.text, state.mass)
            new.add(token.key)
        counts.write_state(connection, state)
        return _Learned(state, tuple(ngrams), is_rebased)

    def _sightings(self, connection: Connection, token: Token, event: int, source: Source, now: float) -> int:
        """Return how many sightings of a new word count now: none as long as it may be a typo."""
        seen = connection.execute("SELECT seen_at, event FROM pending WHERE word = ?", (token.key,)).fetchall()
        is_meant = source != "typed" or token.is_symbol or self._knows(token.text)
        if not is_meant:
            if not seen or event - seen[0][1] > self.options.quarantine_words:
                connection.execute("INSERT OR REPLACE INTO pending VALUES (?, ?, ?)", (token.key, now, event))
                return 0
            if 0 <= now - seen[0][0] < self.options.quarantine_s:
                return 0
        connection.execute("DELETE FROM pending WHERE word = ?", (token.key,))
        return 1 + len(seen)

    def _tidy(self) -> None:
        """Drop the weakest n-grams where there are too many, and unknown words that were seen once, long ago."""

        def change(connection: Connection) -> None:
            oldest = self._state.num_events - self.options.quarantine_words
            connection.execute("DELETE FROM pending WHERE event < ?", (oldest,))
            if counts.evict(connection, self.options.max_ngrams):
                self._epoch = -1

        try:
            self._file.write(change)
        except PersonalStoreError as error:
            self._file.warn(f"nothing dropped: {error}")

    # Answering

    def held(self) -> AbstractContextManager[None]:
        """Look only once for what other processes have written, however much is asked inside."""
        return self._file.held()

    def view(self, context: Sequence[str]) -> PersonalView | None:
        """Return all that is known after a context, to be asked until something is learned.

        Args:
            context: what stands before the word.

        Returns:
            None where nothing is known, so that the language model's probabilities stand as they are.
        """

        def ask(connection: Connection) -> PersonalView | None:
            found = self._at(connection, context)
            return PersonalView(self, found) if found.weight else None

        return self._read(ask, None)

    def words(self, limit: int | None = None) -> list[str]:
        """Return the heaviest words of all, as they are mostly written; None for every one."""

        def ask(connection: Connection) -> list[str]:
            table = self._table(connection, "")
            return [self._text(connection, key) for key in table.best("", len(table) if limit is None else limit)]

        return self._read(ask, [])

    def num_words(self) -> int:
        """Return how many words have been learned."""
        return self._read(lambda connection: len(self._table(connection, "")), 0)

    def words_state(self) -> tuple[int, int]:
        """Return what is another whenever a word has come or gone, here or in another process."""
        return self._read(lambda connection: (self._num_readings, len(self._table(connection, ""))), (0, 0))

    def texts(self, keys: list[str]) -> list[str]:
        """Return how folded words are mostly written."""
        return self._read(lambda connection: [self._text(connection, key) for key in keys], keys)

    def is_known(self, word: str) -> bool:
        """Return whether a word has been learned, in any case, so that no correction should touch it."""
        return self._read(lambda connection: key_of(word) in self._table(connection, ""), False)

    # Corrections that were taken back

    def block(self, literal: str, corrected: str) -> None:
        """Remember that the user took back a correction; `learn` the literal as ``restored`` to have it offered.

        Where the file cannot be written now, that adds a warning, and nothing is remembered.
        """
        pair = _pair(literal, corrected)
        try:
            self._file.write(lambda connection: connection.execute("INSERT OR IGNORE INTO block VALUES (?, ?)", pair))
        except PersonalStoreError as error:
            self._file.warn(f"not remembered: {error}")
            return
        self._blocks = None

    def unblock(self, literal: str, corrected: str) -> None:
        """Forget that the user took back a correction.

        Raises:
            PersonalStoreError: the file cannot be written, or traces stay because another process is reading it.
        """
        pair = _pair(literal, corrected)
        self._file.write(
            lambda connection: connection.execute("DELETE FROM block WHERE literal = ? AND corrected = ?", pair)
        )
        self._blocks = None
        self._file.purge()

    def blocks(self) -> list[tuple[str, str]]:
        """Return the corrections that the user took back, each as literal and corrected, in alphabetical order."""
        return sorted(self._known_blocks())

    def is_blocked(self, literal: str, corrected: str) -> bool:
        """Return whether the user took back this very correction."""
        return _pair(literal, corrected) in self._known_blocks()

    def is_protected(self, word: str) -> bool:
        """Return whether the user took back any correction of a word but of its case, so that none should touch it."""
        blocks = self._known_blocks()
        if not blocks:
            return False
        key = key_of(word)
        return any(literal == key and fold(corrected) != key for literal, corrected in blocks)

    # The user's rights

    def forget(self, word: str) -> bool:
        """Delete a word in any case, all phrases with it and all that was remembered of its corrections.

        Returns:
            Whether anything was known of it.

        Raises:
            PersonalStoreError: the file cannot be written, or traces stay because another process is reading it.
        """
        key = key_of(word)

        def change(connection: Connection) -> int:
            pairs = [pair for pair in _read_blocks(connection) if key in map(fold, pair)]
            for pair in pairs:
                connection.execute("DELETE FROM block WHERE literal = ? AND corrected = ?", pair)
            return len(pairs) + counts.forget(connection, key)

        num_rows = self._file.write(change)
        self._epoch = -1
        self._file.purge()
        return num_rows > 0

    def clear(self) -> None:
        """Delete everything: what the file and its write-ahead log hold, and damaged files that were set aside.

        Raises:
            PersonalStoreError: a file cannot be written, or traces stay because another process is reading it.
        """

        def change(connection: Connection) -> None:
            for table in (*TABLES, "state"):
                connection.execute(f"DELETE FROM {table}")

        self._file.write(change)
        self._epoch = -1
        self.shortcuts.reread()
        self._file.remove_set_aside()
        self._file.purge()

    def export(self, path: Path) -> None:
        """Write everything as JSON lines (see `keyboard_lm.personal.archive`), readable by its owner only.

        Raises:
            PersonalStoreError: the file cannot be written, or holds what a keyboard has learned: this one or another.
        """
        from keyboard_lm.personal import archive  # which typing does without

        refuse_database(path)
        rows = self._file.write(lambda connection: archive.rows(connection, self.options.half_life_words))
        archive.save(path, rows)

    def import_from(self, path: Path) -> None:
        """Add what `export` wrote to what is known, counts as they were then.

        Raises:
            PersonalStoreError: the file cannot be read or is no export; nothing was added.
        """
        from keyboard_lm.personal import archive

        rows = archive.load(path)

        def change(connection: Connection) -> None:
            self._refresh(connection)
            archive.add(connection, rows, self._state)
            counts.write_state(connection, self._state)

        self._file.write(change)
        self._epoch = -1
        self.shortcuts.reread()

    # Memory

    def _read(self, ask: Callable[[Connection], Result], otherwise: Result) -> Result:
        known = self._file.looked_at
        if known is not None and self._epoch == self._file.epoch:
            try:
                return ask(known)
            except (sqlite3.Error, UnicodeDecodeError):
                pass  # what is wrong is found out below

        def refresh_and_ask(connection: Connection) -> Result:
            self._refresh(connection)
            return ask(connection)

        try:
            return self._file.read(refresh_and_ask)
        except PersonalStoreError as error:
            self._file.warn(f"not asked: {error}")
            return otherwise

    def _refresh(self, connection: Connection) -> None:
        """Drop what is in memory if the file has changed since it was read."""
        if self._epoch != self._file.epoch:
            self._tables.clear()
            self._texts.clear()
            self._blocks = self._last = None
            self._state = counts.read_state(connection, self.options.half_life_words)
            self._epoch = self._file.epoch
            self._num_readings += 1

    def _at(self, connection: Connection, context: Sequence[str]) -> Interpolation:
        # From one letter of a word to the next nothing changes.
        tokens = tuple(context)
        if self._last is None or self._last[0] != tokens:
            orders = {order: self._table(connection, key) for order, key in contexts(history(tokens)).items()}
            self._last = tokens, Interpolation(orders, 1 / self._state.mass, self.options)
        return self._last[1]

    def _table(self, connection: Connection, context: str) -> Continuations:
        table = self._tables.get(context)
        if table is None:
            table = self._tables[context] = Continuations(counts.continuations(connection, context))
            if len(self._tables) > _MAX_CONTEXTS:
                self._tables.popitem(last=False)
        self._tables.move_to_end(context)
        return table

    def _text(self, connection: Connection, key: str) -> str:
        if key not in self._texts:
            self._texts[key] = counts.heaviest_form(connection, key)
        return self._texts[key]

    def _known_blocks(self) -> frozenset[tuple[str, str]]:
        if self._blocks is not None and self._epoch == self._file.epoch and self._file.looked_at is not None:
            return self._blocks

        def ask(connection: Connection) -> frozenset[tuple[str, str]]:
            if self._blocks is None:
                self._blocks = frozenset(_read_blocks(connection))
            return self._blocks

        return self._read(ask, frozenset[tuple[str, str]]())


def _read_blocks(connection: Connection) -> list[tuple[str, str]]:
    query = "SELECT literal, corrected FROM block WHERE typeof(literal) = 'text' AND typeof(corrected) = 'text'"
    return connection.execute(query).fetchall()


def _pair(literal: str, corrected: str) -> tuple[str, str]:
    # Pairs that differ in case only are kept as they are written.
    keys = key_of(literal), key_of(corrected)
    return keys if keys[0] != keys[1] else (normalise(literal), normalise(corrected))
