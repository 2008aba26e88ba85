"""Cleaning of one raw document: which messages stay, and why the others go."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from keyboard_lm.text.form import normalise
from keyboard_lm_training.corpus.contractions import mend_contractions

_LINK = re.compile(r"https?://|www\.\w", re.IGNORECASE)
_EMAIL = re.compile(r"\w@[\w-]+\.\w")
_PHONE = re.compile(r"(?<![\d.,])\+?\(?\d(?:[\s().-]{0,2}\d){8,14}(?![\d.,])")
# What UTF-8 looks like after a trip through Latin-1 or Windows-1252, and the mark of undecodable bytes.
_MOJIBAKE = re.compile("\ufffd|\u00e2\u20ac|\u00f0\u0178|\u00c3[\u00a1-\u00bc]")


@dataclass(frozen=True, slots=True)
class CleanOptions:
    """What is dropped, and what is mended.

    Attributes:
        min_document_chars: shorter documents go (OpenELM: 200).
        min_document_tokens: documents of fewer pieces go; counted after the tokenizer (OpenELM: 256).
        max_message_chars: longer messages go; nobody types them.
        drop_personal: messages with a link, an e-mail address or a telephone number go.
        mend_contractions: English contractions get their apostrophe (``dont``): what people mean is learned, not what
            they leave standing.
    """

    min_document_chars: int = 0
    min_document_tokens: int = 0
    max_message_chars: int = 10_000
    drop_personal: bool = True
    mend_contractions: bool = False

    def mistakes(self) -> list[str]:
        """Return what is wrong with the values, in words."""
        found = [
            f"{name} must not be negative, not {getattr(self, name)}"
            for name in ("min_document_chars", "min_document_tokens")
            if getattr(self, name) < 0
        ]
        if self.max_message_chars < 1:
            found.append(f"max_message_chars must be at least 1, not {self.max_message_chars}")
        return found


def clean_document(lines: Iterable[str], options: CleanOptions) -> tuple[list[str], Counter[str]]:
    """Return the normalised messages of a document, and the number of messages dropped by reason.

    The reasons are ``empty``, ``long_message``, ``garbled``, ``personal`` and ``short_document``. A line that holds
    other line breaks (form feed, U+2028) is several messages.
    """
    messages: list[str] = []
    dropped: Counter[str] = Counter()
    for line in lines:
        text = normalise(line)
        if not text:
            dropped["empty"] += 1
            continue
        for message in text.split("\n"):
            reason = _drop_reason(message, options)
            if reason:
                dropped[reason] += 1
            else:
                messages.append(mend_contractions(message) if options.mend_contractions else message)
    if messages and sum(map(len, messages)) < options.min_document_chars:
        dropped["short_document"] += len(messages)
        messages = []
    return messages, dropped


def _drop_reason(message: str, options: CleanOptions) -> str:
    if len(message) > options.max_message_chars:
        return "long_message"
    if _MOJIBAKE.search(message):
        return "garbled"
    if options.drop_personal and (
        _LINK.search(message) or ("@" in message and _EMAIL.search(message)) or _PHONE.search(message)
    ):
        return "personal"
    return ""
