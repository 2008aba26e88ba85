"""The keyboard text form: typed text as space-separated tokens whose ends are visible.

`docs/text.md` is the specification. In short: a message becomes a line of *form tokens* joined by one space. A word
is one token with its contraction; punctuation, emoji and emoticons are tokens of their own; the space between two
tokens follows a default that depends on their classes, and a token that departs from its default carries a mark
(``⁀`` no space, ``␣`` a space). Words that start a sentence lose the capital that a phone's keyboard puts there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

JOIN = "\u2040"  # ⁀ : no space here, although the default has one
SPACE = "\u2423"  # ␣ : a space here, although the default has none
META_SPACE = "\u2581"  # ▁ : SentencePiece's own symbol for a space; it never reaches the tokenizer as text

# Everything that is not white space, punctuation or an emoji belongs to a word: letters, digits, and the combining
# marks and joiners that scripts other than Latin write inside words.
_PUNCTUATION = (
    r"!-/:-@\[-`{-~"  # ASCII
    r"\u00a1-\u00a9\u00ab\u00ac\u00ae-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7"  # Latin-1
    r"\u055a-\u055f\u0589\u058a\u05be\u05c0\u05c3\u05f3\u05f4"  # Armenian, Hebrew
    r"\u060c\u060d\u061b\u061d-\u061f\u066a-\u066d\u06d4\u0964\u0965"  # Arabic, Devanagari
    r"\u2010-\u2027\u2030-\u205e\u20a0-\u20cf\u2122\u2190-\u22ff\u2423\u2e00-\u2e7f"  # general, currency, arrows
    r"\u3001-\u3003\u3008-\u3020\u3030\u303d\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"  # CJK
)
_PICTOGRAPH = r"\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
_WORD = rf"[^\s{_PUNCTUATION}{_PICTOGRAPH}]"
_EMOJI = (
    r"[\U0001f1e6-\U0001f1ff]{2}"  # flags
    r"|[0-9#*]\ufe0f?\u20e3"  # key caps
    r"|[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u24c2\u2934\u2935\u3030\u303d\u3297\u3299]\ufe0f"  # signs
    rf"|[{_PICTOGRAPH}]"
    r"(?:[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"  # presentation, skin tone, tags
    rf"|\u200d[{_PICTOGRAPH}\u2194-\u2199])*"  # joined sequences (family, professions, nodding)
)
_EMOTICON = r"(?:[:;=]['^o-]?[)(\]\[DPpOo/\\|*3S]|</?3|[xX]D|\^_+\^|-_+-|[Tt]_[Tt]|[oO]_[oO]|:'\()"
_WORD_TOKEN = rf"{_WORD}+(?:'{_WORD}+|(?<=\d)[.,:](?=\d){_WORD}+)*"

_TOKEN = re.compile(
    rf"(?P<emoji>{_EMOJI})"
    rf"|(?P<emoticon>(?<!\S){_EMOTICON}(?![^\s.,!?]))"
    r"|(?P<dotted>(?<![^\W_])(?:[^\W\d_]\.){2,})"  # a.m., U.S., e.g.
    rf"|(?P<word>{_WORD_TOKEN})"
    r"|(?P<punct>\.{2,}|[!?]+|-{2,}|\*+|_+|=+|~+|[^\s])"
)
_ONE_WORD = re.compile(_WORD_TOKEN)
_WORD_PART = re.compile(rf"(?:{_WORD}|['.,:])+")
_LETTER_EMOTICONS = frozenset({"xD", "XD"})  # the ones that would be words where an emoticon cannot stand
_MAX_HEADS = _MAX_TYPED = 8
_PROBE = "x"  # any word: shows which marks the tokens before the cursor take

# Spacing classes of punctuation: (attaches to the left, attaches to the right).
_CLOSERS = frozenset(".,!?;:)]}%\u2026\u00b0\u2122\u00ae\u3001\u3002\uff0c\uff01\uff1f")
_OPENERS = frozenset("([{#@$\u00a3\u20ac\u00bf\u00a1")
_GLUE = frozenset("-/_\\\u2010\u2011\u2013\u2014")
_QUOTES = frozenset("\"'`")
_SENTENCE_ENDS = frozenset(".!?\u203d\u2026\u3002\uff01\uff1f")

_STRAIGHT = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u2032": "'", "\u02bc": "'", "\uff07": "'",
        "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u201f": '"', "\u2033": '"', "\uff02": '"',
        JOIN: None, SPACE: None, META_SPACE: "_", "\u00ad": None, "\ufeff": None, "\u200b": None,
    }
)  # fmt: skip
_CONTROL = re.compile(  # C0, C1, directional and invisible formatting, lone surrogates
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u061c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufff9-\ufffb\ud800-\udfff]"
)
_LINE_BREAK = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_BLANK = re.compile(r"\s+")
_FIRST_PERSON = frozenset({"I", "I'm", "I've", "I'll", "I'd"})


def normalise(text: str) -> str:
    """Return `text` in NFC, with straight quotes, single spaces, and without control characters.

    Line breaks survive as one ``\\n`` each (they separate messages); blank lines are dropped.
    """
    text = _CONTROL.sub("", text).translate(_STRAIGHT)
    # Both steps can enable each other (a dropped mark lets two characters compose), so NFC comes last.
    lines = (_BLANK.sub(" ", line).strip() for line in _LINE_BREAK.split(unicodedata.normalize("NFC", text)))
    return "\n".join(line for line in lines if line)


@dataclass(frozen=True, slots=True)
class TypedText:
    """A text field as the predictor sees it.

    Attributes:
        messages: form tokens of each finished line, oldest first; the last entry is the line being typed.
        partial: the word under the cursor as typed (not true-cased), ``""`` between words.
        starts_sentence: whether the word under the cursor, or the next one, takes a sentence capital.
        space_before: whether white space (or nothing) stands before the word under the cursor or the cursor itself.
    """

    messages: tuple[tuple[str, ...], ...]
    partial: str
    starts_sentence: bool
    space_before: bool


class TextForm:
    """Converts between typed text and the keyboard text form.

    Args:
        proper_nouns: words, as cased inside a sentence (``"Mary"``), that keep their capital at a sentence start.
    """

    def __init__(self, proper_nouns: Iterable[str] = ()) -> None:
        self.proper_nouns = frozenset(proper_nouns)
        self._heads: dict[str, tuple[tuple[str, ...], bool]] = {}  # what `_ends_before` said of the last few texts
        self._typed: dict[str, TypedText] = {}  # what `split_typed` said of the last few

    def encode(self, message: str) -> str:
        """Return the form of one message (a line break counts as a space)."""
        return " ".join(self.encode_tokens(normalise(message).replace("\n", " ")))

    def encode_tokens(self, message: str) -> list[str]:
        """Return the form tokens of one message that `normalise` has already seen."""
        return [token for token, _ in self._encode(message)]

    def _encode(self, message: str) -> Iterator[tuple[str, bool]]:
        # Yields (form token, whether a word in its place starts a sentence). One token is held back: the mark for a
        # missing or extra space before a word sits on the punctuation in front of that word.
        spacing = _Spacing()
        case = _SentenceCase()
        held: tuple[str, bool] | None = None
        held_is_word = False
        end = 0
        for match in _TOKEN.finditer(message):
            text = token = match.group()
            kind = match.lastgroup
            if kind == "word" and token in _LETTER_EMOTICONS:
                kind = "emoticon"  # as `token_kind` says, so that `join` sees what was seen here
            is_word = kind == "word" or kind == "dotted"
            spaced = match.start() > end
            end = match.end()
            starts = case.starts_at(spaced)
            if starts and kind == "word":
                text = self._lower_sentence_start(token)
            default = spacing.space_before(token, kind == "punct")
            if held is not None:
                if spaced != default:
                    mark = SPACE if spaced else JOIN
                    if is_word and not held_is_word:
                        held = held[0] + mark, held[1]
                    else:
                        text = mark + text
                yield held
            case.feed(token, kind == "punct", is_word)
            held, held_is_word = (text, starts), is_word
        if held is not None:
            yield held

    def _lower_sentence_start(self, word: str) -> str:
        first = word[0]
        if not first.isupper() or word in _FIRST_PERSON or word in self.proper_nouns:
            return word
        rest = word[1:]
        lowered = first.lower()
        if rest != rest.lower() or len(lowered) != 1 or lowered.upper() != first:
            return word
        word = lowered + rest
        return word if unicodedata.is_normalized("NFC", word) else first + rest

    def _raise_sentence_start(self, word: str) -> str:
        # The inverse: a word that would not come back as it is ("i", "mary") was typed without its capital.
        raised = capitalise(word)
        return raised if self._lower_sentence_start(raised) == word else word

    def decode(self, form: str) -> str:
        """Return the text that a form stands for, with sentence capitals put back."""
        return self.join(form.split())

    def join(self, tokens: Iterable[str]) -> str:
        """Return the text of one message given its form tokens."""
        return "".join(written for written, _ in self.written(tokens))

    def written(self, tokens: Iterable[str]) -> Iterator[tuple[str, bool]]:
        """Yield each form token of one message as it is written, its space before it, and "" for the message's end.

        Beside it stands whether a word would start a sentence there, which follows from the tokens before alone. A mark
        alone is written as nothing: no text form has it, but a model may write it.
        """
        spacing = _Spacing()
        case = _SentenceCase()
        is_first = True
        forced: str | None = None
        for marked in tokens:
            prefix, token, suffix = split_marks(marked)
            if not token:
                yield "", case.starts_at(spacing.space_before_word)
                continue
            may_start = case.starts_at(spacing.space_before_word)
            kind = token_kind(token)
            default = spacing.space_before(token, kind == "punct")
            mark = forced or prefix
            spaced = default if not mark else mark == SPACE
            text = self._raise_sentence_start(token) if kind == "word" and case.starts_at(spaced) else token
            yield (" " if spaced and not is_first else "") + text, may_start
            is_first = False
            case.feed(token, kind == "punct", kind in ("word", "dotted"))
            forced = suffix
        yield "", case.starts_at(spacing.space_before_word)

    def split_typed(self, text: str) -> TypedText:
        """Split the text before the cursor into finished form tokens and the word being typed.

        The finished tokens are those of the whole line when its last word ends where the cursor is, marks included:
        a blank typed after ``(`` is already known, a blank that may still be typed after ``.`` takes its default.
        """
        typed = self._typed.get(text)
        if typed is None:
            before = self._typed.get(text[:-1])
            if before is not None and _is_letter_more(text[-1:], before):
                word = before.partial + text[-1]
                typed = TypedText(before.messages, word, before.starts_sentence, before.space_before)
            else:
                typed = self._split(text)
            if len(self._typed) >= _MAX_TYPED:
                del self._typed[next(iter(self._typed))]
            self._typed[text] = typed
        return typed

    def starts_sentence_after(self, text: str) -> bool:
        """Return what `split_typed` says of a text's end, without a place in what that remembers."""
        return self._split(text).starts_sentence

    def _split(self, text: str) -> TypedText:
        lines = _LINE_BREAK.split(text)
        messages = [tuple(self.encode_tokens(line)) for raw in lines[:-1] if (line := normalise(raw))]
        raw = _CONTROL.sub("", lines[-1]).translate(_STRAIGHT)
        line = normalise(raw)
        ends_blank = not line or raw[-1].isspace()
        partial = "" if ends_blank else _last_word(line)
        head = line[: len(line) - len(partial)]
        finished, starts = self._ends_before(head if partial else head + " ")
        if not partial and not ends_blank:
            finished = tuple(token for token, _ in self._encode(head))
        space_before = ends_blank if not partial else not head or head.endswith(" ")
        return TypedText((*messages, finished), partial, starts, space_before)

    def _ends_before(self, head: str) -> tuple[tuple[str, ...], bool]:
        # The form tokens before a word that begins behind `head`, and whether it starts a sentence. From one letter of
        # a word to the next that stays as it is.
        known = self._heads.get(head)
        if known is None:
            *finished, (_, starts) = self._encode(head + _PROBE)
            if len(self._heads) >= _MAX_HEADS:
                self._heads.clear()
            known = self._heads[head] = tuple(token for token, _ in finished), starts
        return known


def _is_letter_more(letter: str, before: TypedText) -> bool:
    # Whether a plain letter behind a word of two plain letters or more makes nothing else of the word (some emoticons
    # have two letters side by side, none has three), nor of what stands before it.
    word = before.partial
    return len(word) > 1 and word.isascii() and word.isalpha() and letter.isascii() and letter.isalpha()


def _last_word(line: str) -> str:
    # The word that reaches the end of `line`, with an apostrophe that a letter may still follow; or "".
    before = last = None
    for match in _TOKEN.finditer(line):
        before, last = last, match
    if last is not None and last.lastgroup == "word":
        return "" if last.group() in _LETTER_EMOTICONS else last.group()
    if before is not None and last is not None and last.group() == "'" and before.lastgroup == "word":
        return line[before.start() :] if before.end() == last.start() else ""
    return ""


def capitalise(word: str) -> str:
    """Return `word` with the capital that a keyboard gives to the first word of a sentence.

    Words with a capital inside (``iPhone``) and letters whose capital is not one character stay as they are.
    """
    first = word[:1]
    upper = first.upper()
    if word != word.lower() or len(upper) != 1 or upper.lower() != first:
        return word
    raised = upper + word[1:]
    return raised if unicodedata.is_normalized("NFC", raised) else word


def token_kind(token: str) -> str:
    """Return ``word``, ``dotted``, ``punct``, ``emoji`` or ``emoticon`` for a form token without its marks."""
    match = _TOKEN.match(token)
    return match.lastgroup if match and match.lastgroup else "punct"


def is_word(text: str) -> bool:
    """Return whether `text` is exactly one form token of the kind ``word``."""
    if text in _LETTER_EMOTICONS:
        return False
    if text.isalpha():
        return True
    return _ONE_WORD.fullmatch(text) is not None and token_kind(text) == "word"  # a key cap only looks like a word


def is_word_part(text: str) -> bool:
    """Return whether every character of `text` may stand inside a word, an apostrophe or a decimal point included."""
    return text.isalpha() or _WORD_PART.fullmatch(text) is not None


def split_marks(marked: str) -> tuple[str | None, str, str | None]:
    """Split a form token into (mark before it, the token, mark after it)."""
    prefix = marked[0] if marked and marked[0] in (JOIN, SPACE) else None
    token = marked[1:] if prefix else marked
    suffix = token[-1] if token and token[-1] in (JOIN, SPACE) else None
    return prefix, token[:-1] if suffix else token, suffix


class _Spacing:
    """The default space between two tokens, from their classes and the open quotes."""

    def __init__(self) -> None:
        self._glued_right = False
        self._open: set[str] = set()

    @property
    def space_before_word(self) -> bool:
        """Whether a space stands before a word that comes next, by default."""
        return not self._glued_right

    def space_before(self, token: str, is_punctuation: bool) -> bool:
        """Return whether a space stands before `token` by default, then move past it."""
        glued_left = glued_right = False
        if is_punctuation:
            first = token[0]
            if first in _CLOSERS:
                glued_left = True
            elif first in _OPENERS:
                glued_right = True
            elif first in _GLUE:
                glued_left = glued_right = True
            elif first in _QUOTES:
                if first in self._open:
                    self._open.remove(first)
                    glued_left = True
                else:
                    self._open.add(first)
                    glued_right = True
        space = not (glued_left or self._glued_right)
        self._glued_right = glued_right
        return space


class _SentenceCase:
    """Whether the next word is the first of a sentence."""

    def __init__(self) -> None:
        self.starts = True
        self._after_end = False

    def starts_at(self, spaced: bool) -> bool:
        """Return whether a word here takes the capital; in ``example.com`` the second one does not."""
        return self.starts and (spaced or not self._after_end)

    def feed(self, token: str, is_punctuation: bool, is_word: bool) -> None:
        self._after_end = False
        if is_word:
            self.starts = False
        elif is_punctuation:
            if token[-1] in _SENTENCE_ENDS and not token.startswith(".."):
                self.starts = self._after_end = True
            elif token[0] not in _QUOTES and token[0] not in _OPENERS and token[0] not in ")]}":
                self.starts = False
