"""How words left wrong before the cursor are read: as what was meant, where that is beyond doubt."""

from __future__ import annotations

from functools import lru_cache, partial

from keyboard_lm.correction.candidates import CandidateSearch
from keyboard_lm.text.case import fold
from keyboard_lm.words.known_words import KnownWords

_LEAST_LETTERS = 5  # shorter ones look like too many words
_LEAST_CHANNEL = -8.0  # logarithm of an error or two of the usual kinds
_LEAST_LEAD = 3.0  # logarithm by which the best word must be ahead of the next
_MAX_REMEMBERED = 2048


class Reader:
    """Reads misspelt words of a context for the network; the text itself stays as it is.

    By letters and frequency alone, so that the reading of a word is the same in every context.

    Args:
        search: through the lexicon.
        words: what is a word; the writer's own are left alone.
    """

    def __init__(self, search: CandidateSearch, words: KnownWords) -> None:
        self._words = words
        # Not a method of its own: what refers to itself is kept until a collection.
        self._meant = lru_cache(maxsize=_MAX_REMEMBERED)(partial(_find, search))

    def read(self, token: str) -> str:
        """Return a token of the text form, or the word that it stands for where it is no word and that is clear."""
        if len(token) < _LEAST_LETTERS or not token.isalpha() or token[1:] != fold(token[1:]):
            return token
        if self._words.is_word(token):
            return token
        return self._meant(token)


def _find(search: CandidateSearch, word: str) -> str:
    found = search.find(word)
    worth = sorted((-each.log_likelihood - each.log_frequency, each.text, each.log_likelihood) for each in found)
    if not worth or worth[0][2] < _LEAST_CHANNEL:
        return word
    if len(worth) > 1 and worth[1][0] - worth[0][0] < _LEAST_LEAD:
        return word
    return worth[0][1]
