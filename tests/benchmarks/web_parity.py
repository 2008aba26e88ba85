"""Compare the browser's port with the Python it was ported from, over the same text; needs node and an exported folder.

keyboard-lm export-web -o WEB
python tests/benchmarks/web_parity.py WEB ids FILE...               # ids of every line, and of random Unicode
python tests/benchmarks/web_parity.py WEB bars --messages 303       # top-3 of next words and completions, shipped texts
"""

from __future__ import annotations

import argparse
import itertools
import json
import lzma
import math
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from keyboard_lm.backends.onnx import OnnxBackend
from keyboard_lm.evaluation.predictor import Predictor
from keyboard_lm.evaluation.texts import sample, shipped_texts
from keyboard_lm.evaluation.words import words_of
from keyboard_lm.export.web_graph import FOLDING_OPTION
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder

_REPLAY = Path(__file__).parents[2] / "web" / "bench" / "replay.mjs"
_BATCH = 64
# What the interesting rules of the text form meet all the time; random Unicode does so rarely.
_FRAGMENTS = (
    *("a", "B", "don't", "I'm", "e.g.", "U.S.", "3.5", "10:30", "ß", "İ", "é", "e\u0301", "你好", "שלום", "क्षि"),
    *(" ", "  ", "\n", "\t", "\u2028", "\u00a0", "'", "’", '"', "“", "(", ")", "-", "--", "@", "/", "#", "_", "⁀", "␣"),
    *(".", "...", ",", "!", "?!", ";", "…", "。", "%", "$", ":)", "xD", "<3", "www.x.y", "\r\n", "\x1f", "\x85", "▁"),
    *("👩\u200d👧", "👍🏽", "🇩🇪", "❤\ufe0f", "1\ufe0f\u20e3", "\ufe0f", "\u200d", "\u202e", "\ufeff", "\u00ad"),
)


class Port:
    """The TypeScript side, in a process of its own."""

    def __init__(self, folder: Path, search: str = "{}") -> None:
        command = ["node", str(_REPLAY), str(folder), search]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, operation: str, texts: list[str]) -> list[Any]:
        """Return the answers to one operation over several texts."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for text in texts:
            self._process.stdin.write(json.dumps({"op": operation, "text": text}) + "\n")
        self._process.stdin.flush()
        return [json.loads(self._process.stdout.readline()) for _ in texts]


def main() -> None:
    """Parse, compare, print a table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("web", type=Path)
    commands = parser.add_subparsers(required=True, dest="command")
    ids = commands.add_parser("ids")
    ids.add_argument("files", type=Path, nargs="+")
    ids.add_argument("--lines", type=int, default=100_000)
    ids.add_argument("--random", type=int, default=20_000)
    bars = commands.add_parser("bars")
    bars.add_argument("--messages", type=int, default=303)
    bars.add_argument(
        "--same-graph", action="store_true", help="Python over the browser's graph, not the one that ships"
    )
    bars.add_argument("--search", default="{}", help="the port's search options, as JSON")
    options = parser.parse_args()
    port = Port(options.web, getattr(options, "search", "{}"))
    checkpoint = Checkpoint.load(bundled_folder())
    if options.command == "ids":
        compare_ids(port, checkpoint, _lines(options.files, options.lines), options.random)
    else:
        graph: Any = _opened(options.web) if options.same_graph else checkpoint.read_file("model.int4.onnx")
        compare_bars(port, checkpoint, OnnxBackend(graph, checkpoint.config, num_threads=1), options.messages)


def _lines(files: list[Path], most: int) -> Iterator[str]:
    # The same number of each file, one after another.
    for file in files:
        with lzma.open(file, "rt", encoding="utf-8") if file.suffix == ".xz" else file.open(encoding="utf-8") as lines:
            yield from itertools.islice((line.strip() for line in lines if line.strip()), -(-most // len(files)))


def compare_ids(port: Port, checkpoint: Checkpoint, lines: Iterator[str], num_random: int) -> None:
    """Print how many lines have other ids, and how many another split at the cursor."""
    rng = random.Random(1)
    strings = ("".join(rng.choices(_FRAGMENTS, k=rng.randint(1, 12))) for _ in range(num_random))
    counts: Counter[str] = Counter()
    tokenizer = checkpoint.tokenizer
    for kind, texts in (("lines", lines), ("random", strings)):
        while batch := list(itertools.islice(texts, _BATCH)):
            for text, ids, split in zip(batch, port.ask("ids", batch), port.ask("split", batch), strict=True):
                typed = tokenizer.form.split_typed(text)
                expected = [[list(message) for message in typed.messages], typed.partial, typed.starts_sentence]
                counts[kind] += 1
                counts[f"{kind}_other_ids"] += ids != tokenizer.encode_message(text)
                if split != [*expected, typed.space_before]:
                    counts[f"{kind}_other_split"] += 1
                    print(repr(text), split, expected) if counts[f"{kind}_other_split"] < 5 else None
    print(json.dumps({"benchmark": "web_ids", **counts}))


def _opened(web: Path) -> Any:
    settings = onnxruntime.SessionOptions()
    settings.add_session_config_entry(FOLDING_OPTION, "1")
    settings.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(web / "model" / "model.onnx"), settings, providers=["CPUExecutionProvider"])


def compare_bars(port: Port, checkpoint: Checkpoint, backend: OnnxBackend, num_messages: int) -> None:
    """Print top-3 of both, and how often the bars are the same."""
    predictor = Predictor(backend, checkpoint.tokenizer)
    counts: Counter[str] = Counter()
    times: dict[str, list[float]] = {"python": [], "web": []}
    messages = [
        message
        for text in shipped_texts()
        for document in sample(text, math.ceil(1.1 * num_messages / len(shipped_texts()))).documents
        for message in document
    ][:num_messages]
    for message in messages:
        for word in words_of(message):
            wanted = word.text.casefold()
            for length in range(len(word.text)):
                text = message[: word.start] + word.text[:length]
                web = port.ask("bar", [text])[0]
                begun = time.process_time()
                own = [item.text for item in predictor.suggest(text).items]
                times["python"].append((time.process_time() - begun) * 1000)
                times["web"].append(web["cpu_ms"])
                kind = "completion" if length else "next_word"
                counts[kind] += 1
                counts[f"{kind}_same_bar"] += own == web["slots"]
                counts[f"{kind}_python"] += wanted in map(str.casefold, own)
                counts[f"{kind}_web"] += wanted in map(str.casefold, web["slots"])
                counts["web_calls"] += web["num_calls"]
    result: dict[str, Any] = {"benchmark": "web_bars", "messages": len(messages)}
    for kind in ("next_word", "completion"):
        total = counts[kind]
        shares = {name: 100 * counts[f"{kind}_{name}"] / total for name in ("python", "web", "same_bar")}
        result[kind] = {"bars": total, **{f"{name}_percent": round(share, 3) for name, share in shares.items()}}
        print(
            f"{kind:>10}: {total} bars, top-3 {shares['python']:.2f} % in Python, {shares['web']:.2f} % in the port; ",
            end="",
        )
        print(f"the same bar {shares['same_bar']:.1f} %")
    total = counts["next_word"] + counts["completion"]
    both = {side: sum(counts[f"{kind}_{side}"] for kind in ("next_word", "completion")) for side in ("python", "web")}
    result["top3_percent"] = {side: round(100 * hits / total, 3) for side, hits in both.items()}
    result["calls_a_bar"] = counts["web_calls"] / total
    for side, values in times.items():
        result[f"{side}_cpu_ms"] = {f"p{q}": round(float(np.percentile(values, q)), 2) for q in (50, 95, 99)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
