"""The same corpus from two workers, two Ray nodes of one core, and two ranks: time, CPU, memory, bytes.

    python tests/benchmarks/corpus_cluster.py --data FOLDER [--tokenizer FOLDER] [--only workers,ray,ranks]

`--data` holds text files. Each way runs in a Python of its own, its start included, one after the other. CPU is that
of all processes, Ray's own ones too, from /proc; on a shared machine it says more than the wall clock. Memory is the
largest resident set of a process that runs tasks. Prints a table and one JSON line last; fails if bytes differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from keyboard_lm_training.corpus.build import CorpusOptions, build_corpus
from keyboard_lm_training.corpus.ray_runner import prepare_environment
from keyboard_lm_training.corpus.recipe import Recipe

from keyboard_lm.cli.table import format_table

WAYS = ("workers", "ray", "ranks")
_TICK = os.sysconf("SC_CLK_TCK")


def family(root: int) -> dict[int, tuple[float, float, str]]:
    """Return CPU seconds, largest MB and command line of a process and all below it."""
    parents, found = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            status = (entry / "status").read_text()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        peak = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0) / 1024
        parents[int(entry.name)] = int(fields[1])
        found[int(entry.name)] = (sum(map(int, fields[11:13])) / _TICK, peak, command)
    kept = {root}
    while added := {pid for pid, parent in parents.items() if parent in kept} - kept:
        kept |= added
    return {pid: found[pid] for pid in kept if pid in found}


def run_one(way: str, options: argparse.Namespace) -> None:
    """Make the corpus in one way; print its seconds."""
    text = Path(options.data)
    recipe = Recipe.from_inputs([path.name for path in sorted(text.iterdir()) if path.is_file()])
    tokenizer = Path(options.tokenizer) if options.tokenizer else None
    output = Path(options.output)
    if way == "workers":
        build_corpus(recipe, output, CorpusOptions(text, tokenizer, 2))
    elif way == "ranks":
        context = multiprocessing.get_context("spawn")
        ranks = [
            context.Process(
                target=build_corpus,
                args=(recipe, output, CorpusOptions(text, tokenizer, rank=rank, num_ranks=2, poll_seconds=0.2)),
            )
            for rank in (0, 1)
        ]
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join()
    else:
        prepare_environment()
        import ray
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.add_node(num_cpus=1)
        ray.init(cluster.address, logging_level="ERROR", log_to_driver=False)
        print(json.dumps({"started": time.time()}), flush=True)
        build_corpus(recipe, output, CorpusOptions(text, tokenizer, ray=cluster.address))
    print(json.dumps({"done": time.time()}), flush=True)
    sys.stdin.readline()  # until the processes have been looked at
    if way == "ray":
        ray.shutdown()
        cluster.shutdown()


def measure(way: str, options: argparse.Namespace, folder: Path) -> dict[str, float | str]:
    """Return seconds, CPU seconds, the largest worker's MB and the digest of the corpus."""
    output = folder / way
    command = [sys.executable, __file__, "--data", options.data, "--tokenizer", options.tokenizer, "--one", way]
    start = time.time()
    child = subprocess.Popen([*command, "--output", str(output)], stdin=-1, stdout=-1, text=True)
    cpu: dict[int, tuple[float, float, str]] = {}
    is_done = threading.Event()

    def watch() -> None:
        while not is_done.wait(0.5):  # processes that end before the others keep what was seen last
            cpu.update(family(child.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert child.stdout is not None
    assert child.stdin is not None
    stamps: dict[str, float] = {}
    for line in child.stdout:
        if line.startswith("{"):
            stamps |= json.loads(line)
        if "done" in stamps:
            break
    is_done.set()
    watcher.join()
    cpu.update(family(child.pid))
    child.stdin.write("\n")
    child.stdin.close()
    if child.wait() or "done" not in stamps:
        raise SystemExit(f"{way}: failed")
    sha = hashlib.sha256()
    for path in sorted(output.rglob("*")):
        if path.is_file():
            sha.update(f"{path.relative_to(output)}\0".encode() + path.read_bytes())
    # Drivers do not run tasks; Ray's own daemons are no workers either.
    workers = [
        peak for pid, (_, peak, line) in cpu.items() if pid != child.pid and ("ray::" in line or "spawn" in line)
    ]
    return {
        "wall_s": round(stamps["done"] - start, 1),
        "start_s": round(stamps.get("started", start) - start, 1),
        "cpu_s": round(sum(seconds for seconds, _, _ in cpu.values()), 1),
        "worker_mb": round(max(workers, default=0.0)),
        "sha256": sha.hexdigest(),
    }


def main() -> None:
    """Run each way, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--tokenizer", default="")
    parser.add_argument("--only", default=",".join(WAYS))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run_one(options.one, options)
        return
    with tempfile.TemporaryDirectory() as folder:
        results = {way: measure(way, options, Path(folder)) for way in options.only.split(",")}
    rows = [["", "wall s", "of it start", "CPU s", "largest worker MB"]]
    rows += [[way, *(str(values[name]) for name in ("wall_s", "start_s", "cpu_s", "worker_mb"))]
             for way, values in results.items()]  # fmt: skip
    print(format_table(rows))
    if len({values["sha256"] for values in results.values()}) > 1:
        raise SystemExit("the corpora differ")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
