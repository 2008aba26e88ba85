"""Keystroke savings of simulated users with and without a personal store.

    python tests/benchmarks/personal_savings.py TEXT [--messages 150] [--users 20] [--slots 3]

Each document of TEXT is one user (nus_sms.txt: real users), whose messages are typed in order by the typist of
`keyboard-lm eval savings`, without errors, on the whole keyboard with the bundled model. One keyboard learns each
message when it is finished, the other learns nothing. Users with the most messages come first. Prints a table for
people and one JSON line last; intervals are 95 % bootstraps over users.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import numpy as np

from keyboard_lm.backends import load_backend
from keyboard_lm.cli.table import format_table
from keyboard_lm.evaluation.estimate import Counts, Metric, difference, estimate
from keyboard_lm.evaluation.keyboard_engine import KeyboardEngine
from keyboard_lm.evaluation.savings import KeystrokeSavings
from keyboard_lm.evaluation.task import Conditions, Subject
from keyboard_lm.evaluation.texts import load_texts
from keyboard_lm.evaluation.typist import load_typist
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.personal import PersonalStore
from keyboard_lm.text.form import split_marks

SECONDS_PER_MESSAGE = 120.0  # the texts have no times; a message apart is a sighting apart
PARTS = ("all", "first third", "last third")


class User:
    """One keyboard with one user."""

    def __init__(self, checkpoint: Checkpoint, learns: bool) -> None:
        self._now = 0.0
        self._form = checkpoint.tokenizer.form
        knows = load_language().lexicon.known
        self._store = PersonalStore.open(None, clock=lambda: self._now, knows=knows) if learns else None
        backend = load_backend("onnx", checkpoint, num_threads=1)
        self._engine = KeyboardEngine(backend, checkpoint.tokenizer, personal=self._store)

    def start(self) -> None:
        """Become another user."""
        if self._store is not None:
            self._store.clear()

    def type(self, message: str, conditions: Conditions) -> Counts:
        """Type a message, then learn it."""
        rng = np.random.default_rng(0)
        counts = KeystrokeSavings().measure(Subject(self._engine), [message], conditions, rng)
        self._now += SECONDS_PER_MESSAGE
        if self._store is not None:
            tokens = [split_marks(token)[1] for token in self._form.encode(message).split()]
            self._store.learn(tokens)
        return counts


def metrics() -> tuple[Metric, ...]:
    """Return savings over all messages of a user, and over the first and the last third."""
    return tuple(
        Metric(part, f"{part} %", lambda sums, part=part: 100 * (1 - sums[f"{part} keys"] / sums[f"{part} chars"]))
        for part in PARTS
    )


def measure(users: Sequence[Sequence[str]], user: User, conditions: Conditions) -> list[Counts]:
    """Return the keys and characters of each user."""
    rows = []
    (num_slots,) = conditions.slots
    for messages in users:
        user.start()
        row = {f"{part} {what}": 0.0 for part in PARTS for what in ("keys", "chars")}
        for index, message in enumerate(messages):
            counts = user.type(message, conditions)
            third = 3 * index // len(messages)
            for part in ("all", *(["first third"] if third == 0 else ["last third"] if third == 2 else [])):
                row[f"{part} keys"] += counts[f"keys{num_slots}"]
                row[f"{part} chars"] += counts["chars"]
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("--messages", type=int, default=150, help="of each user at most")
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--slots", type=int, default=3)
    options = parser.parse_args()
    (text,) = load_texts(options.text)
    documents = sorted(text.documents, key=len, reverse=True)[: options.users]
    users = [document[: options.messages] for document in documents]
    conditions = Conditions(load_typist("perfect"), (options.slots,), fold_case=text.is_folded)
    checkpoint = Checkpoint.load(bundled_folder())
    without, learning = (measure(users, User(checkpoint, learns), conditions) for learns in (False, True))
    all_metrics = metrics()
    values = [estimate(rows, all_metrics, seed=0) for rows in (without, learning)]
    gains = difference(without, learning, all_metrics, seed=0)
    table, result = [[f"{text.name}, {options.slots} slots", "without", "with", "gain"]], {}
    for metric in all_metrics:
        before, after, gain = values[0][metric.name], values[1][metric.name], gains[metric.name]
        change = f"{gain.value:+.1f} [{gain.low:+.1f}, {gain.high:+.1f}]"
        table.append([f"savings, {metric.label}", f"{before.value:.1f}", f"{after.value:.1f}", change])
        result[metric.name] = {"without": before.value, "with": after.value, "low": gain.low, "high": gain.high}
    print(format_table(table))
    print(json.dumps({"users": len(users), "messages": sum(map(len, users)), **result}))


if __name__ == "__main__":
    main()
