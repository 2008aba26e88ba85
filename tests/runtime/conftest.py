"""A network and a tokenizer whose every number a test can write down or look up."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
import pytest

from keyboard_lm.backends.protocol import ROOT, Logits, check_fits
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tokenizer import Tokenizer, has_prefix_space
from keyboard_lm.text.form import TextForm

NextLogits = Callable[[tuple[int, ...]], Logits]


class ToyBackend:
    """A `Backend` over a function from all ids so far to the next id's logits; it counts the work asked of it."""

    name = "toy"

    def __init__(self, next_logits: NextLogits, vocab_size: int, capacity: int = 4096) -> None:
        self.config = ModelConfig(
            num_transformer_layers=1, model_dim=32, head_dim=8, vocab_size=vocab_size, max_context_length=capacity
        )
        self.ids: tuple[int, ...] = ()
        self.num_fed = 0
        self.tree_sizes: list[int] = []
        self._next_logits = next_logits

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def capacity(self) -> int:
        return self.config.max_context_length

    def prefill(self, token_ids: Sequence[int]) -> Logits:
        check_fits(self, 0, len(token_ids))
        self.ids = ()
        return self.decode(token_ids)

    def decode(self, token_ids: Sequence[int]) -> Logits:
        check_fits(self, self.length, len(token_ids))
        self.ids += tuple(token_ids)
        self.num_fed += len(token_ids)
        return self._next_logits(self.ids)

    def score_tree(self, token_ids: Sequence[int], parents: Sequence[int]) -> Logits:
        check_fits(self, self.length, len(token_ids))
        self.tree_sizes.append(len(token_ids))
        paths: list[tuple[int, ...]] = []
        for token, parent in zip(token_ids, parents, strict=True):
            paths.append((*(self.ids if parent == ROOT else paths[parent]), token))
        return np.stack([self._next_logits(path) for path in paths])

    def rewind(self, length: int) -> None:
        assert 0 <= length <= self.length
        self.ids = self.ids[:length]


@pytest.fixture(scope="session")
def toy_backend() -> type[ToyBackend]:
    return ToyBackend


class ToyTokenizer:
    """A tokenizer whose pieces are some whole form tokens, then single characters for all others."""

    bos_id, eos_id = 1, 2
    message_end_id = eos_id
    control_ids = frozenset({0, 1, 2})
    byte_ids: frozenset[int] = frozenset()

    def __init__(self, tokens: Sequence[str], proper_nouns: Sequence[str] = ()) -> None:
        letters = [*"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'.,!?-⁀␣", "▁"]
        self.pieces = ("<unk>", "<s>", "</s>", *(f"{token}▁" for token in tokens), *letters)
        self.vocab_size = len(self.pieces)
        self.is_prefix_space = has_prefix_space(self.pieces)
        self.form = TextForm(proper_nouns)
        self._id_of = {piece: i for i, piece in enumerate(self.pieces)}

    def encode_tokens(self, form_tokens: Sequence[str]) -> list[int]:
        ids = []
        for token in form_tokens:
            whole = self._id_of.get(f"{token}▁")
            ids += [whole] if whole is not None else [self._id_of.get(char, 0) for char in f"{token}▁"]
        return ids

    def encode_message(self, text: str) -> list[int]:
        return [*self.encode_tokens(self.form.encode_tokens(text)), self.eos_id]

    def network(self, by_context: Mapping[str, Mapping[str, float]], capacity: int = 4096) -> ToyBackend:
        """Return a network of given probabilities: pieces since the last frame, joined -> piece -> probability.

        What a context does not mention is shared by `</s>`, so rows need not sum to 1.
        """

        def next_logits(ids: tuple[int, ...]) -> Logits:
            since = max(i for i, piece_id in enumerate(ids) if piece_id in self.control_ids) + 1
            row = dict(by_context.get(" ".join(self.pieces[i] for i in ids[since:]), {}))
            row["</s>"] = row.get("</s>", 0.0) + 1 - sum(row.values())
            with np.errstate(divide="ignore"):
                logits: Logits = np.log(np.array([row.get(piece, 0.0) for piece in self.pieces])).astype(np.float32)
            return logits

        return ToyBackend(next_logits, self.vocab_size, capacity)

    def random_network(self, seed: int, capacity: int = 4096) -> ToyBackend:
        """Return a network that draws each distribution from all ids before it."""

        def next_logits(ids: tuple[int, ...]) -> Logits:
            rng = np.random.default_rng([seed, zlib.crc32(repr(ids).encode())])
            return (rng.normal(size=self.vocab_size) * 2).astype(np.float32)

        return ToyBackend(next_logits, self.vocab_size, capacity)

    def as_tokenizer(self) -> Tokenizer:
        return cast(Tokenizer, self)


@pytest.fixture(scope="session")
def toy_tokenizer() -> type[ToyTokenizer]:
    return ToyTokenizer
