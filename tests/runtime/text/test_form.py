"""Laws of the keyboard text form over all of Unicode, and examples of what `docs/text.md` specifies."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyboard_lm.text.form import (
    JOIN,
    META_SPACE,
    SPACE,
    TextForm,
    capitalise,
    is_word,
    is_word_part,
    normalise,
    split_marks,
    token_kind,
)

FORM = TextForm(["Mary", "London", "Tom"])

# Whole Unicode hits the interesting rules rarely; these fragments, strung together, hit them all the time.
FRAGMENTS = st.sampled_from(
    [
        *(
            "a",
            "b",
            "I",
            "i",
            "I'm",
            "i'm",
            "Mary",
            "mary",
            "LONDON",
            "T",
            "xD",
            "XD",
            "e.g.",
            "U.S.",
            "a.m",
            "1",
            "2.5",
        ),
        *("'", '"', "`", "-", "--", ".", "..", "...", ",", "!", "?!", ":", ";", "(", ")", "[", "$", "_", "*", "@", "/"),
        *(":)", ":p", "<3", "</s>", "<0x41>", "http://x.y/z", "ß", "Σ", "ς", "İ", "ǆ", "é", "你", "ب", "ह्", "ʼ", "„"),
        *("❤", "❤\ufe0f", "😂", "1\ufe0f\u20e3", "\u20e3", "©", "©\ufe0f", "\U0001f1e6", "\ufe0f", "\u200d"),
        *("\u0301", "\u0307", "\u0308", "⁀", "␣", "▁", "\x00", "\x7f", "\u00ad", "\u200b", "\u202e", "\ud800"),
        *(" ", "  ", "\n", "\r\n", "\t", "\x1f", "\u2028", "\u00a0"),
    ]
)
ANY_CHARACTERS = st.text(st.characters(codec=None), max_size=20)  # lone surrogates included
TEXT = st.one_of(st.lists(FRAGMENTS, max_size=12).map("".join), ANY_CHARACTERS)


def one_line(text: str) -> str:
    return normalise(text).replace("\n", " ")


@settings(max_examples=300)
@given(TEXT)
def test_decode_returns_the_normalised_text_up_to_sentence_capitals(text: str) -> None:
    assert FORM.decode(FORM.encode(text)).casefold() == one_line(text).casefold()


@settings(max_examples=300)
@given(TEXT)
def test_text_with_sentence_capitals_comes_back_exactly(text: str) -> None:
    with_capitals = FORM.decode(FORM.encode(text))
    assert FORM.decode(FORM.encode(with_capitals)) == with_capitals


@settings(max_examples=300)
@given(TEXT)
def test_encode_is_idempotent_over_decode(text: str) -> None:
    form = FORM.encode(text)
    assert FORM.encode(FORM.decode(form)) == form


@settings(max_examples=300)
@given(TEXT)
def test_normalise_is_idempotent(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@settings(max_examples=300)
@given(TEXT)
def test_normalise_leaves_nothing_that_a_form_cannot_hold(text: str) -> None:
    clean = normalise(text)
    assert unicodedata.is_normalized("NFC", clean)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in clean if c != "\n")
    assert not set(clean) & {JOIN, SPACE, META_SPACE}
    assert all(line and line == line.strip() for line in clean.split("\n")) or not clean
    clean.encode("utf-8")


@settings(max_examples=300)
@given(TEXT)
def test_a_form_token_holds_no_space_and_marks_stand_only_at_its_ends(text: str) -> None:
    for token in FORM.encode(text).split(" "):
        _, inner, _ = split_marks(token)
        assert not set(inner) & {JOIN, SPACE, META_SPACE}
        assert inner or not token
        assert not any(c.isspace() for c in token)


@settings(max_examples=300)
@given(TEXT)
def test_kinds_and_spaces_read_the_same_from_the_tokens_alone(text: str) -> None:
    tokens = FORM.encode_tokens(one_line(text))
    assert FORM.encode_tokens(FORM.join(tokens)) == tokens


@settings(max_examples=300)
@given(TEXT)
def test_finished_tokens_and_the_partial_word_reassemble_the_line_at_every_keystroke(text: str) -> None:
    for end in range(len(text) + 1):
        typed = FORM.split_typed(text[:end])
        finished = typed.messages[-1]
        line = normalise(text[:end] + "|").split("\n")[-1].removesuffix("|").strip()  # "|": an empty last line counts
        gap = " " if typed.partial and typed.space_before and finished else ""
        assert (FORM.join(finished) + gap + typed.partial).casefold() == line.casefold()


@settings(max_examples=500)
@given(TEXT, st.text("abDdOopPxXT", max_size=5), TEXT)
def test_what_is_remembered_from_one_keystroke_to_the_next_changes_nothing(text: str, word: str, after: str) -> None:
    typing = TextForm(["Mary", "London", "Tom"])
    text += word + after
    for end in range(len(text) + 1):
        assert typing.split_typed(text[:end]) == TextForm(["Mary", "London", "Tom"]).split_typed(text[:end])


@settings(max_examples=300)
@given(TEXT)
def test_finished_tokens_are_those_of_the_whole_line(text: str) -> None:
    typed = FORM.split_typed(text)
    lines = normalise(text).split("\n")
    if typed.partial and not typed.partial.endswith("'"):
        *before, last = FORM.encode_tokens(lines[-1])
        assert typed.messages[-1] == tuple(before)
        assert split_marks(last)[1].casefold() == typed.partial.casefold()


@settings(max_examples=300)
@given(TEXT, st.sampled_from(["word", "Mary", "'s"]))
def test_a_word_appended_as_typed_text_says_leaves_the_finished_tokens(text: str, word: str) -> None:
    before = FORM.split_typed(text)
    if before.partial or not before.space_before:
        return
    after = FORM.split_typed(text + word)
    if after.partial == word:
        assert after.messages == before.messages
        assert after.starts_sentence == before.starts_sentence


@settings(max_examples=300)
@given(TEXT)
def test_a_word_is_what_encodes_as_one_word_token_and_is_made_of_word_parts(text: str) -> None:
    tokens = FORM.encode_tokens(one_line(text))
    alone = len(tokens) == 1 and token_kind(tokens[0]) == "word"
    assert is_word(one_line(text)) == alone
    assert is_word_part(text) or not is_word(text)


@settings(max_examples=300)
@given(TEXT)
def test_capitalise_is_idempotent_and_only_changes_case(text: str) -> None:
    assert capitalise(capitalise(text)) == capitalise(text)
    assert capitalise(text).casefold() == text.casefold()


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("I don't know. She'll see, won't she?", "I don't know . she'll see , won't she ?"),
        ("It’s “fine”…", 'it\'s " fine " …'),
        ("I'm here. I've eaten.", "I'm here . I've eaten ."),
        ("Mary is in London. Paris is not.", "Mary is in London . paris is not ."),
        ("My friend Paris", "my friend Paris"),
        ("iPhone users. NASA knows. McDonald ate", "iPhone users . NASA knows . McDonald ate"),
        ("He came at 5 p.m. He left.", "he came at 5 p.m. He left ."),
        ("the U.S. army, e.g. them", "the U.S. army , e.g. them"),
        ("It costs $3.50, or 1,000 at 10:30", "it costs $ 3.50 , or 1,000 at 10:30"),
        ("50% off #deal @tom", "50 % off # deal @ tom"),
        ("see example.com/a_b", "see example .⁀ com / a _ b"),
        ("well-known - really", "well - known ␣-␣ really"),
        ("(yes) [no]", "( yes ) [ no ]"),
        ("He said \"go\" and 'stay'.", "he said \" go \" and ' stay ' ."),
        ("Wait... What?!", "wait ... What ?!"),
        ("Hi!! 😂😂 ok👍🏽", "hi !! 😂 ⁀😂 ok ⁀👍🏽"),
        ("👩‍👩‍👧 🏳️‍🌈 🇩🇪🇫🇷 1️⃣ ©️", "👩‍👩‍👧 🏳️‍🌈 🇩🇪 ⁀🇫🇷 1️⃣ ©️"),
        ("lol :) no :-( </3 xD", "lol :) no :-( </3 xD"),
        ("a:)b", "a : )⁀ b"),
        ("你好。再见", "你好 。⁀ 再见"),
        ("Привет, мир. Да", "привет , мир . да"),
        ("مرحبا، كيف", "مرحبا ⁀، كيف"),
        ("a\u00adb\u200bc\x07", "abc"),
        ("two\nlines", "two lines"),
        ("x⁀y ␣ z▁", "xy z _"),
        ("", ""),
        (" \t\n", ""),
    ],
)
def test_form_of(text: str, form: str) -> None:
    assert FORM.encode(text) == form


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("i am", "i am"),  # a writer who leaves out the capital of "I" gets it back as typed
        ("mary is here", "mary is here"),
        ("hello . how are you ?", "Hello. How are you?"),
        ("iphone users", "Iphone users"),
        ('he said " hi "', 'He said "hi"'),
        ("⁀ hello", "Hello"),
        ("", ""),
    ],
)
def test_text_of(form: str, text: str) -> None:
    assert FORM.decode(form) == text


@pytest.mark.parametrize(
    ("text", "finished", "partial", "starts_sentence"),
    [
        ("", (), "", True),
        ("I am goi", ("I", "am"), "goi", False),
        ("I am ", ("I", "am"), "", False),
        ("Hello. W", ("hello", "."), "W", True),
        ("Hello.", ("hello", "."), "", True),
        ("example.c", ("example", ".⁀"), "c", False),
        ("so ( ", ("so", "(␣"), "", False),
        ("I don'", ("I",), "don'", False),
        ("I ate 3.", ("I", "ate", "3", "."), "", True),
        ("I ate 3.5", ("I", "ate"), "3.5", False),
        ("love ❤️", ("love", "❤️"), "", False),
        ("love :", ("love", "␣:"), "", False),
        ("love :p", ("love", ":p"), "", False),
        ("a\x00b \x00", ("ab",), "", False),
    ],
)
def test_split_typed(text: str, finished: tuple[str, ...], partial: str, starts_sentence: bool) -> None:
    typed = FORM.split_typed(text)
    assert (typed.messages[-1], typed.partial, typed.starts_sentence) == (finished, partial, starts_sentence)


def test_split_typed_keeps_earlier_lines_as_messages() -> None:
    typed = FORM.split_typed("Hi Tom!\n\nHow are\r\nYou")
    assert typed.messages == (("hi", "Tom", "!"), ("how", "are"), ())
    assert typed.partial == "You"
    assert FORM.split_typed("Hi\n").messages == (("hi",), ())


@pytest.mark.parametrize(
    ("token", "kind"),
    [("don't", "word"), ("3.5", "word"), ("p.m.", "dotted"), ("...", "punct"), ("😂", "emoji"), (":)", "emoticon")],
)
def test_kind_of(token: str, kind: str) -> None:
    assert token_kind(token) == kind
