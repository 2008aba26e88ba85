"""Cases of what is a word, and of what was meant by one, as the keyboard asks: with forms, gate and own words."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from keyboard_lm.correction.candidates import CandidateOptions, CandidateSearch
from keyboard_lm.correction.corrector import Corrector
from keyboard_lm.correction.mistyped_prefixes import mistyped_completions
from keyboard_lm.correction.reader import Reader
from keyboard_lm.decoding.boundaries import Boundaries
from keyboard_lm.keyboard.language import Language
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.form import TypedText
from keyboard_lm.touch.channel import Channel
from keyboard_lm.touch.layout import load_layout
from keyboard_lm.words.lexicon import Entry, build_lexicon

Case = dict[str, Any]
_ODD = (
    *("I", "i", "i'm", "I'M", "im", "alot", "Alot", "teh", "U.S.", "e.g.", "don't", "Don't", "DON'T", "'", "-", "--"),
    *("dogs'", "jameses", "tries", "tryed", "hoped", "hopped", "baking", "bakeing", "well-known", "-well", "a-zq", "3"),
    *("3pm", "10th", "3.5kg", "4zz", "pm3", "mp3", "nooo", "Yesss", "yesss's", "sooooo", "oooo", "½½½½", "²²", "x²"),
    *("naïve", "NAÏVE", "naive", "Kraków", "über", "ÜBER", "ß", "ſ", "İ", "éé", "你好", "שלום", "🙂", "a🙂", "", "  "),
    *("of course", "of xqzt", "john", "John", "JOHN", "mcdonald", "McDonald", "MCDONALD", "iphone", "iPhone", "IPHONE"),
)
_OWN = ("Zyxel", "kraxel", "gnorp", "O'Brannigan", "wibble-wobble")
_ENDINGS = ("'s", "s", "ing", "ed", "'", "-in", "ies", "d")
_JOINED = ("ihave", "ibwant", "so iam", "so ibneed", "iqx")
_FIELDS = (
    *("i", "I think i", "teh", "Teh", "dont", "its", "dads", "I know its", "ur", "u", "MP3", "I LIKE TEH", "GO HOEM"),
    *("I LIKE THE", "ok NASA", "b", "we are goingto", "see youcthere", "seeyou", "alot", "wel l", "he llo", "to day"),
    *("th4re", "wh3re", "3rd", "4ever", "go 2morrow", "www.teh", "a@teh", "#teh", "teh.", "x teh", "(teh", '"teh'),
    *("english", "i live in london", "we saw john", "I met jhon", "meet me on monday", "Kraxle", "gnrop", "obrannigan"),
    *(
        "\u2019tis",
        "can\u2019t",
        "cant",
        "wont",
        "well",
        "were",
        "hell",
        "shell",
        "I said hell",
        "their is",
        "your right",
    ),
    *(
        "thats",
        "theyre",
        "I thinkthat",
        "alright\nteh",
        "line\n\nteh",
        "wouldnt of",
        "definately",
        "seperate",
        "becuase",
    ),
    *(
        "freind",
        "recieve",
        "tomorow",
        "accomodate",
        "necesary",
        "xqzt",
        "Xqzt",
        "hi Xqzt",
        "Jonh",
        "and Jonh",
        "hoooome",
    ),
)


def words(language: Language, search: CandidateSearch, messages: Sequence[str]) -> Iterator[Case]:
    """Yield what the keyboard knows of letters."""
    taught = frozenset(_OWN)
    known = language.known_words(taught.__contains__)
    reader = Reader(search, known)
    rng = random.Random(11)
    asked = [*_ODD, *_OWN, *map(str.upper, _OWN)]
    for message in messages:
        for word in message.split():
            stem = word.strip(".,!?\"'()").lower()
            if stem.isalpha() and rng.random() < 0.3:
                asked += [
                    stem,
                    _slipped(stem, rng),
                    stem + rng.choice(("'s", "s", "ing", "ed", "'", "-in", "ies", "d")),
                ]
    for text in list(dict.fromkeys(asked))[:1500]:
        yield {
            "text": text, "is_word": known.is_word(text), "may_offer": known.may_offer(text),
            "is_known": known.is_known(text), "cased": known.cased(text), "frequency": known.frequency(text),
            "read": reader.read(text), "emoji": list(language.emoji.find(text, 2)),
        }  # fmt: skip


def verdicts(
    language: Language, search: CandidateSearch, tokenizer: Tokenizer, boundaries: Boundaries, messages: Sequence[str]
) -> Iterator[Case]:
    """Yield fields one after another: some alone, some word by word."""
    own_lexicon = build_lexicon([Entry(word, 1) for word in _OWN])
    own = CandidateSearch(
        own_lexicon,
        Channel(load_layout(), own_lexicon.alphabet, language.channel),
        CandidateOptions(num_words=4, beam=200),
    )
    judge = Corrector(
        search,
        tokenizer,
        is_protected={"gnorp", "tomorow"}.__contains__,
        words=language.known_words(),
        gate=language.gate,
    )
    rng = random.Random(12)
    for number, text in enumerate(_fields(messages, rng)):
        has_network, has_prior = number % 5 != 0, number % 3 == 0
        boundary_of: Callable[[TypedText], Any] = boundaries.at if has_network else _nothing
        prior = _believed if has_prior else None
        verdict = judge.judge(text, boundary_of, (), prior, own.find)
        made, typed = verdict.correction, tokenizer.form.split_typed(text)
        longer: list[tuple[str, float, float]] = []
        if has_network and typed.partial.isalpha() and number % 4 == 1:
            longer = mistyped_completions(search, boundaries.table, boundaries.at(typed), typed.partial, (), 6)
        yield {
            "text": text, "network": has_network, "prior": has_prior,
            "hypotheses": [[each.replaced, each.text, each.log_joint] for each in verdict.hypotheses[:6]],
            "num": len(verdict.hypotheses),
            "correction": None if made is None else [made.replaced, made.text],
            "longer": [list(each) for each in longer],
        }  # fmt: skip


def _nothing(typed: TypedText) -> None:
    return None


def _believed(probability: float, word: str) -> float:
    return 0.8 * probability + 0.2e-4 * (len(word) % 3)


def _fields(messages: Sequence[str], rng: random.Random) -> Iterator[str]:
    yield from _FIELDS
    for message in messages[:40]:
        yield from (f"{message} {field}" for field in rng.sample(_FIELDS, 3))
    for message in messages[40:110]:
        text = ""
        for word in message.split()[:8]:
            if word.isalpha() and rng.random() < 0.5:
                word = _slipped(word, rng)
            if rng.random() < 0.1:
                word = word.upper()
            text += rng.choice((" ", " ", " ", "")) + word if text else word
            yield text
    yield from _JOINED


def _slipped(word: str, rng: random.Random) -> str:
    place, letter = rng.randrange(len(word)), rng.choice("abcdefghijklmnopqrstuvwxyz' 5")
    return rng.choice(
        (
            word[:place] + word[place + 1 :],
            word[:place] + letter + word[place:],
            word[:place] + letter + word[place + 1 :],
            word[:place] + word[place : place + 2][::-1] + word[place + 2 :],
        )
    )
