"""Tests for keyboard_lm_training.language_data.lexicon_pack."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from click.testing import CliRunner
from keyboard_lm_training.language_data.lexicon_pack import main, merge, read_combined

from keyboard_lm.errors import DataError
from keyboard_lm.words.lexicon import LEXICON_FILE, Entry, read_lexicon

_LIST = """dictionary=main:en_us,locale=en_US
 word=the,f=222,flags=,originalFreq=222
 word=London,f=140,flags=
 word=london,f=0,not_a_word=true
 word=damn,f=80,flags=offensive,possibly_offensive=true
 word=alot,f=0,not_a_word=true
  shortcut=a lot,f=whitelist
"""


def test_a_list_is_read_with_its_marks() -> None:
    entries = {entry.text: entry for entry in read_combined(_LIST.splitlines())}
    assert entries["the"] == Entry("the", 222)
    assert entries["damn"].is_offensive
    assert entries["alot"].is_miswritten
    assert len(entries) == 5


def test_a_word_without_frequency_is_refused() -> None:
    with pytest.raises(DataError, match="line 1"):
        read_combined([" word=the"])


def test_the_first_list_counts_and_what_is_no_word_gives_way_to_a_name() -> None:
    lists = [[Entry("ok", 150)], [Entry("ok", 0), Entry("I", 196), Entry("i", 0, is_miswritten=True)]]
    merged = {entry.text: entry for entry in merge(lists, ["dont"])}
    assert merged.keys() == {"ok", "I", "dont"}
    assert merged["ok"].frequency == 150
    assert merged["dont"].is_miswritten


def test_the_command_writes_what_the_runtime_reads(tmp_path: Path) -> None:
    words, more, contractions = tmp_path / "words.gz", tmp_path / "more.tsv", tmp_path / "contractions.tsv"
    words.write_bytes(gzip.compress(_LIST.encode()))
    more.write_text("# ours\nword\tf\nlol\t130\n", encoding="utf-8")
    contractions.write_text("typed\tmeant\tambiguous\ndont\tdon't\t\nwell\twe'll\tyes\n", encoding="utf-8")
    arguments = [str(tmp_path), str(words), "--more", str(more), "--contractions", str(contractions)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    lexicon = read_lexicon((tmp_path / LEXICON_FILE).read_bytes())
    assert lexicon.known("lol")
    assert lexicon.is_miswritten("dont")
    assert not lexicon.is_miswritten("well")
