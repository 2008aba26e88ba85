"""Words that are never offered."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyboard_lm.errors import DataError
from keyboard_lm.words.lexicon import Entry, build_lexicon
from keyboard_lm.words.offensive import OffensiveWords, read_word_list

LEXICON = build_lexicon([Entry("the", 222), Entry("damn", 90, is_offensive=True), Entry("john", 80, is_offensive=True),
                         Entry("John", 140)])  # fmt: skip


def test_the_lexicons_marks_count_in_every_case_but_that_of_another_word() -> None:
    is_offensive = OffensiveWords(LEXICON)
    assert is_offensive("damn")
    assert is_offensive("DAMN")
    assert is_offensive("john")
    assert not is_offensive("John")
    assert not is_offensive("the")
    assert not is_offensive("nobody-knows-it")


def test_a_list_adds_words_and_another_takes_them_back() -> None:
    is_offensive = OffensiveWords(LEXICON, blocked=["Heck"], allowed=["damn"])
    assert is_offensive("heck")
    assert is_offensive("HECK")
    assert not is_offensive("hecks")
    assert not is_offensive("Damn")
    assert not OffensiveWords(LEXICON, ["heck"], ["heck"])("heck")


def test_a_list_has_comments_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("# these\n\nheck\n  don’t \n", encoding="utf-8")
    assert read_word_list(path) == {"heck", "don't"}


@pytest.mark.parametrize(("content", "message"), [(b"two words\n", "line 1"), (b"a\n\xff\n", "UTF-8"), (None, "read")])
def test_a_bad_list_is_refused_in_one_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_word_list(path)
    assert "\n" not in str(caught.value)
