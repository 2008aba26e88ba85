"""What a key costs the Swift engine and the Python engine, on the same keys in turns.

    python tests/benchmarks/swift_keystrokes.py [--num 2000] [--threads 2] [--precision rounded] [--only toy|model]

Messages are typed letter by letter into a session of each engine, and the bar is asked for behind each key; nothing is
learned. Once on the toy network of the golden files, whose own time is taken off: the engine alone. Once on the bundled
weights: Swift on its processor network, whose weights are rounded to 8 bits unless --precision says half, Python on
ONNX int4. The engines take turns message by message, the first of
them by turns, too. Needs `ios_demo/tools/swift.sh build -c release --static-swift-stdlib`. Prints milliseconds of a key
by wall clock and by processor time with their ratios, the memory of the Swift process, and one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keyboard_lm.backends import load_backend
from keyboard_lm.device.budget import load_device
from keyboard_lm.evaluation.texts import shipped_texts
from keyboard_lm.keyboard.events import FieldStarted, Typed
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.keyboard.session import Session
from keyboard_lm.keyboard.suggester import Suggester
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.personal import PersonalStore
from keyboard_lm.touch.layout import load_layout
from tests.golden.toy_network import ToyNetwork

ROOT = Path(__file__).parents[2]
PERCENTILES = (50, 95)
Key = tuple[float, float, int, list[str]]  # ms and processor ms without the toy's, calls, the bar's words


class TimedToy(ToyNetwork):
    """The toy network, and how long its calls took."""

    ms = cpu_ms = 0.0

    def prefill(self, token_ids: Sequence[int]) -> Any:
        return self._timed(super().prefill, token_ids)

    def decode(self, token_ids: Sequence[int]) -> Any:
        return self._timed(super().decode, token_ids)

    def score_tree(self, token_ids: Sequence[int], parents: Sequence[int]) -> Any:
        return self._timed(super().score_tree, token_ids, parents)

    def _timed(self, call: Any, *arguments: Any) -> Any:
        begun, cpu_begun = time.perf_counter(), time.process_time()
        logits = call(*arguments)
        self.ms += (time.perf_counter() - begun) * 1000
        self.cpu_ms += (time.process_time() - cpu_begun) * 1000
        del self.calls[:]
        return logits


class PythonTypist:
    """Types into a session of the Python engine."""

    def __init__(self, is_toy: bool, threads: int) -> None:
        checkpoint, language = Checkpoint.load(bundled_folder()), load_language()
        self._toy = TimedToy(checkpoint.tokenizer, checkpoint.config) if is_toy else None
        network = self._toy or load_backend("onnx", checkpoint, num_threads=threads)
        store = PersonalStore.open(None, knows=language.lexicon.known)
        suggester = Suggester(network, checkpoint.tokenizer, language, load_layout(), store)
        self._session = Session(suggester, store, load_device().cost(checkpoint.config), editor=language.editor)

    def type(self, message: str) -> list[Key]:
        """Return what each key of a message took."""
        session, toy, found = self._session, self._toy, []
        session.apply(FieldStarted(is_private=True))
        session.suggest()
        for char in message:
            if toy is not None:
                toy.ms = toy.cpu_ms = 0.0
            begun, cpu_begun = time.perf_counter(), time.process_time()
            session.apply(Typed(char))
            answer = session.suggest()
            ms, cpu_ms = (time.perf_counter() - begun) * 1000, (time.process_time() - cpu_begun) * 1000
            if toy is not None:
                ms, cpu_ms = ms - toy.ms, cpu_ms - toy.cpu_ms
            found.append((ms, cpu_ms, answer.num_model_calls, [slot.text for slot in answer.slots]))
        return found


class SwiftTypist:
    """Types into a session of the Swift engine, in a process of its own."""

    def __init__(self, threads: int, precision: str) -> None:
        files = ["--model", str(bundled_folder()), "--words", str(ROOT / "ios_demo" / "Model")]
        files += [
            "--emoji",
            str(ROOT / "keyboard_lm" / "languages" / "en" / "emoji.tsv"),
            "--threads",
            str(threads),
            "--precision",
            precision,
        ]
        command = [str(ROOT / "ios_demo" / "tools" / "swift.sh"), "exec", "bench", *files]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.memory_kb: dict[str, int] = {}

    def type(self, message: str, is_toy: bool) -> list[Key]:
        """Return what each key of a message took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"text": message, "toy": is_toy}) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        self.memory_kb = told["memory_kb"]
        return [
            (ms - net_ms, cpu_ms - net_cpu_ms, calls, words) if is_toy else (ms, cpu_ms, calls, words)
            for ms, cpu_ms, net_ms, net_cpu_ms, calls, words in told["keys"]
        ]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def measure(name: str, messages: Sequence[str], num: int, swift: SwiftTypist, threads: int) -> dict[str, Any]:
    """Type some keys into both engines, print what they took, and return it."""
    is_toy = name == "toy"
    python = PythonTypist(is_toy, threads)
    for message in messages[-3:]:  # both have read their files and made their tables
        python.type(message)
        swift.type(message, is_toy)
    keys: list[tuple[Key, Key]] = []
    for number, message in enumerate(messages):
        if len(keys) >= num:
            break
        if number % 2:
            ours, theirs = python.type(message), swift.type(message, is_toy)
        else:
            theirs, ours = swift.type(message, is_toy), python.type(message)
        keys += zip(theirs, ours, strict=True)
    found: dict[str, Any] = {"keys": len(keys), "other_bars": sum(one[3] != other[3] for one, other in keys)}
    print(f"{'engine alone' if is_toy else 'with its network'}: {len(keys)} keys, {found['other_bars']} other bars")
    for place, clock in enumerate(("wall", "processor")):
        swift_ms, python_ms = (np.array([key[side][place] for key in keys]) for side in (0, 1))
        for percentile in PERCENTILES:
            ms = [float(np.percentile(each, percentile)) for each in (swift_ms, python_ms)]
            found[f"{clock}_p{percentile}"] = [round(each, 3) for each in ms]
            print(f"  {clock:9} p{percentile}: Swift {ms[0]:6.3f}  Python {ms[1]:6.3f} ms  ratio {ms[0] / ms[1]:.2f}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=2000, help="keys")
    parser.add_argument("--threads", type=int, default=2, help="of both networks")
    parser.add_argument("--precision", choices=("half", "rounded"), default="rounded", help="of Swift's weights")
    parser.add_argument("--only", choices=("toy", "model"), help="one of the two alone")
    options = parser.parse_args()
    messages = [message for text in shipped_texts() for document in text.documents for message in document]
    messages = messages[:: max(1, len(messages) // 400)]
    swift = SwiftTypist(options.threads, options.precision)
    found = {
        name: measure(name, messages, options.num, swift, options.threads)
        for name in ("toy", "model")
        if options.only in (None, name)
    }
    print(f"Swift's memory, both networks open: {swift.memory_kb}")
    swift.close()
    print(json.dumps({**found, "memory_kb": swift.memory_kb}))


if __name__ == "__main__":
    main()
