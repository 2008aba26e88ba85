"""Laws of a whole corpus run: nothing is lost uncounted, nothing depends on the machine, nothing half-made is left."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keyboard_lm_training.corpus import build as corpus
from keyboard_lm_training.corpus import encoding
from keyboard_lm_training.corpus.build import CorpusOptions, build_corpus
from keyboard_lm_training.corpus.clean import CleanOptions
from keyboard_lm_training.corpus.dedup import DedupOptions
from keyboard_lm_training.corpus.parallel import Workers
from keyboard_lm_training.corpus.recipe import SHARE, Recipe
from keyboard_lm_training.corpus.shards import HELDOUT, SPLITS, TRAIN, CorpusManifest, ShardWriter, open_shard
from keyboard_lm_training.corpus.sources import SourceRecipe
from keyboard_lm_training.corpus.tokenizer_training import TokenizerOptions

from keyboard_lm.errors import CheckpointError, DataError
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.form import normalise

RECIPE = Recipe(
    "tiny",
    (SourceRecipe("chat", 3.0, "CC0 1.0", "chat.txt"), SourceRecipe("notes", 0.5, "MIT", "notes.txt")),
    heldout_fraction=0.2,
    tokenizer=TokenizerOptions(vocab_size=500, min_proper_noun_count=2),
)


def story(rng: random.Random, sentences: list[str], num_messages: int) -> list[str]:
    return [f"{rng.choice(sentences)} {rng.choice(sentences)} {rng.randrange(10**6)}" for _ in range(num_messages)]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory, sentences: list[str]) -> Path:
    """Two sources with short messages, exact and near duplicates, personal data, and repeated long messages."""
    folder = tmp_path_factory.mktemp("data")
    rng = random.Random(5)
    chats = [rng.sample(sentences, 4) for _ in range(60)] + [["Mail me: ann@example.org", "ok"]]
    notes = [story(rng, sentences, 6) for _ in range(40)]
    twins = [[*note[:5], f"{note[5]} indeed"] for note in notes[:5]]
    quotes = [[f"Somebody said: number {i}", note[0]] for i, note in enumerate(notes[:3])]
    for name, documents in (("chat", chats), ("notes", [*notes, *notes[10:14], *twins, *quotes])):
        (folder / f"{name}.txt").write_text("\n\n".join("\n".join(d) for d in documents) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    output = tmp_path_factory.mktemp("built") / "corpus"
    build_corpus(RECIPE, output, CorpusOptions(data_dir))
    return output


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def documents(folder: Path, split: str, source: str) -> Iterator[list[str]]:
    """Yield the documents of a corpus as the forms of their messages."""
    tokenizer = Tokenizer.load(folder)
    for shard in CorpusManifest.load(folder).shards_of(split, source):
        ids = open_shard(folder, shard)
        assert ids[0] == tokenizer.bos_id
        assert ids[-1] == tokenizer.eos_id
        for document in np.split(ids, np.flatnonzero(ids == tokenizer.bos_id))[1:]:
            ends = np.flatnonzero(document == tokenizer.eos_id)
            messages = np.split(document[1:], ends)
            yield [" ".join(tokenizer.decode_tokens(message.tolist())) for message in messages[:-1]]


def document_lengths(folder: Path, source: str) -> list[int]:
    """Return the tokens of each document, training ones first."""
    tokenizer, manifest = Tokenizer.load(folder), CorpusManifest.load(folder)
    shards = [open_shard(folder, shard) for split in SPLITS for shard in manifest.shards_of(split, source)]
    starts = (np.append(np.flatnonzero(ids == tokenizer.bos_id), len(ids)) for ids in shards)
    return [int(length) for positions in starts for length in np.diff(positions)]


def test_a_corpus_is_its_documented_files_and_no_others(built: Path) -> None:
    names = set(contents(built))
    shards = {f"{split}/{source}-00000.bin" for split in SPLITS for source in ("chat", "notes")}
    assert names == {"manifest.json", "tokenizer.model", "proper_nouns.txt", *shards}
    assert [path.name for path in built.parent.iterdir()] == ["corpus"]
    manifest = CorpusManifest.load(built)
    manifest.verify(built)
    assert manifest.tokenizer_digest == Tokenizer.load(built).digest
    stated = [(source.name, source.weight, source.licence) for source in manifest.sources]
    assert stated == [("chat", 3.0, "CC0 1.0"), ("notes", 0.5, "MIT")]


def test_every_message_read_is_kept_or_counted_as_lost(built: Path, data_dir: Path) -> None:
    manifest = CorpusManifest.load(built)
    for source in manifest.sources:
        lines = [line for line in (data_dir / f"{source.name}.txt").read_text().splitlines() if line]
        kept = sum(shard.num_messages for split in SPLITS for shard in manifest.shards_of(split, source.name))
        lost = sum(source.dropped.values()) + source.exact_duplicates + source.near_duplicates
        assert source.messages_read == len(lines) == kept + lost
    chat, notes = manifest.sources
    assert chat.dropped == {"personal": 1}
    assert notes.exact_duplicates == 4 * 6 + 3  # four documents again, three of their messages quoted
    assert notes.near_duplicates == 5 * 6


def test_shards_hold_the_text_form_of_the_normalised_messages(built: Path, data_dir: Path) -> None:
    tokenizer = Tokenizer.load(built)
    manifest = CorpusManifest.load(built)
    texts = (data_dir / "chat.txt").read_text().split("\n\n")
    kept = [[line for line in text.split("\n") if line and "@" not in line] for text in texts]
    expected = [[tokenizer.form.encode(line) for line in document] for document in kept]
    found = [document for split in SPLITS for document in documents(built, split, "chat")]
    assert sorted(found) == sorted(expected)
    messages = [normalise(line) for document in kept for line in document]
    num_bytes = sum(shard.num_bytes for split in SPLITS for shard in manifest.shards_of(split, "chat"))
    assert num_bytes == sum(len(message.encode()) + 1 for message in messages)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_two_runs_are_byte_identical_with_any_number_of_workers(
    tmp_path: Path, built: Path, data_dir: Path, num_workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Smaller blocks make several tasks; where they end is no part of the result either.
    monkeypatch.setattr(encoding, "_BLOCK_BYTES", 1000)
    build_corpus(RECIPE, tmp_path / "again", CorpusOptions(data_dir, num_workers=num_workers))
    assert contents(tmp_path / "again") == contents(built)


def test_a_document_is_held_out_by_its_text_alone(tmp_path: Path, built: Path, data_dir: Path) -> None:
    fewer = replace(RECIPE, sources=RECIPE.sources[:1], seed=7)
    build_corpus(fewer, tmp_path / "chat", CorpusOptions(data_dir, tokenizer_dir=built))
    for split in SPLITS:
        assert list(documents(tmp_path / "chat", split, "chat")) == list(documents(built, split, "chat"))
    held_out = list(documents(built, HELDOUT, "chat"))
    assert 3 <= len(held_out) <= 25  # of 61, at a fifth
    assert not {tuple(d) for d in held_out} & {tuple(d) for d in documents(built, TRAIN, "chat")}


def test_a_reused_tokenizer_is_not_changed(tmp_path: Path, built: Path, data_dir: Path) -> None:
    manifest = build_corpus(RECIPE, tmp_path / "c", CorpusOptions(data_dir, tokenizer_dir=built))
    assert manifest.tokenizer_digest == Tokenizer.load(built).digest
    with pytest.raises(CheckpointError, match="cannot read the tokenizer"):
        build_corpus(RECIPE, tmp_path / "d", CorpusOptions(data_dir, tokenizer_dir=data_dir))


def test_a_tokenizer_with_more_pieces_than_uint16_holds_is_refused(
    tmp_path: Path, built: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "MAX_VOCAB_SIZE", 499)
    with pytest.raises(DataError, match="500 pieces, but a shard holds ids below"):
        build_corpus(RECIPE, tmp_path / "c", CorpusOptions(data_dir, tokenizer_dir=built))


def test_documents_below_the_token_limit_go_as_a_whole(tmp_path: Path, built: Path, data_dir: Path) -> None:
    lengths = document_lengths(built, "chat")
    limit = sorted(lengths)[len(lengths) // 2]
    recipe = replace(RECIPE, clean=CleanOptions(min_document_tokens=limit))
    manifest = build_corpus(recipe, tmp_path / "c", CorpusOptions(data_dir, tokenizer_dir=built))
    assert document_lengths(tmp_path / "c", "chat") == [length for length in lengths if length >= limit]
    lost = [length for length in lengths if length < limit]
    assert len(lost) >= 10
    assert manifest.sources[0].dropped["short_document"] in (4 * len(lost), 4 * len(lost) - 3)  # one has one message


def test_shares_become_weights_that_give_each_source_its_share(tmp_path: Path, built: Path, data_dir: Path) -> None:
    manifest = build_corpus(
        replace(RECIPE, weights=SHARE), tmp_path / "c", CorpusOptions(data_dir, tokenizer_dir=built)
    )
    drawn = [source.weight * manifest.num_tokens(TRAIN, source.name) for source in manifest.sources]
    assert drawn[0] / drawn[1] == pytest.approx(3.0 / 0.5)
    assert sum(drawn) == pytest.approx(manifest.num_tokens(TRAIN))


def test_near_duplicates_stay_where_the_recipe_lets_them(tmp_path: Path, built: Path, data_dir: Path) -> None:
    recipe = replace(RECIPE, dedup=DedupOptions(near_duplicates=False))
    manifest = build_corpus(recipe, tmp_path / "c", CorpusOptions(data_dir, tokenizer_dir=built))
    assert [source.near_duplicates for source in manifest.sources] == [0, 0]


def full_disk(*args: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupt(*args: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("failure", "error", "complaint"),
    [(full_disk, DataError, "No space left on device.*free some space"), (interrupt, KeyboardInterrupt, None)],
)
def test_a_run_that_fails_leaves_nothing(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, failure: Any, error: type, complaint: str | None
) -> None:
    monkeypatch.setattr(ShardWriter, "append", failure)
    with pytest.raises(error, match=complaint):
        build_corpus(RECIPE, tmp_path / "corpus", CorpusOptions(data_dir))
    assert list(tmp_path.iterdir()) == []


def test_bad_input_leaves_nothing(tmp_path: Path, data_dir: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"fine\n\n\xff\n")
    (tmp_path / "empty.txt").write_bytes(b"\n\n")
    for name, complaint in (("bad.txt", "not UTF-8"), ("empty.txt", "source s: no text left of 0 documents")):
        recipe = replace(RECIPE, sources=(SourceRecipe("s", path=name),))
        with pytest.raises(DataError, match=complaint):
            build_corpus(recipe, tmp_path / "corpus", CorpusOptions(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.txt", "empty.txt"]


def test_text_that_is_all_held_out_is_an_error(tmp_path: Path, built: Path, data_dir: Path) -> None:
    (tmp_path / "one.txt").write_text("Just this.\n")
    recipe = replace(RECIPE, sources=(SourceRecipe("s", path="one.txt"),), heldout_fraction=1 - 1e-12)
    with pytest.raises(DataError, match="no training text is left"):
        build_corpus(recipe, tmp_path / "c", CorpusOptions(tmp_path, tokenizer_dir=built))


def test_an_existing_folder_is_never_overwritten(built: Path, data_dir: Path) -> None:
    before = contents(built)
    with pytest.raises(DataError, match="already exists"):
        build_corpus(RECIPE, built, CorpusOptions(data_dir))
    assert contents(built) == before


def test_an_output_that_cannot_be_made_is_a_data_error(tmp_path: Path, data_dir: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        build_corpus(RECIPE, tmp_path / "file" / "corpus", CorpusOptions(data_dir))


def test_a_killed_run_leaves_no_corpus_and_the_next_run_cleans_up(tmp_path: Path, built: Path, data_dir: Path) -> None:
    # The child stops for good in its encoding stage, where shards exist and the manifest does not.
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from keyboard_lm_training.corpus.build import CorpusOptions, build_corpus\n"
        "from keyboard_lm_training.corpus.recipe import Recipe\n"
        "recipe = Recipe.from_inputs(['chat.txt', 'notes.txt'])\n"
        "wait = lambda stage, done, total: time.sleep(60) if stage == 'encoding' else None\n"
        "options = CorpusOptions(Path(sys.argv[1]), Path(sys.argv[3]))\n"
        "build_corpus(recipe, Path(sys.argv[2]), options, wait)\n"
    )
    output = tmp_path / "corpus"
    child = subprocess.Popen([sys.executable, "-c", script, data_dir, output, built])
    partial = tmp_path / "corpus.partial"
    deadline = time.monotonic() + 120
    while not list(partial.glob("train/*.bin")) and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(DataError, match="another run is writing this corpus"):
        build_corpus(RECIPE, output, CorpusOptions(data_dir, tokenizer_dir=built))
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert partial.is_dir()
    assert not output.exists()
    with pytest.raises(DataError, match="no corpus here"):
        CorpusManifest.load(partial)
    build_corpus(RECIPE, output, CorpusOptions(data_dir, tokenizer_dir=built))
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def exit_at_once(item: int) -> int:
    os._exit(item)


def fail_with_data_error(item: int) -> int:
    raise DataError(f"item {item}")


def test_a_worker_that_dies_is_a_data_error() -> None:
    with Workers(2) as workers, pytest.raises(DataError, match="a worker process died"):
        list(workers.map(exit_at_once, range(1, 20)))


def test_an_error_in_a_worker_arrives_as_it_is() -> None:
    with Workers(2) as workers, pytest.raises(DataError, match="item 0"):
        list(workers.map(fail_with_data_error, range(20)))
