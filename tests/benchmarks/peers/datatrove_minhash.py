"""datatrove's four MinHash stages over one file of JSON lines, in a Python that has datatrove, one process.

    python datatrove_minhash.py INPUT_FOLDER WORK_FOLDER BUCKETS HASHES

Words are split at white space: its English tokenizer wants spaCy, which is slower. Prints one JSON line: the ids that
are left, and the CPU seconds of each stage, imports not counted.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.word_tokenizers import WordTokenizer
from loguru import logger


class WhiteSpace(WordTokenizer):
    """Words between white space."""

    def word_tokenize(self, text: str) -> list[str]:
        """Return the words of a text."""
        return text.split()

    def sent_tokenize(self, text: str) -> list[str]:
        """Return the lines of a text."""
        return text.splitlines()

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        """Return where the lines of a text are."""
        starts = itertools.accumulate((len(line) for line in text.splitlines(keepends=True)), initial=0)
        return [(start, start + len(line)) for start, line in zip(starts, text.splitlines(), strict=False)]


def main(source: str, work: Path, buckets: int, hashes: int) -> None:
    """Run the stages one after the other."""
    logger.remove()
    config = MinhashConfig(n_grams=5, num_buckets=buckets, hashes_per_bucket=hashes)
    signatures, found, removed, left = (str(work / name) for name in ("signatures", "buckets", "removed", "left"))
    stages = {
        "sign": ([JsonlReader(source), MinhashDedupSignature(signatures, config, WhiteSpace())], 1),
        "buckets": ([MinhashDedupBuckets(signatures, found, config=config)], buckets),
        "cluster": ([MinhashDedupCluster(found, removed, config=config)], 1),
        "filter": (
            [JsonlReader(source), MinhashDedupFilter(removed), JsonlWriter(left, "${rank}.jsonl", compression=None)], 1,
        ),
    }  # fmt: skip
    seconds = {}
    for name, (pipeline, tasks) in stages.items():
        start = time.process_time()
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=str(work / "logs" / name)).run()
        seconds[name] = time.process_time() - start
    ids = [json.loads(line)["id"] for path in sorted(Path(left).rglob("*.jsonl")) for line in path.open()]
    print(json.dumps({"left": ids, "cpu_seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
