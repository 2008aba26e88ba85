"""Emoji by the words that stand for them."""

from __future__ import annotations

import pytest

from keyboard_lm.text.form import token_kind
from keyboard_lm.words.emoji import EmojiIndex, load_emoji
from keyboard_lm.words.lexicon import load_lexicon


def test_a_word_in_any_case_gives_the_most_fitting_emoji() -> None:
    index = EmojiIndex("# words\nheart\t❤️ 💔\nfire\t🔥\n")
    assert index.find("Heart") == ("❤️",)
    assert index.find("HEART", 5) == ("❤️", "💔")
    assert index.find("hearts") == index.find("") == ()
    assert len(index) == 2


@pytest.mark.parametrize(("word", "emoji"), [("pizza", "🍕"), ("love", "❤️"), ("sad", "😢"), ("birthday", "🎂")])
def test_english_has_what_people_look_for(word: str, emoji: str) -> None:
    assert load_emoji().find(word) == (emoji,)


@pytest.mark.parametrize("word", ["the", "with", "not", "you", "face", "sign", "person", "time", "work", "go"])
def test_english_offers_none_all_the_time(word: str) -> None:
    assert load_emoji().find(word) == ()


def test_all_are_emoji_and_no_word_is_offensive() -> None:
    index, lexicon = load_emoji(), load_lexicon()
    for word, emoji in index._emoji.items():
        assert not lexicon.is_offensive(word)
        assert all(token_kind(each) == "emoji" for each in emoji.split())
