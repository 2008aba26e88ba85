"""Text of the Chit-Chat data set: real chat from its pinned wheel, without what tells who wrote it.

The wheel `chitchat-dataset` 0.9.0 (MIT, BYU PCCL 2019) holds 7,168 conversations of students. What goes to the
corpus is one message a line and a blank line between conversations: no sender, no time, and no message with a person's
name, a long number, an address or a link. Some conversations stay out, in two halves, to measure on.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keyboard_lm.errors import DataError

WHEEL_SHA256 = "7bf89f36645e2d5ec87d53370c8e851b5a688479c7beb7079cb4c87fc5acea3e"
TRAIN_FILE = "chitchat.txt.xz"
HELDOUT_FILES = ("chitchat_heldout.txt", "chitchat_untouched.txt")
_MEMBER = "chitchat_dataset/dataset.json"
_SHORT_PHRASE_WORDS = 4  # an evaluation sentence of fewer words is everyday formula, and stays
_CONTAINED_PHRASE_WORDS = 6

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_LONG_NUMBER = re.compile(r"\d(?:[\s().-]{0,2}\d){4,}")
_HANDLE = re.compile(r"@\w|https?:|www\.|\.com\b", re.IGNORECASE)
_ADDRESS = re.compile(
    r"\b\d{1,5}\s+(?:[a-z]+\s+){0,3}(?:street|st|avenue|ave|road|rd|drive|dr|lane|ln|blvd|boulevard|apt|apartment)\b",
    re.IGNORECASE,
)
# What follows is a name whether or not a list knows it.
_SAYS_NAME = re.compile(r"\b(?:name(?:'?s| is| was)|call(?:ed)? me|goes by|go by)\b", re.IGNORECASE)
# What follows is a name where a list knows it, even one that is a word as well ("I'm Mark").
_MAY_SAY_NAME = re.compile(r"\b(?:i['\u2019]?m|i am|this is|hi|hey|hello|bye|thanks)[,\s]+([^\W\d_]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What becomes of the conversations.

    Attributes:
        num_heldout: conversations kept out of training; half of them go to each held-out file.
        min_heldout_messages: conversations with fewer messages are not chosen for it.
        seed: of the choice.
    """

    num_heldout: int = 40
    min_heldout_messages: int = 10
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ChatText:
    """The text of the data set.

    Attributes:
        train: messages by conversation.
        heldout: two lists of conversations; the second goes to nobody's tuning.
        dropped: messages left out of either, by reason.
    """

    train: tuple[tuple[str, ...], ...]
    heldout: tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]
    dropped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PersonFilter:
    """Finds messages that tell who somebody is.

    Attributes:
        names: first names, lower case.
        words: words of the language, lower case; a name among them counts only where it is written as a name.
    """

    names: frozenset[str] = field(default_factory=frozenset)
    words: frozenset[str] = field(default_factory=frozenset)

    def reason(self, message: str) -> str:
        """Return why a message has to go, `""` where it may stay."""
        if _HANDLE.search(message):
            return "link"
        if _LONG_NUMBER.search(message):
            return "number"
        if _ADDRESS.search(message):
            return "address"
        if _SAYS_NAME.search(message):
            return "name"
        for match in _WORD.finditer(message):
            name = match.group().split("'")[0].split("\u2019")[0].lower()
            if name in self.names and (name not in self.words or self._is_written_as_name(message, match.start())):
                return "name"
        if any(found.lower() in self.names - self.words for found in _MAY_SAY_NAME.findall(message)):
            return "name"
        return ""

    @staticmethod
    def _is_written_as_name(message: str, start: int) -> bool:
        # A capital letter inside a sentence of a message that is not all capitals.
        before = message[:start].rstrip()
        return message[start].isupper() and bool(before) and before[-1] not in ".!?\"'(*" and not message.isupper()


def read_conversations(wheel: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Return (id, messages) of every conversation in the wheel.

    Raises:
        DataError: it is another file, or cannot be read.
    """
    try:
        data = wheel.read_bytes()
    except OSError as error:
        raise DataError(
            f"{wheel}: cannot be read ({error.strerror}); pip download --no-deps chitchat-dataset==0.9.0"
        ) from None
    if hashlib.sha256(data).hexdigest() != WHEEL_SHA256:
        raise DataError(f"{wheel}: not the wheel of chitchat-dataset 0.9.0 (sha256 differs); download that version")
    with zipfile.ZipFile(wheel) as archive:
        values = json.loads(archive.read(_MEMBER))
    return [
        (name, tuple(" ".join(text.split()) for turn in conversation["messages"] for text in _texts(turn)))
        for name, conversation in values.items()
    ]


def _texts(turn: Iterable[Mapping[str, str]]) -> list[str]:
    return [message["text"] for message in turn if message["text"].strip()]


def split_chat(
    conversations: Sequence[tuple[str, Sequence[str]]],
    persons: PersonFilter,
    evaluation_lines: Iterable[str],
    options: ChatOptions,
) -> ChatText:
    """Return the conversations cleaned and divided.

    Args:
        conversations: (id, messages).
        persons: messages that it finds are dropped everywhere.
        evaluation_lines: messages that equal one of them (four words and more), or contain one (six words and more),
            are dropped from training; the held-out conversations count as such lines.
        options: see `ChatOptions`.
    """
    dropped: Counter[str] = Counter()
    kept: list[tuple[str, tuple[str, ...]]] = []
    for name, messages in conversations:
        stay = []
        for message in messages:
            reason = persons.reason(message)
            if reason:
                dropped[reason] += 1
            else:
                stay.append(message)
        if stay:
            kept.append((name, tuple(stay)))

    def order(item: tuple[str, tuple[str, ...]]) -> str:
        return hashlib.sha256(f"{options.seed} {item[0]}".encode()).hexdigest()

    long_enough = sorted((item for item in kept if len(item[1]) >= options.min_heldout_messages), key=order)
    chosen = long_enough[: options.num_heldout]
    chosen_names = {name for name, _ in chosen}
    heldout = (tuple(m for _, m in chosen[::2]), tuple(m for _, m in chosen[1::2]))
    known = _Phrases(evaluation_lines)
    known.add(message for half in heldout for messages in half for message in messages)
    train = []
    for name, messages in kept:
        if name in chosen_names:
            continue
        stay = [message for message in messages if not known.found_in(message)]
        dropped["evaluation"] += len(messages) - len(stay)
        if stay:
            train.append(tuple(stay))
    return ChatText(tuple(train), heldout, dict(sorted(dropped.items())))


class _Phrases:
    """Sentences to be recognised whatever their case and punctuation."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._whole: set[str] = set()
        self._contained: dict[str, list[str]] = {}  # by the first words
        self.add(lines)

    def add(self, lines: Iterable[str]) -> None:
        for line in lines:
            words = _words(line)
            text = " ".join(words)
            if len(words) >= _SHORT_PHRASE_WORDS:
                self._whole.add(text)
            if len(words) >= _CONTAINED_PHRASE_WORDS:
                self._contained.setdefault(" ".join(words[:_CONTAINED_PHRASE_WORDS]), []).append(f" {text} ")

    def found_in(self, message: str) -> bool:
        words = _words(message)
        text = " ".join(words)
        if text in self._whole:
            return True
        for start in range(len(words) - _CONTAINED_PHRASE_WORDS + 1):
            head = " ".join(words[start : start + _CONTAINED_PHRASE_WORDS])
            if any(phrase in f" {text} " for phrase in self._contained.get(head, ())):
                return True
        return False


def _words(text: str) -> list[str]:
    return [word.lower().replace("\u2019", "'") for word in _WORD.findall(text)]


def write_chat(text: ChatText, folder: Path) -> None:
    """Write the training text and the two held-out texts into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with lzma.open(folder / TRAIN_FILE, "wt", encoding="utf-8") as file:
        file.write(_joined(text.train))
    for name, half in zip(HELDOUT_FILES, text.heldout, strict=True):
        (folder / name).write_text(_joined(half), encoding="utf-8")


def _joined(conversations: Iterable[Sequence[str]]) -> str:
    return "\n".join("".join(f"{message}\n" for message in messages) for messages in conversations)
