"""The SentencePiece tokenizer over the keyboard text form.

White space is a *suffix* of pieces (``treat_whitespace_as_suffix``): a piece that ends in ``▁`` ends a word, so a
word's probability needs no look-ahead (Pimentel & Meister 2024, "How to compute the probability of a word").
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from keyboard_lm.errors import CheckpointError
from keyboard_lm.text import META_SPACE, TextForm

TOKENIZER_FILE = "tokenizer.model"
PROPER_NOUNS_FILE = "proper_nouns.txt"
WORD_END = META_SPACE


class Tokenizer:
    """Form tokens to piece ids and back.

    Two control ids frame text: ``bos_id`` (``<s>``) starts a document or a text field with nothing known before it,
    ``eos_id`` (``</s>``) ends each message.

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
    def byte_ids(self) -> frozenset[int]:
        """Ids of the 256 byte-fallback pieces."""
        return frozenset(i for i in range(self.vocab_size) if self._pieces.IsByte(i))

    @cached_property
    def control_ids(self) -> frozenset[int]:
        """Ids that stand for no text: ``<s>``, ``</s>``, ``<unk>`` and unused ones."""
        sp = self._pieces
        return frozenset(
            i for i in range(self.vocab_size) if sp.IsControl(i) or sp.IsUnknown(i) or sp.IsUnused(i)
        )  # fmt: skip

    def encode_tokens(self, form_tokens: Sequence[str]) -> list[int]:
        """Return the piece ids of finished form tokens; the last id ends a word."""
        if not form_tokens:
            return []
        ids: list[int] = self._pieces.EncodeAsIds(" ".join(form_tokens))
        return ids

    def encode_forms(self, forms: Sequence[str], num_threads: int = 1) -> list[list[int]]:
        """Return the piece ids of many forms (lines of `TextForm.encode`), without control ids."""
        ids: list[list[int]] = self._pieces.EncodeAsIds(list(forms), num_threads=num_threads)
        return ids

    def encode_message(self, text: str) -> list[int]:
        """Return the ids of one typed message, ``</s>`` last."""
        return [*self.encode_tokens(self.form.encode(text).split()), self.eos_id]

    def decode_tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the form tokens that ids spell (control ids are skipped)."""
        form: str = self._pieces.DecodeIds([i for i in ids if i not in self.control_ids])
        return form.split()
