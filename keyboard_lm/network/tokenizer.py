"""The SentencePiece tokenizer over the keyboard text form.

White space is a *suffix* of pieces (``treat_whitespace_as_suffix``): a piece that ends in ``▁`` ends a word, so a
word's probability needs no look-ahead (Pimentel & Meister 2024, "How to compute the probability of a word").

Models made elsewhere, such as Apple's OpenELM with Llama's tokenizer, have it as a *prefix*. Such a tokenizer is given
plain text, not the text form: `keyboard_lm.decoding.word_boundary` hides the difference from whoever looks for words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from keyboard_lm.errors import CheckpointError
from keyboard_lm.text.form import META_SPACE, TextForm

TOKENIZER_FILE = "tokenizer.model"
PROPER_NOUNS_FILE = "proper_nouns.txt"
WORD_END = META_SPACE


def has_prefix_space(pieces: Sequence[str]) -> bool:
    """Return whether white space stands at the beginning of a tokenizer's pieces, as Llama's, and not at their ends."""
    begins = sum(len(piece) > 1 and piece.startswith(META_SPACE) for piece in pieces)
    return begins > sum(len(piece) > 1 and piece.endswith(WORD_END) for piece in pieces)


class Tokenizer:
    """Form tokens to piece ids and back.

    Two control ids frame text: ``bos_id`` (``<s>``) starts a document or a text field with nothing known before it,
    ``eos_id`` (``</s>``) ends each message; with prefix-space pieces a line break does (`message_end_id`).

    Args:
        model: a serialised SentencePiece model.
        proper_nouns: the text form's list of words that keep their capital (see `TextForm`).

    Raises:
        CheckpointError: `model` is not a SentencePiece model.
    """

    def __init__(self, model: bytes, proper_nouns: Sequence[str] = ()) -> None:
        from sentencepiece import SentencePieceProcessor  # 40 ms that `--help` need not wait for

        self.form = TextForm(proper_nouns)
        self._model = model
        self._pieces = SentencePieceProcessor()
        try:
            self._pieces.LoadFromSerializedProto(model)
        except (RuntimeError, TypeError):
            raise CheckpointError("the tokenizer is not a SentencePiece model; restore it or retrain it") from None
        self.vocab_size: int = self._pieces.GetPieceSize()
        self.bos_id: int = self._pieces.bos_id()
        self.eos_id: int = self._pieces.eos_id()
        if self.bos_id < 0 or self.eos_id < 0:
            raise CheckpointError("the tokenizer has no <s> or </s> piece; train it with `keyboard-lm corpus`")
        spelled = "".join(self._pieces.EncodeAsPieces("a"))
        if not self.is_prefix_space and (not spelled.endswith(WORD_END) or spelled.startswith(WORD_END)):
            # Tools that save a model again may drop treat_whitespace_as_suffix, and SentencePiece says nothing.
            raise CheckpointError(
                "the tokenizer's pieces hold the space behind a word, and its settings no longer say so; take the "
                "tokenizer.model that the network was trained with"
            )

    @classmethod
    def load(cls, folder: Path) -> Tokenizer:
        """Read the tokenizer files of a checkpoint or corpus folder.

        Raises:
            CheckpointError: a file is missing or unreadable.
        """
        try:
            model = (folder / TOKENIZER_FILE).read_bytes()
            nouns = (folder / PROPER_NOUNS_FILE).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{folder}: cannot read the tokenizer ({error}); restore the folder") from None
        return cls(model, [noun for noun in nouns if noun])

    def save(self, folder: Path) -> None:
        """Write `tokenizer.model` and `proper_nouns.txt` into an existing folder."""
        (folder / TOKENIZER_FILE).write_bytes(self._model)
        nouns = "".join(f"{noun}\n" for noun in sorted(self.form.proper_nouns))
        (folder / PROPER_NOUNS_FILE).write_text(nouns, encoding="utf-8")

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the model and the proper nouns: what a network was trained with."""
        sha = hashlib.sha256(self._model)
        sha.update("\n".join(sorted(self.form.proper_nouns)).encode())
        return sha.hexdigest()

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """Every piece as text, by id; byte pieces read ``<0xNN>``, a word end is a final ``▁``."""
        return tuple(self._pieces.IdToPiece(list(range(self.vocab_size))))

    @cached_property
    def scores(self) -> tuple[float, ...]:
        """The log-probability (Unigram) or rank (BPE) of every piece, by id."""
        return tuple(self._pieces.GetScore(list(range(self.vocab_size))))

    @cached_property
    def byte_ids(self) -> frozenset[int]:
        """Ids of the 256 byte-fallback pieces."""
        return frozenset(i for i in range(self.vocab_size) if self._pieces.IsByte(i))

    @cached_property
    def control_ids(self) -> frozenset[int]:
        """Ids that stand for no text: ``<s>``, ``</s>``, ``<unk>`` and unused ones."""
        sp = self._pieces
        unknown = {sp.unk_id()} if sp.unk_id() >= 0 else set()  # a model has one at most
        return frozenset(unknown.union(i for i in range(self.vocab_size) if sp.IsControl(i) or sp.IsUnused(i)))

    @cached_property
    def is_prefix_space(self) -> bool:
        """Whether pieces hold the space before a word and stand for plain text."""
        return has_prefix_space(self.pieces)

    @cached_property
    def message_end_id(self) -> int:
        """The id that ends a message: ``</s>``, or a line break where pieces stand for plain text."""
        line_break: int = self._pieces.PieceToId("<0x0A>")
        return line_break if self.is_prefix_space and line_break in self.byte_ids else self.eos_id

    def encode_tokens(self, form_tokens: Sequence[str]) -> list[int]:
        """Return the piece ids of finished form tokens; the last id ends a word, or may do so (prefix-space)."""
        if not form_tokens:
            return []
        text = self.form.join(form_tokens) if self.is_prefix_space else " ".join(form_tokens)
        ids: list[int] = self._pieces.EncodeAsIds(text)
        return ids

    def encode_word(self, word: str) -> list[int]:
        """Return the piece ids of one form token inside a sentence, as it is cased."""
        ids: list[int] = self._pieces.EncodeAsIds(word)
        return ids

    def encode_forms(self, forms: Sequence[str], num_threads: int = 1) -> list[list[int]]:
        """Return the piece ids of many forms (lines of `TextForm.encode`), without control ids."""
        lines = [self.form.decode(form) for form in forms] if self.is_prefix_space else list(forms)
        ids: list[list[int]] = self._pieces.EncodeAsIds(lines, num_threads=num_threads)
        return ids

    def encode_message(self, text: str) -> list[int]:
        """Return the ids of one typed message, `message_end_id` last."""
        return [*self.encode_tokens(self.form.encode(text).split()), self.message_end_id]

    def decode_tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the form tokens that ids spell (control ids are skipped)."""
        text: str = self._pieces.DecodeIds([i for i in ids if i not in self.control_ids])
        return (self.form.encode(text) if self.is_prefix_space else text).split()
