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
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from corpus_reference import reference_documents, shard_sizes, shards_of
from keyboard_lm_training.corpus import assembly, encoding
from keyboard_lm_training.corpus import build as corpus
from keyboard_lm_training.corpus.build import CorpusOptions, build_corpus
from keyboard_lm_training.corpus.clean import CleanOptions
from keyboard_lm_training.corpus.dedup import DedupOptions
from keyboard_lm_training.corpus.parallel import Workers
from keyboard_lm_training.corpus.recipe import SHARE, Recipe
from keyboard_lm_training.corpus.shards import HELDOUT, SPLITS, TRAIN, CorpusManifest, open_shard
from keyboard_lm_training.corpus.sources import SourceRecipe
from keyboard_lm_training.corpus.tokenizer_training import TokenizerOptions
from keyboard_lm_training.storage import DiskStorage

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


def test_a_corpus_is_what_one_pass_in_memory_makes(built: Path, data_dir: Path) -> None:
    expected = shards_of(reference_documents(RECIPE, data_dir))
    assert {name: data for name, data in contents(built).items() if name.endswith(".bin")} == expected


@pytest.mark.parametrize(("num_workers", "part_bytes"), [(1, 2000), (2, 6000)])
def test_runs_are_byte_identical_with_any_number_of_workers_and_parts(
    tmp_path: Path, built: Path, data_dir: Path, num_workers: int, part_bytes: int
) -> None:
    options = CorpusOptions(data_dir, num_workers=num_workers, part_bytes=part_bytes)
    build_corpus(RECIPE, tmp_path / "again", options)
    assert contents(tmp_path / "again") == contents(built)


def test_the_tokenizers_sample_does_not_depend_on_parts(tmp_path: Path, data_dir: Path) -> None:
    few = replace(RECIPE, weights=SHARE, seed=3, tokenizer=replace(RECIPE.tokenizer, vocab_size=420, sample_lines=200))
    build_corpus(few, tmp_path / "c", CorpusOptions(data_dir, part_bytes=3000))
    expected = shards_of(reference_documents(few, data_dir))
    assert {name: data for name, data in contents(tmp_path / "c").items() if name.endswith(".bin")} == expected


@pytest.mark.parametrize("part_bytes", [2200, 1 << 20])
def test_shards_end_with_the_block_that_fills_them_wherever_parts_do(
    tmp_path: Path, built: Path, data_dir: Path, part_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "_BLOCK_BYTES", 1000)
    monkeypatch.setattr(assembly, "MAX_SHARD_TOKENS", 600)
    manifest = build_corpus(RECIPE, tmp_path / "c", CorpusOptions(data_dir, tokenizer_dir=built, part_bytes=part_bytes))
    manifest.verify(tmp_path / "c")
    expected = reference_documents(RECIPE, data_dir, Tokenizer.load(built))
    for source in ("chat", "notes"):
        own = [document for document in expected if document.source == source]
        for split in SPLITS:
            of_split = [document if document.split == split else replace(document, ids=[]) for document in own]
            shards = manifest.shards_of(split, source)
            assert [shard.num_tokens for shard in shards] == shard_sizes(of_split, 1000, 600)
            assert len(shards) > 1 or split == HELDOUT
            joined = np.concatenate([open_shard(tmp_path / "c", shard) for shard in shards])
            assert joined.tolist() == [token for document in of_split for token in document.ids]


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


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory, built: Path, data_dir: Path) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("rebuilt") / "corpus"
    build_corpus(RECIPE, output, CorpusOptions(data_dir, tokenizer_dir=built))
    return contents(output)


@pytest.mark.parametrize(
    ("name", "failure", "error", "complaint"),
    [
        ("text/1", full_disk, DataError, "No space left on device.*run the same command again"),
        ("exact/0", interrupt, KeyboardInterrupt, None),
        ("flags/0", full_disk, DataError, "No space left on device.*run the same command again"),
        ("ids/train-1", interrupt, KeyboardInterrupt, None),
        ("train/notes-00000.bin", full_disk, DataError, "No space left on device.*run the same command again"),
    ],
)
def test_a_run_that_fails_goes_on_where_it_stopped(
    tmp_path: Path, built: Path, data_dir: Path, rebuilt: dict[str, bytes], monkeypatch: pytest.MonkeyPatch,
    name: str, failure: Any, error: type[BaseException], complaint: str | None,
) -> None:  # fmt: skip
    options = CorpusOptions(data_dir, tokenizer_dir=built)
    marks: list[str] = []
    is_failing = True
    replaced = DiskStorage.replaced

    @contextmanager
    def watched(storage: DiskStorage, file: str) -> Iterator[IO[bytes]]:
        with replaced(storage, file) as stream:
            yield stream
            if file == name and is_failing:
                failure()
        if file.startswith("marks/"):
            marks.append(file)

    monkeypatch.setattr(DiskStorage, "replaced", watched)
    with pytest.raises(error, match=complaint):
        build_corpus(RECIPE, tmp_path / "corpus", options)
    assert not (tmp_path / "corpus").exists()
    assert len(marks) >= 5
    is_failing = False
    build_corpus(RECIPE, tmp_path / "corpus", options)
    assert len(marks) == len(set(marks)), "finished tasks were done again"
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
    assert contents(tmp_path / "corpus") == rebuilt


def test_files_that_a_power_cut_has_shortened_are_made_again(
    tmp_path: Path, built: Path, data_dir: Path, rebuilt: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = CorpusOptions(data_dir, tokenizer_dir=built)
    with monkeypatch.context() as patch:
        patch.setattr(assembly, "hashlib", None)
        with pytest.raises(AttributeError):
            build_corpus(RECIPE, tmp_path / "corpus", options)
    work = tmp_path / "corpus.partial" / "work"
    for name in ("text/0", "flags/1", "marks/exact/0000000.json"):
        (work / name).write_bytes(b"")
    (work / "ids/train-0").unlink()
    build_corpus(RECIPE, tmp_path / "corpus", options)
    assert contents(tmp_path / "corpus") == rebuilt


def test_bad_input_leaves_nothing(tmp_path: Path, data_dir: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"fine\n\n\xff\n")
    (tmp_path / "empty.txt").write_bytes(b"\n\n")
    recipe = replace(RECIPE, sources=(SourceRecipe("s", path="bad.txt"),))
    with pytest.raises(DataError, match=r"bad.txt: line 3, byte 1 is not UTF-8"):
        build_corpus(recipe, tmp_path / "corpus", CorpusOptions(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.txt", "empty.txt"]
    recipe = replace(RECIPE, sources=(SourceRecipe("s", path="empty.txt"),))
    with pytest.raises(DataError, match="source s: no text left of 0 documents"):
        build_corpus(recipe, tmp_path / "corpus", CorpusOptions(tmp_path))
    assert not (tmp_path / "corpus").exists()


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


def test_a_killed_run_leaves_no_corpus_and_another_recipe_does_not_take_over_its_work(
    tmp_path: Path, built: Path, data_dir: Path
) -> None:
    # The child stops for good in its encoding stage, where shards exist and the manifest does not.
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from keyboard_lm_training.corpus.build import CorpusOptions, build_corpus\n"
        "from keyboard_lm_training.corpus.recipe import Recipe\n"
        "recipe = Recipe.from_inputs(['chat.txt', 'notes.txt'])\n"
        "wait = lambda stage, done, total: time.sleep(60) if stage == 'writing shards' and done else None\n"
        "options = CorpusOptions(Path(sys.argv[1]), Path(sys.argv[3]))\n"
        "build_corpus(recipe, Path(sys.argv[2]), options, wait)\n"
    )
    output = tmp_path / "corpus"
    child = subprocess.Popen([sys.executable, "-c", script, data_dir, output, built])
    partial = tmp_path / "corpus.partial"
    deadline = time.monotonic() + 120
    while not list(partial.rglob("train/*.bin")) and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(DataError, match="another run is writing this corpus"):
        build_corpus(RECIPE, output, CorpusOptions(data_dir, tokenizer_dir=built))
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert partial.is_dir()
    assert not output.exists()
    with pytest.raises(DataError, match="no corpus here"):
        CorpusManifest.load(partial / "corpus")
    with pytest.raises(DataError, match=r"was begun with another recipe \(name, .*throw that work away with --restart"):
        build_corpus(RECIPE, output, CorpusOptions(data_dir, tokenizer_dir=built))
    build_corpus(RECIPE, output, CorpusOptions(data_dir, tokenizer_dir=built, restart=True))
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
