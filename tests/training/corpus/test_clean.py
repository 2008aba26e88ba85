"""Laws of cleaning: which messages stay."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyboard_lm_training.corpus.clean import CleanOptions, clean_document

from keyboard_lm.text.form import normalise


@settings(max_examples=60)
@given(st.lists(st.text(max_size=40), max_size=6))
def test_clean_messages_are_normalised_single_lines(lines: list[str]) -> None:
    messages, _ = clean_document(lines, CleanOptions())
    for message in messages:
        assert message == normalise(message) != ""
        assert "\n" not in message


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("   \u200b ", "empty"),
        ("see http://example.org now", "personal"),
        ("Visit WWW.example.org", "personal"),
        ("write to ann@example.org please", "personal"),
        ("call me on +44 20 7946 0000", "personal"),
        ("(555) 123-4567 is my number", "personal"),
        ("itâ€™s here", "garbled"),
        ("what \ufffd is", "garbled"),
        ("x" * 101, "long_message"),
    ],
)
def test_a_dropped_message_is_counted_under_its_reason(line: str, reason: str) -> None:
    messages, dropped = clean_document([line, "this one stays"], CleanOptions(max_message_chars=100))
    assert messages == ["this one stays"]
    assert dropped == {reason: 1}


@pytest.mark.parametrize(
    "line", ["it cost 1,000,000,000 then", "born in 1984, 30 years ago", "@ann 10:30 on 12/05/2019?"]
)
def test_everyday_numbers_and_mentions_stay(line: str) -> None:
    assert clean_document([line], CleanOptions()) == ([line], {})


def test_links_stay_where_the_recipe_lets_them() -> None:
    assert clean_document(["http://a.b"], CleanOptions(drop_personal=False)) == (["http://a.b"], {})


def test_a_document_below_the_character_limit_goes_as_a_whole() -> None:
    options = CleanOptions(min_document_chars=10)
    assert clean_document(["four", "five!"], options) == ([], {"short_document": 2})
    assert clean_document(["four", "five!!"], options) == (["four", "five!!"], {})
