"""Laws of recipes: the shipped ones are what they say, and a wrong one names all its mistakes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyboard_lm_training.corpus.recipe import PER_TOKEN, SHARE, Recipe, load_recipe

from keyboard_lm.errors import ConfigError

SOURCE = '[[source]]\nname = "chat"\npath = "chat.txt"\n'


def test_the_openelm_recipe_is_the_papers_mix() -> None:
    recipe = load_recipe("openelm")
    weights = [source.weight for source in recipe.sources]
    assert weights == [665, 207, 175, 59, 26, 28, 24, 20, 411, 89, 70, 6, 4.3]
    assert recipe.weights == SHARE
    assert (recipe.clean.min_document_chars, recipe.clean.min_document_tokens) == (200, 256)
    assert all(source.dataset and source.licence != "unknown" for source in recipe.sources)


def test_the_keyboard_recipe_weighs_typed_chat_above_transcripts() -> None:
    recipe = load_recipe("keyboard")
    weights = {source.name: source.weight for source in recipe.sources}
    assert len(weights) == 32
    assert recipe.weights == PER_TOKEN
    assert weights["self_dialogue"] > weights["irc_ubuntu"] > weights["changelog_podcasts"] > weights["bitcoin_talks"]
    assert all(source.path == f"{source.name}.txt.xz" for source in recipe.sources)
    assert all(source.licence != "unknown" for source in recipe.sources)


def test_every_key_reaches_its_field() -> None:
    recipe = Recipe.from_toml(
        'name = "mine"\nweights = "share"\nheldout_fraction = 0.1\nseed = 3\n'
        "[clean]\nmin_document_chars = 5\n[dedup]\nthreshold = 0.9\n[tokenizer]\nvocab_size = 500\n"
        '[[source]]\nname = "a"\npath = "a.txt"\nweight = 2\n[[source]]\nname = "b"\ndataset = "o/n"\n',
        "mine.toml",
    )
    assert (recipe.name, recipe.weights, recipe.heldout_fraction, recipe.seed) == ("mine", SHARE, 0.1, 3)
    assert (recipe.clean.min_document_chars, recipe.dedup.threshold, recipe.tokenizer.vocab_size) == (5, 0.9, 500)
    assert [(source.name, source.weight, source.dataset) for source in recipe.sources] == [
        ("a", 2, ""),
        ("b", 1, "o/n"),
    ]
    assert json.loads(json.dumps(recipe.to_dict()))["sources"][1]["dataset"] == "o/n"


def test_all_mistakes_are_reported_together() -> None:
    text = (
        'nmae = "x"\nheldout_fraction = 2\nseed = "one"\n'
        "[clean]\nmin_document_chars = -1\nmax_chars = 3\n"
        "[dedup]\nthreshold = 0.1\nnear_duplicates = 1\n"
        "[tokenizer]\nvocab_size = 70000\n"
        '[[source]]\nname = "a/b"\npath = "a.txt"\nweight = 0\n'
        '[[source]]\nname = "c"\nlicense = "CC0"\n'
    )
    with pytest.raises(ConfigError) as caught:
        Recipe.from_toml(text, "mine.toml")
    message = str(caught.value)
    for part in (
        "mine.toml: ",
        "unknown key nmae",
        "missing key name",
        "heldout_fraction must be at least 0 and below 1, not 2",
        "seed must be a whole number, not 'one'",
        "[clean] unknown key max_chars",
        "[clean] min_document_chars must not be negative, not -1",
        "[dedup] near_duplicates must be true or false, not 1",
        "[dedup] threshold must be between 0.5 and 1, not 0.1",
        "[tokenizer] vocab_size must be between 400 and 65536",
        "[[source]] a/b: name must be letters",
        "[[source]] a/b: weight must be a positive number, not 0",
        "[[source]] c: unknown key license",
        "[[source]] c: give either path or dataset",
    ):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name = ", "not TOML"),
        ('name = "x"', "it has no source"),
        ('name = "x"\nsource = 3', "source must be an array of tables"),
        ('name = "x"\nsource = [3]', r"\[\[source\]\] 1: must be a table"),
        ('name = "x"\nclean = 3\n' + SOURCE, r"\[clean\] must be a table"),
        ('name = "x"\nsources = []\n' + SOURCE, "unknown key sources"),
        ('name = "x"\n' + SOURCE + SOURCE, "two sources are called 'chat'"),
        ('name = "x"\n[[source]]\npath = "a.txt"', r"\[\[source\]\] 1: missing key name"),
        ('name = "x"\n' + SOURCE + 'dataset = "o/n"', "give either path or dataset"),
        ('name = "x"\n' + SOURCE + "weight = nan", "weight must be a number, not nan"),
    ],
)
def test_a_mistake_is_named(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Recipe.from_toml(text, "mine.toml")


def test_a_recipe_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="keyboard, openelm"):
        load_recipe(str(tmp_path / "none.toml"))


def test_a_recipe_file_is_read_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\n' + SOURCE)
    assert load_recipe(str(file)).name == "mine"
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe(str(file))


def test_a_changed_recipe_is_checked_again() -> None:
    recipe = load_recipe("keyboard")
    with pytest.raises(ConfigError, match="vocab_size"):
        dataclasses.replace(recipe, tokenizer=dataclasses.replace(recipe.tokenizer, vocab_size=3))


@settings(max_examples=60)
@given(st.lists(st.text(min_size=1, max_size=12) | st.just("hf:owner/name"), min_size=1, max_size=6))
def test_any_inputs_make_a_recipe_with_distinct_names(inputs: list[str]) -> None:
    recipe = Recipe.from_inputs([text for text in inputs if text != "hf:"] or ["a.txt"])
    assert len({source.name for source in recipe.sources}) == len(recipe.sources)
