"""The emoji file from CLDR's annotations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from keyboard_lm_training.language_data.emoji_pack import POPULAR_FILE, main, qualified, read_annotations

from keyboard_lm.errors import DataError
from keyboard_lm.words.emoji import load_emoji
from keyboard_lm.words.lexicon import LEXICON_FILE, Entry, build_lexicon

ANNOTATIONS = {
    "❤": (["heart", "love", "red"], "red heart"),
    "🍕": (["food", "pizza", "the"], "pizza"),
    "🔥": (["fire", "shit", "hot", "+1"], "fire"),
    "👍🏽": (["thumb"], "thumbs up: medium skin tone"),
    "{": (["brace"], "open curly bracket"),
}


def content() -> str:
    rows = {key: {"default": words, "tts": [name]} for key, (words, name) in ANNOTATIONS.items()}
    return json.dumps({"annotations": {"annotations": rows}})


def test_signs_get_their_selector() -> None:
    assert qualified("❤") == "❤\ufe0f"
    assert qualified("🍕") == "🍕"
    assert qualified("❤\u200d🔥") == "❤\ufe0f\u200d🔥"


def test_only_emoji_without_skin_tone_are_read() -> None:
    assert set(read_annotations(content())) == {"❤\ufe0f", "🍕", "🔥"}
    with pytest.raises(DataError, match="CLDR"):
        read_annotations("[]")


def test_frequent_and_offensive_words_have_none_unless_our_table_says_so(tmp_path: Path) -> None:
    words = [Entry("the", 222), Entry("love", 200), Entry("hot", 100), Entry("shit", 100, is_offensive=True)]
    (tmp_path / LEXICON_FILE).write_bytes(build_lexicon(words).to_bytes())
    (tmp_path / POPULAR_FILE).write_text("# ours\n❤\ufe0f\tlove\n", encoding="utf-8")
    (tmp_path / "annotations.json").write_text(content(), encoding="utf-8")
    done = CliRunner().invoke(main, [str(tmp_path), str(tmp_path / "annotations.json")])
    assert done.exit_code == 0, done.output
    lines = dict(line.split("\t") for line in (tmp_path / "emoji.tsv").read_text(encoding="utf-8").splitlines())
    assert lines == {
        "fire": "🔥",
        "food": "🍕",
        "heart": "❤\ufe0f",
        "hot": "🔥",
        "love": "❤\ufe0f",
        "pizza": "🍕",
        "red": "❤\ufe0f",
    }


def test_the_shipped_file_is_loaded() -> None:
    assert len(load_emoji()) > 1000
