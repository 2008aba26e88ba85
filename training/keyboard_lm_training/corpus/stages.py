"""The stages of a corpus in their order, and one task of a stage.

A stage starts when all tasks of the one before have their marks; its own tasks know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keyboard_lm.errors import KeyboardLMError
from keyboard_lm_training.corpus import assembly, cleaning, decisions, duplicates, encoding, scan, tokenizer_stages
from keyboard_lm_training.corpus.work import Values, Work, opened_work


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage.

    Attributes:
        name: of its marks.
        title: what a reader of the progress is told.
        count: how many tasks it has.
        run: does one of them; what it returns is kept in the mark.
    """

    name: str
    title: str
    count: Callable[[Work], int]
    run: Callable[[Work, int], Values]


def _one(work: Work) -> int:
    return 1


def _parts(work: Work) -> int:
    return len(work.parts)


def _sources(work: Work) -> int:
    return len(work.recipe.sources)


def _partitions(work: Work) -> int:
    return work.num_partitions


def _if_near(count: Callable[[Work], int]) -> Callable[[Work], int]:
    return lambda work: count(work) if work.recipe.dedup.near_duplicates else 0


def _if_trained(count: Callable[[Work], int]) -> Callable[[Work], int]:
    return lambda work: 0 if work.plan["tokenizer"] else count(work)


def _digest(work: Work, index: int) -> Values:
    return {"sha256": scan.digest_source(work, index)}


STAGES = (
    Stage("scan", "reading", lambda work: len(work.plan["units"]), scan.scan_unit),
    Stage("parts", "reading", _one, scan.make_parts),
    Stage("digest", "reading", _sources, _digest),
    Stage("clean", "cleaning", _parts, cleaning.clean_part),
    Stage("items", "cleaning", _one, assembly.number_items),
    Stage("exact", "finding duplicates", _partitions, duplicates.exact_documents),
    Stage("exact_parts", "finding duplicates", _parts, duplicates.exact_of_part),
    Stage("near", "finding near duplicates", _if_near(_partitions), duplicates.near_pairs),
    Stage("near_parts", "finding near duplicates", _if_near(_parts), duplicates.near_of_part),
    Stage("repeated", "finding repeated messages", _partitions, duplicates.exact_messages),
    Stage("decide", "finding repeated messages", _parts, decisions.decide),
    Stage("sample", "sampling for the tokenizer", _if_trained(_one), tokenizer_stages.draw_sample),
    Stage("lines", "learning proper nouns", _if_trained(_parts), tokenizer_stages.count_lines),
    Stage("nouns", "learning proper nouns", _if_trained(_one), tokenizer_stages.choose_nouns),
    Stage("forms", "writing the text form", _if_trained(_parts), tokenizer_stages.write_forms),
    Stage("tokenizer", "training the tokenizer", _if_trained(_one), tokenizer_stages.make_tokenizer),
    Stage("encode", "encoding", _parts, encoding.encode_part),
    Stage("layout", "encoding", _one, assembly.lay_out_shards),
    Stage("shards", "writing shards", assembly.num_shards, assembly.write_shard),
    Stage("manifest", "writing shards", _one, assembly.write_manifest),
)
_BY_NAME = {stage.name: stage for stage in STAGES}


@dataclass(frozen=True, slots=True)
class Job:
    """Where a task finds all it needs; small, because it travels with every task."""

    work_place: str
    corpus_place: str
    plan_digest: str

    def open(self) -> Work:
        """Return the work folder, once per process."""
        return opened_work(self.work_place, self.corpus_place, self.plan_digest)


def run_task(job: Job, stage: str, index: int) -> int:
    """Do one task, unless it has its mark, and mark it; return its number.

    Raises:
        KeyboardLMError: it cannot be done. Another process that did it meanwhile is as good.
    """
    work = job.open()
    if work.has_mark(stage, index):
        return index
    work.storage.written.clear()
    try:
        values = _BY_NAME[stage].run(work, index)
        work.set_mark(stage, index, values, dict(work.storage.written))
    except KeyboardLMError:
        if not work.has_mark(stage, index):
            raise
    return index


def check_marks(work: Work) -> None:
    """Take back the marks of an earlier run whose files a power cut or a full disk has shortened."""
    unpacked = bool(work.done("items"))
    for stage in STAGES:
        for index in sorted(work.done(stage.name)):
            work.check_mark(stage.name, index, lambda name: not (unpacked and name.startswith("raw/")))
