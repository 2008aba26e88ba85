"""What of a text is learned: which form tokens are words, and which words stand before one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from keyboard_lm.text.case import fold
from keyboard_lm.text.form import TextForm, is_word, normalise, token_kind

START = "<s>"  # the beginning of a sentence, as a word of a context; no word looks like it
HISTORY_LENGTH = 2
_MAX_LENGTH = 48
_MAX_REMEMBERED = 2048  # words, each asked about several times a key
_MAX_DIGITS = 3  # words with more are PINs, codes, and numbers of cards and phones
_SENTENCE_ENDS = frozenset(".!?‽…。！？")
_FORM = TextForm()


@dataclass(frozen=True)
class Token:
    """A form token as personalisation sees it.

    Attributes:
        key: the folded word; "" where there is none to learn.
        text: the word as written.
        is_symbol: whether it is an emoji or an emoticon, which nobody mistypes.
        is_mark: whether it is punctuation.
        ends_sentence: whether it is punctuation that ends a sentence.
    """

    key: str = ""
    text: str = ""
    is_symbol: bool = False
    is_mark: bool = False
    ends_sentence: bool = False

    @classmethod
    def of(cls, token: str) -> Token:
        """Classify any text; what is not one form token is nothing to learn."""
        text = token if token.isascii() and token.isprintable() and " " not in token else normalise(token)
        if is_word(text):
            is_safe = len(text) <= _MAX_LENGTH and sum(map(str.isdigit, text)) <= _MAX_DIGITS
            return cls(fold(text), text) if is_safe else cls()
        parts = _FORM.encode_tokens(f"x {text}")[1:]  # in mid-sentence, where nothing is done to capitals
        if len(parts) != 1 or text not in parts[0] or len(text) > _MAX_LENGTH:
            return cls()
        kind = token_kind(text)
        if kind == "punct":
            return cls(is_mark=True, ends_sentence=text[-1] in _SENTENCE_ENDS and not text.startswith(".."))
        return cls(fold(text), text, is_symbol=kind != "dotted")


@lru_cache(maxsize=_MAX_REMEMBERED)
def key_of(word: str) -> str:
    """Return the folded form under which a word is kept."""
    return Token.of(word).key or fold(normalise(word))


def history(tokens: Sequence[str], is_known: Callable[[str], bool] = bool) -> list[str]:
    """Return the last words before the cursor, folded, `START` where the sentence begins.

    Punctuation inside a sentence is passed over. A word that is not known, or that is not to be learned, hides what is
    before it.

    Args:
        tokens: form tokens of one message.
        is_known: whether a folded word is in the store.
    """
    keys: list[str] = []
    for text in reversed(tokens):
        token = Token.of(text)
        if token.key and is_known(token.key):
            keys.append(token.key)
            if len(keys) == HISTORY_LENGTH:
                break
        elif token.ends_sentence:
            keys.append(START)
            break
        elif not token.is_mark:
            break
    else:
        keys.append(START)
    return keys[::-1]


def contexts(keys: Sequence[str]) -> dict[int, str]:
    """Return the contexts that a history gives, by the order of the n-grams that begin with them."""
    return {order: " ".join(keys[len(keys) - order + 1 :]) for order in range(1, len(keys) + 2)}
