"""Contractions without their apostrophe are mended, and nothing else is touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyboard_lm_training.corpus.clean import CleanOptions, clean_document
from keyboard_lm_training.corpus.contractions import mend_contractions


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("i dont know", "i don't know"), ("Dont go", "Don't go"), ("DONT GO", "DON'T GO"), ("im here", "I'm here"),
        ("it wont be long", "it won't be long"), ("you cant", "you can't"),
        ("thats it, isnt it?", "that's it, isn't it?"),
        ("ive seen that dont, didnt, wont", "I've seen that don't, didn't, won't"), ("todays news", "today's news"),
    ],
)  # fmt: skip
def test_what_lacks_an_apostrophe_gets_it(text: str, mended: str) -> None:
    assert mend_contractions(text) == mended


@pytest.mark.parametrize(
    "text",
    [
        "its box", "well then", "we were ill", "go to hell", "as was his wont", "thieves' cant and the cant of lawyers",
        "don't", "dont.example.org", "@dont", "#dont", "im-memorial", "a-dont-b", "his ID", "shell and shed", "donto",
    ],
)  # fmt: skip
def test_words_of_their_own_and_names_stay(text: str) -> None:
    assert mend_contractions(text) == text


@given(st.text(st.sampled_from("abdimntosvwI' .-\n’"), max_size=60))
def test_mending_adds_apostrophes_and_capitals_of_i_only_and_is_done_once(text: str) -> None:
    mended = mend_contractions(text)
    assert mended.replace("'", "").lower() == text.replace("'", "").lower()
    assert mend_contractions(mended) == mended


def test_a_recipe_says_whether_it_is_done() -> None:
    assert clean_document(["i dont"], CleanOptions())[0] == ["i dont"]
    assert clean_document(["i dont"], CleanOptions(mend_contractions=True))[0] == ["i don't"]
