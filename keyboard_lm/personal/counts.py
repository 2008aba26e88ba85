"""Decayed counts in the tables of a personal file.

A count decays by standing still while new ones grow: an occurrence is written with a mass that doubles every half-life,
so that no row needs to be touched for growing old. When masses have grown far, all are brought down together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from sqlite3 import Connection

from keyboard_lm.personal.file import DamagedFile

MAX_GROWTH = 512.0  # half-lives until masses are brought down; a float has room for 1023
_NEGLIGIBLE = 1e-30
# Damage that SQLite does not see must not become a NaN.
IS_SANE = "typeof(word) = 'text' AND typeof(mass) = 'real' AND mass > 0 AND mass < 1e200"


@dataclass(frozen=True)
class State:
    """Where a file stands.

    Attributes:
        num_events: words learned since it was made.
        origin: the event at which an occurrence has a mass of 1.
        half_life: events after which it counts half.
    """

    num_events: int
    origin: int
    half_life: float

    @property
    def mass(self) -> float:
        """What an occurrence at the latest event weighs."""
        return math.exp2((self.num_events - self.origin) / self.half_life)

    def next(self) -> State:
        """Return the state one event on."""
        return State(self.num_events + 1, self.origin, self.half_life)


def read_state(connection: Connection, half_life: float) -> State:
    """Return the state of a file; `half_life` is that of a file that has none yet.

    Raises:
        DamagedFile: it makes no sense.
    """
    rows = connection.execute("SELECT num_events, origin, half_life FROM state").fetchall()
    if not rows:
        return State(0, 0, half_life)
    state = State(*rows[0])
    is_sane = (
        isinstance(state.num_events, int)
        and isinstance(state.origin, int)
        and isinstance(state.half_life, float)
        and 0 <= state.origin <= state.num_events
        and 1 <= state.half_life < math.inf
        and state.num_events - state.origin <= (MAX_GROWTH + 1) * state.half_life
    )
    if not is_sane:
        raise DamagedFile("impossible state")
    return state


def write_state(connection: Connection, state: State) -> None:
    """Keep the state."""
    connection.execute("DELETE FROM state")
    connection.execute("INSERT INTO state VALUES (?, ?, ?)", (state.num_events, state.origin, state.half_life))


def add_ngram(connection: Connection, context: str, word: str, mass: float) -> None:
    """Make an n-gram heavier."""
    connection.execute(
        "INSERT INTO ngram VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET mass = mass + excluded.mass",
        (context, word, mass),
    )


def add_form(connection: Connection, word: str, text: str, mass: float) -> None:
    """Make a way to write a word heavier."""
    connection.execute(
        "INSERT INTO form VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET mass = mass + excluded.mass", (word, text, mass)
    )


def continuations(connection: Connection, context: str) -> dict[str, float]:
    """Return the masses of the words that followed a context."""
    return dict(connection.execute(f"SELECT word, mass FROM ngram WHERE context = ? AND {IS_SANE}", (context,)))


def heaviest_form(connection: Connection, word: str) -> str:
    """Return how a word is mostly written."""
    query = f"SELECT text FROM form WHERE word = ? AND {IS_SANE} ORDER BY mass DESC, text LIMIT 1"
    rows = connection.execute(query, (word,)).fetchall()
    return str(rows[0][0]) if rows else word


def rebase(connection: Connection, state: State, half_life: float) -> State:
    """Bring all masses down, so that an occurrence has a mass of 1 again, and drop those that nothing is left of.

    Args:
        connection: in a transaction.
        state: the one to leave.
        half_life: from now on.
    """
    for table in ("ngram", "form"):
        connection.execute(f"UPDATE {table} SET mass = mass / ?", (state.mass,))
        connection.execute(f"DELETE FROM {table} WHERE mass < ?", (_NEGLIGIBLE,))
    _drop_orphans(connection)
    return State(state.num_events, state.num_events, half_life)


def evict(connection: Connection, max_ngrams: int) -> bool:
    """Drop the weakest n-grams if there are more than `max_ngrams`, a tenth of them at least; say whether it was done.

    A word is never lighter than the longer n-grams that end with it, so it does not go before them.
    """
    [(number,)] = connection.execute("SELECT COUNT(*) FROM ngram")
    if number <= max_ngrams:
        return False
    kept = max_ngrams - max_ngrams // 10
    [(mass,)] = connection.execute("SELECT mass FROM ngram ORDER BY mass DESC LIMIT 1 OFFSET ?", (kept,))
    connection.execute("DELETE FROM ngram WHERE mass <= ?", (mass,))
    _drop_orphans(connection)
    return True


def forget(connection: Connection, word: str) -> int:
    """Delete all that holds a folded word; return how many rows that were."""
    before = connection.total_changes
    connection.execute("DELETE FROM ngram WHERE word = ? OR instr(' ' || context || ' ', ?)", (word, f" {word} "))
    connection.execute("DELETE FROM form WHERE word = ?", (word,))
    connection.execute("DELETE FROM pending WHERE word = ?", (word,))
    return connection.total_changes - before


def _drop_orphans(connection: Connection) -> None:
    connection.execute("DELETE FROM form WHERE word NOT IN (SELECT word FROM ngram WHERE context = '')")
