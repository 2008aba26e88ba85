"""Laws of a corpus on several machines: the same bytes as one process makes, whoever dies, wherever the files are."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from corpus_reference import reference_documents, shards_of
from keyboard_lm_training.corpus import ray_runner, stages
from keyboard_lm_training.corpus.build import CorpusOptions, build_corpus
from keyboard_lm_training.corpus.ray_runner import RayRunner
from keyboard_lm_training.corpus.recipe import Recipe
from keyboard_lm_training.corpus.shards import SPLITS
from keyboard_lm_training.corpus.sources import SourceRecipe
from keyboard_lm_training.corpus.stages import STAGES
from keyboard_lm_training.corpus.tokenizer_training import TokenizerOptions
from keyboard_lm_training.storage import connect, open_storage

from keyboard_lm.errors import DataError, MissingExtraError

RECIPE = Recipe(
    "tiny",
    (SourceRecipe("a", 2.0, path="a.txt.xz"), SourceRecipe("b", path="b-*.txt"), SourceRecipe("c", path="c.jsonl.gz")),
    heldout_fraction=0.1,
    tokenizer=TokenizerOptions(vocab_size=450, min_proper_noun_count=2),
)
PART_BYTES = 6000


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory, sentences: list[str]) -> Path:
    """Three sources, packed, in several files and in rows, with duplicates of all kinds between their parts."""
    import gzip
    import json
    import lzma

    folder = tmp_path_factory.mktemp("data")
    rng = random.Random(8)
    documents = [[f"{rng.choice(sentences)} {rng.choice(sentences)} {rng.randrange(10**6)}" for _ in range(5)]
                 for _ in range(60)]  # fmt: skip
    documents += [[*document[:4], document[4] + " indeed"] for document in documents[::7]]
    documents += [*documents[::9], *([document[1], "And so on"] for document in documents[::5])]
    rng.shuffle(documents)
    texts = ["\n".join(document) + "\n" for document in documents]
    third = len(texts) // 3
    (folder / "a.txt.xz").write_bytes(lzma.compress("\n".join(texts[:third]).encode()))
    for number, start in enumerate(range(third, 2 * third, 10)):
        (folder / f"b-{number}.txt").write_text("\n".join(texts[start : min(start + 10, 2 * third)]), encoding="utf-8")
    rows = "".join(json.dumps({"text": text}) + "\n" for text in texts[2 * third :])
    (folder / "c.jsonl.gz").write_bytes(gzip.compress(rows.encode()))
    return folder


def contents(place: Path | str) -> dict[str, bytes]:
    storage = open_storage(place)
    names = [name for folder in ("", *SPLITS) for name in (f"{folder}/{n}".lstrip("/") for n in storage.names(folder))]
    return {name: storage.read(name) for name in names}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("one") / "corpus"
    build_corpus(RECIPE, output, CorpusOptions(data_dir, part_bytes=PART_BYTES))
    found = contents(output)
    assert {name: data for name, data in found.items() if name.endswith(".bin")} == shards_of(
        reference_documents(RECIPE, data_dir)
    )
    return found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a child is killed without leaving Python's start-up behind")
def test_a_run_killed_in_every_stage_goes_on_and_does_nothing_twice(
    tmp_path: Path, data_dir: Path, expected: dict[str, bytes]
) -> None:
    options = CorpusOptions(data_dir, part_bytes=PART_BYTES)
    log = tmp_path / "log"

    def killed_in(name: str | None) -> int:
        """Run until the last task of a stage has written its files, and die before it is marked."""
        child = os.fork()
        if child:
            return os.waitpid(child, 0)[1]
        run = {stage.name: stage.run for stage in STAGES}
        try:
            for stage in STAGES:

                def task(work: Any, index: int, stage: stages.Stage = stage) -> Any:
                    with log.open("a") as file:
                        file.write(f"{stage.name} {index}\n")
                    values = run[stage.name](work, index)
                    if stage.name == name and index == stage.count(work) - 1:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return values

                stages._BY_NAME[stage.name] = replace(stage, run=task)
            build_corpus(RECIPE, tmp_path / "corpus", options)
        finally:
            os._exit(0)

    assert [killed_in(stage.name) for stage in STAGES] == [signal.SIGKILL] * len(STAGES)
    assert not (tmp_path / "corpus").exists()
    assert killed_in(None) == 0
    assert contents(tmp_path / "corpus") == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "log"]
    counts = Counter(log.read_text().splitlines())
    last = {line.split()[0]: line for line in counts}  # of each stage; only the one that was killed ran again
    for line in counts:
        stage, index = line.split()
        if int(index) > int(last[stage].split()[1]):
            last[stage] = line
    before_items = {"scan", "parts"}  # begun again where no part was cleaned yet: nothing was worth keeping
    again = {line for line, count in counts.items() if count > 1 and line.split()[0] not in before_items}
    assert again <= set(last.values())


def start_rank(rank: int, of: int, data_dir: Path, output: Path, patience: float) -> subprocess.Popen[str]:
    script = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\n"
        "from keyboard_lm_training.corpus.build import CorpusOptions, build_corpus\n"
        "from keyboard_lm_training.corpus.recipe import Recipe\n"
        f"options = CorpusOptions({str(data_dir)!r}, rank={rank}, num_ranks={of}, part_bytes={PART_BYTES},"
        f" patience_seconds={patience}, poll_seconds=0.02)\n"
        f"recipe = Recipe.from_dict({RECIPE.to_dict()!r})\n"
        f"print(len(build_corpus(recipe, Path({str(output)!r}), options).shards))\n"
    )
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_ranks_make_the_corpus_together(tmp_path: Path, data_dir: Path, expected: dict[str, bytes]) -> None:
    ranks = [start_rank(rank, 2, data_dir, tmp_path / "corpus", 60) for rank in (0, 1)]
    outputs = [rank.communicate(timeout=300) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], outputs
    assert contents(tmp_path / "corpus") == expected
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_a_rank_whose_neighbour_is_dead_does_its_work_and_a_late_one_finds_it_done(
    tmp_path: Path, data_dir: Path, expected: dict[str, bytes]
) -> None:
    options = CorpusOptions(
        data_dir, rank=1, num_ranks=2, part_bytes=PART_BYTES, patience_seconds=0.0, poll_seconds=0.001
    )
    build_corpus(RECIPE, tmp_path / "corpus", options)
    assert contents(tmp_path / "corpus") == expected
    late = replace(options, rank=0)
    assert len(build_corpus(RECIPE, tmp_path / "corpus", late).shards) == len(SPLITS) * len(RECIPE.sources)
    with pytest.raises(DataError, match="already exists, of another recipe"):
        build_corpus(replace(RECIPE, seed=5), tmp_path / "corpus", late)
    with pytest.raises(DataError, match="already exists; choose another folder"):
        build_corpus(RECIPE, tmp_path / "corpus", CorpusOptions(data_dir))


@pytest.mark.parametrize(("rank", "of"), [(2, 2), (-1, 2), (0, 0)])
def test_ranks_that_are_none_are_refused(rank: int, of: int) -> None:
    with pytest.raises(DataError, match="ranks count from 0"):
        CorpusOptions(rank=rank, num_ranks=of)


def test_the_same_rank_twice_is_refused(tmp_path: Path, data_dir: Path) -> None:
    inner: list[str] = []

    def again(stage: str, done: int, total: int | None) -> None:
        for options in (replace(outer, poll_seconds=0.01), CorpusOptions(data_dir)):
            with pytest.raises(DataError, match="another run is writing this corpus") as caught:
                build_corpus(RECIPE, tmp_path / "corpus", options)
            inner.append(str(caught.value))
        raise KeyboardInterrupt

    outer = CorpusOptions(data_dir, rank=0, num_ranks=2)
    with pytest.raises(KeyboardInterrupt):
        build_corpus(RECIPE, tmp_path / "corpus", outer, again)
    assert len(inner) == 2


def test_input_and_output_may_be_in_an_object_store(data_dir: Path, expected: dict[str, bytes]) -> None:
    bucket = f"memory://{uuid.uuid4().hex}"
    for path in data_dir.iterdir():
        open_storage(f"{bucket}/in").write(path.name, path.read_bytes())
    options = CorpusOptions(f"{bucket}/in", part_bytes=PART_BYTES)
    manifest = build_corpus(RECIPE, f"{bucket}/out", options)
    assert contents(f"{bucket}/out") == expected
    assert len(manifest.shards) == len(SPLITS) * len(RECIPE.sources)
    assert not connect(bucket)[0].exists(f"{bucket}/out.partial")
    with pytest.raises(DataError, match="already exists"):
        build_corpus(RECIPE, f"{bucket}/out", options)


def test_workers_share_an_object_store(tmp_path: Path, data_dir: Path, expected: dict[str, bytes]) -> None:
    options = CorpusOptions(f"local://{data_dir}", num_workers=2, part_bytes=PART_BYTES)
    build_corpus(RECIPE, f"local://{tmp_path}/out", options)
    assert contents(tmp_path / "out") == expected


def test_a_store_that_other_processes_cannot_see_is_refused_for_several() -> None:
    with pytest.raises(DataError, match="other processes cannot see it; use --workers 1"):
        build_corpus(RECIPE, "memory://x/out", CorpusOptions(num_workers=2))


def test_ray_missing_names_the_extra(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"ray is not installed; run: pip install 'keyboard-lm\[cluster\]'"):
        build_corpus(RECIPE, tmp_path / "corpus", CorpusOptions(data_dir, ray="local"))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two raylets of one core each on this machine, and this process as their driver."""
    pytest.importorskip("ray", reason="the extra [cluster] is not installed")
    ray_runner.prepare_environment()
    import ray
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        found.add_node(num_cpus=1)
        ray.init(found.address, logging_level="ERROR", log_to_driver=False)
        yield found
    finally:
        ray.shutdown()
        found.shutdown()


# One test, so that pytest-xdist starts one cluster.
def test_two_ray_nodes_one_of_which_is_killed_again_and_again(
    tmp_path: Path, data_dir: Path, expected: dict[str, bytes], cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[str] = []

    def kill_and_replace(stage: str, done: int, total: int | None) -> None:
        if stage in ("cleaning", "finding near duplicates", "encoding") and done == 1 and stage not in killed:
            killed.append(stage)
            node = next(node for node in cluster.worker_nodes)
            cluster.remove_node(node, allow_graceful=False)
            cluster.add_node(num_cpus=1)

    options = CorpusOptions(data_dir, ray=cluster.address, part_bytes=PART_BYTES)
    build_corpus(RECIPE, tmp_path / "corpus", options, kill_and_replace)
    assert killed == ["cleaning", "finding near duplicates", "encoding"]
    assert contents(tmp_path / "corpus") == expected

    # An error on a node arrives as it is.
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "bad.txt").write_bytes(b"fine\n\n\xff\n")
    recipe = replace(RECIPE, sources=(SourceRecipe("s", path="bad.txt"),))
    with pytest.raises(DataError, match=r"bad.txt: line 3, byte 1 is not UTF-8") as caught:
        build_corpus(recipe, bad / "corpus", CorpusOptions(bad, ray=cluster.address))
    assert "\n" not in str(caught.value)
    assert [path.name for path in bad.iterdir()] == ["bad.txt"]

    # A task whose process dies every time is one line.
    def die(job: int, stage: str, task: int) -> None:
        import os  # where it runs

        os._exit(1)

    monkeypatch.setattr(ray_runner, "run_task", die)
    monkeypatch.setattr(ray_runner, "_RETRIES", 0)
    with RayRunner(cluster.address, 1) as runner, pytest.raises(DataError, match="a Ray task was lost") as lost:
        list(runner.run(1, "clean", [0]))  # type: ignore[arg-type]
    assert "\n" not in str(lost.value)
