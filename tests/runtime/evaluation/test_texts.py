"""Evaluation texts: shipped, from files, sampled."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyboard_lm.errors import DataError
from keyboard_lm.evaluation.texts import SHIPPED, EvaluationText, load_texts, read_documents, sample, shipped_texts


def text_of(documents: tuple[tuple[str, ...], ...]) -> EvaluationText:
    return EvaluationText("a", "", documents)


def test_what_ships_is_text_by_name() -> None:
    texts = shipped_texts()
    assert [text.name for text in texts] == list(SHIPPED)
    assert all(text.num_messages > 50 for text in texts)
    assert [text.is_folded for text in texts] == [False, True, False, False]
    assert load_texts("comm") == [texts[0]]


def test_blank_lines_separate_documents_and_without_any_each_line_is_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\none\r\ntwo\n\n \nthree\u2019s", encoding="utf-8-sig")
    assert read_documents(path) == [("one", "two"), ("three's",)]
    path.write_text("one\ntwo\n")
    assert read_documents(path) == [("one",), ("two",)]


def test_a_sample_is_taken_from_all_over_the_text() -> None:
    lines = text_of(tuple((str(number),) for number in range(10)))
    assert sample(lines, 3).documents == (("0",), ("3",), ("6",))
    assert len(sample(lines, 9)) == 9
    assert sample(lines, 10).documents == sample(lines, 99).documents == lines.documents
    assert sample(text_of((("a",) * 10, ("b",) * 10)), 4).documents == (("a",) * 4,)


def test_a_texts_digest_is_of_what_is_evaluated(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "b.txt").write_text(" one \n\n\ntwo")
    one, other = load_texts(str(tmp_path))
    assert (one.name, other.name) == ("a.txt", "b.txt")
    assert one.sha256 == other.sha256  # the same two documents
    assert sample(one, 1).sha256 != one.sha256


def test_a_list_of_misspellings_is_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("teh\tthe\n")
    (text,) = load_texts(str(path))
    assert text.documents == ()
    assert [(unit.typed, unit.intended) for recording in text.recordings for unit in recording] == [("teh", "the")]


def test_unusable_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder, and no shipped text"):
        load_texts(str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"no \.txt"):
        load_texts(str(tmp_path))
    (tmp_path / "b.txt").write_text(" \n\n")
    with pytest.raises(DataError, match="no text"):
        load_texts(str(tmp_path))
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match="not UTF-8 at byte 4"):
        load_texts(str(tmp_path / "a.txt"))
    with pytest.raises(DataError, match="cannot be read"):
        read_documents(tmp_path)
    (tmp_path / "b.txt").write_text("a" * 20_000)
    with pytest.raises(DataError, match="split it"):
        read_documents(tmp_path / "b.txt")
