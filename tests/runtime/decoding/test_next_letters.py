"""Next letters against an enumeration of piece sequences, on toy networks."""

from __future__ import annotations

import zlib
from collections import defaultdict
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyboard_lm.decoding.context import Boundary, ContextCache
from keyboard_lm.decoding.next_letters import END, next_letters
from keyboard_lm.decoding.pieces import PieceTable
from keyboard_lm.keyboard.bar import Request
from keyboard_lm.network.tokenizer import Tokenizer

PIECES = ["<unk>", "<s>", "</s>", "a", "b", "ab", "aB", "▁", "a▁", "b▁", "ab▁", "ba▁", "Ab▁", "'", "'a▁", "!▁", "␣"]
OPENS = ("a", "b", "ab", "aB", "'")
ENDS = ("▁", "a▁", "b▁", "ab▁", "ba▁", "Ab▁", "'a▁")
NO_WORD_BEGINS_WITH = ("▁", "'a▁", "'")
BOS = (1,)
MAX_PIECES = 4
PREFIXES = st.sampled_from(["", "a", "b", "ab", "ba", "aba", "abab", "A", "aB", "a'", "'", "c"])
SEEDS = st.integers(0, 10_000)

TABLE = PieceTable(
    cast(
        Tokenizer,
        SimpleNamespace(
            pieces=tuple(PIECES),
            is_prefix_space=False,
            control_ids=frozenset({0, 1, 2}),
            byte_ids=frozenset(),
            eos_id=2,
        ),
    )
)


def random_logits(seed: int) -> Any:
    def next_logits(ids: tuple[int, ...]) -> Any:
        rng = np.random.default_rng([seed, zlib.crc32(repr(ids).encode())])
        return (rng.normal(size=len(PIECES)) * 2).astype(np.float32)

    return next_logits


def probabilities(logits: Any) -> dict[str, float]:
    weights = np.exp(logits.astype(np.float64))
    return dict(zip(PIECES, weights / weights.sum(), strict=True))


def enumerated(next_logits: Any, prefix: str, depth: int) -> dict[str, float]:
    """Return what follows the prefix in all sequences of at most `depth` pieces, by letters alone."""
    after: dict[str, float] = defaultdict(float)

    def visit(ids: tuple[int, ...], written: str, mass: float) -> None:
        for piece, probability in probabilities(next_logits(ids)).items():
            if piece not in OPENS + ENDS or (len(ids) == 1 and piece in NO_WORD_BEGINS_WITH):
                continue
            longer = (written + piece).lower().replace("▁", END)
            if longer.startswith(prefix.lower()) and len(longer) > len(prefix):
                after[longer[len(prefix)]] += mass * probability
            elif prefix.lower().startswith(longer) and len(ids) < depth:
                visit((*ids, PIECES.index(piece)), longer, mass * probability)

    visit(BOS, "", 1.0)
    total = sum(after.values())
    return {letter: mass / total for letter, mass in after.items()}


def all_open_paths(depth: int) -> list[tuple[int, ...]]:
    paths: list[tuple[int, ...]] = [()]
    for _ in range(depth):
        paths += [(*path, PIECES.index(piece)) for path in paths for piece in OPENS if piece != "'" or path]
    return sorted(set(paths) - {()})


@pytest.fixture
def boundary_of(toy_backend: Any) -> Any:
    def make(next_logits: Any) -> Boundary:
        return ContextCache(toy_backend(next_logits, len(PIECES))).at(BOS)

    return make


@settings(max_examples=60)
@given(SEEDS, PREFIXES)
def test_where_all_is_known_they_equal_enumeration(toy_backend: Any, seed: int, prefix: str) -> None:
    boundary = ContextCache(toy_backend(random_logits(seed), len(PIECES))).at(BOS)
    boundary.expand(all_open_paths(MAX_PIECES))
    found = next_letters(TABLE, boundary, prefix)
    assert found == pytest.approx(enumerated(random_logits(seed), prefix, MAX_PIECES + 1), rel=1e-4)


@settings(max_examples=60)
@given(SEEDS, PREFIXES)
def test_from_one_distribution_they_are_shares_of_the_pieces_that_go_on(
    toy_backend: Any, seed: int, prefix: str
) -> None:
    backend = toy_backend(random_logits(seed), len(PIECES))
    found = next_letters(TABLE, ContextCache(backend).at(BOS), prefix)
    assert found == pytest.approx(enumerated(random_logits(seed), prefix, 1), rel=1e-4)
    assert backend.tree_sizes == []
    assert not found or sum(found.values()) == pytest.approx(1)


def test_letters_that_no_piece_has_give_none(boundary_of: Any) -> None:
    assert next_letters(TABLE, boundary_of(random_logits(1)), "привет") == {}


def test_a_suggester_gives_them_without_asking_the_network(toy_tokenizer: Any) -> None:
    from keyboard_lm.keyboard.language import load_language
    from keyboard_lm.keyboard.suggester import Suggester
    from keyboard_lm.touch.layout import load_layout

    tokenizer = toy_tokenizer(["hello", "help", "you"])
    network = tokenizer.network({"": {"hello▁": 0.3, "help▁": 0.1, "you▁": 0.2}})
    suggester = Suggester(network, tokenizer.as_tokenizer(), load_language(), load_layout())
    request = Request("")
    assert suggester.next_letters(request) == {}
    suggester.answer(request)
    num_fed, num_trees = network.num_fed, len(network.tree_sizes)
    assert suggester.next_letters(request) == pytest.approx({"h": 0.4 / 0.6, "y": 0.2 / 0.6}, rel=1e-4)
    assert suggester.next_letters(Request("Hel")) == pytest.approx({"l": 0.75, "p": 0.25}, rel=1e-4)
    assert (network.num_fed, len(network.tree_sizes)) == (num_fed, num_trees)
