"""Stages that make the tokenizer: the sample is drawn at once, its lines are found and counted part by part."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keyboard_lm.network.tokenizer import PROPER_NOUNS_FILE, TOKENIZER_FILE, Tokenizer
from keyboard_lm.text.form import TextForm
from keyboard_lm_training.corpus.decisions import train_messages
from keyboard_lm_training.corpus.recipe import SHARE, Recipe
from keyboard_lm_training.corpus.sliced import SlicedWriter, read_slices
from keyboard_lm_training.corpus.tokenizer_training import (
    MessageSample,
    choose_proper_nouns,
    count_mid_sentence,
    train_pieces,
)
from keyboard_lm_training.corpus.work import Values, Work
from keyboard_lm_training.storage import Storage


def token_weights(recipe: Recipe, sizes: Sequence[int]) -> list[float]:
    """Return sampling weights per token (or character) from the recipe's, given the sizes of the sources."""
    weights = [source.weight for source in recipe.sources]
    if recipe.weights != SHARE:
        return weights
    per_share = sum(sizes) / sum(weights)
    return [weight / size * per_share if size else 0.0 for weight, size in zip(weights, sizes, strict=True)]


def draw_sample(work: Work, index: int) -> Values:
    """Draw the messages that the tokenizer is trained on; a task of its own, for one stream of random numbers."""
    recipe, parts = work.recipe, work.parts
    sizes = [0] * len(recipe.sources)
    for part, clean in zip(parts, work.clean_parts, strict=True):
        sizes[part.source] += clean.num_bytes
    weights = token_weights(recipe, sizes)
    sample = MessageSample(recipe.tokenizer.sample_lines, np.random.default_rng(recipe.seed))
    first, total = [], 0  # the number of each part's first message
    for part, mark in zip(parts, work.marks("decide", len(parts)), strict=True):
        sample.add(mark["train_messages"], weights[part.source], mark["too_long"])
        first.append(total)
        total += mark["train_messages"]
    numbers = sample.numbers()
    owners = np.searchsorted(first, numbers, side="right") - 1
    writer = SlicedWriter("<u4", len(parts))
    writer.add((numbers - np.array(first, np.int64)[owners]).astype("<u4"), owners)
    writer.save(work.storage, "chosen")
    return {}


def count_lines(work: Work, part: int) -> Values:
    """Copy the lines of a part that are in the sample, and count their words where capitals say something."""
    (chosen,) = read_slices(work.storage, ["chosen"], part, "<u4")
    wanted = train_messages(work.flags(part))[chosen]
    lines: list[str] = []
    with work.storage.open(f"text/{part}") as text:
        numbered = enumerate(text)
        for item in wanted.tolist():
            line = next(line for number, line in numbered if number == item)
            lines.append(line.decode().removesuffix("\n"))
    work.storage.write(f"lines/{part}", "".join(f"{line}\n" for line in lines).encode())
    work.save(f"nouns/{part}", count_mid_sentence(lines))
    return {}


def choose_nouns(work: Work, index: int) -> Values:
    """Choose the words that keep their capital."""
    counts: Counter[str] = Counter()
    for name in work.part_files("nouns"):
        counts.update(work.load(name))
    options = work.recipe.tokenizer
    nouns = choose_proper_nouns(counts, options.max_proper_nouns, options.min_proper_noun_count)
    work.save("nouns.json", {"nouns": nouns})
    return {}


def write_forms(work: Work, part: int) -> Values:
    """Write the sample's lines of a part in the text form."""
    form = TextForm(work.load("nouns.json")["nouns"])
    with work.storage.open(f"lines/{part}") as lines, work.storage.replaced(f"forms/{part}") as forms:
        for line in lines:
            forms.write(form.encode(line.decode().removesuffix("\n")).encode() + b"\n")
    return {}


def make_tokenizer(work: Work, index: int) -> Values:
    """Train the pieces on all forms, in the order of the text."""
    forms = [line for name in work.part_files("forms") for line in work.storage.read(name).decode().split("\n")[:-1]]
    tokenizer = Tokenizer(train_pieces(forms, work.recipe.tokenizer), work.load("nouns.json")["nouns"])
    save_tokenizer(tokenizer, work)
    return {}


def save_tokenizer(tokenizer: Tokenizer, work: Work) -> None:
    """Write the tokenizer's files into the corpus, and its digest and size into the work folder."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(Path(folder))
        for name in (TOKENIZER_FILE, PROPER_NOUNS_FILE):
            work.corpus.write(name, (Path(folder) / name).read_bytes())
    work.save("tokenizer.json", {"digest": tokenizer.digest, "vocab_size": tokenizer.vocab_size})


def load_tokenizer(corpus: Storage) -> Tokenizer:
    """Return the tokenizer of a corpus, wherever that is."""
    with tempfile.TemporaryDirectory() as folder:
        for name in (TOKENIZER_FILE, PROPER_NOUNS_FILE):
            (Path(folder) / name).write_bytes(corpus.read(name))
        return Tokenizer.load(Path(folder))
