"""What a long time of typing does to the Swift engine's memory.

    python tests/benchmarks/swift_memory.py [--keys 200000] [--precision half|rounded]

The messages that ship are typed over and over into one process (`keyboard-lm-swift soak`): letter by letter with the
bar behind each key, a slip taken back and a word of the bar accepted now and then, all of it learned into a file. Needs
`ios_demo/tools/swift.sh build -c release --static-swift-stdlib`. Prints the resident memory, and of it what is the
process's own, at every 10,000 keys, and one JSON line last with the difference to the memory after 20,000.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from keyboard_lm.evaluation.texts import shipped_texts
from keyboard_lm.network.checkpoint import bundled_folder

ROOT = Path(__file__).parents[2]
SETTLED = 20_000  # keys, after which memory is to stay


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=200_000)
    parser.add_argument("--precision", choices=["half", "rounded"], default="half", help="of the weights")
    asked = parser.parse_args()
    messages = [message for text in shipped_texts() for document in text.documents for message in document]
    with TemporaryDirectory() as folder:
        command = [
            *(
                str(ROOT / "ios_demo" / "tools" / "swift.sh"),
                "exec",
                "soak",
                "--keys",
                str(asked.keys),
                "--threads",
                "1",
                "--precision",
                asked.precision,
            ),
            *("--learned", str(Path(folder, "learned.db")), "--model", str(bundled_folder())),
            *("--words", str(ROOT / "ios_demo" / "Model")),
            *("--emoji", str(ROOT / "keyboard_lm" / "languages" / "en" / "emoji.tsv")),
        ]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(message.replace("\n", " ") + "\n" for message in messages))
        process.stdin.close()
        marks = []
        for line in process.stdout:
            marks.append(json.loads(line))
            last = marks[-1]
            print(
                f"{last['keys']:9,} keys  {last['VmRSS'] / 1e3:7.2f} MB  {last['RssAnon'] / 1e3:7.2f} MB its own",
                flush=True,
            )
        assert process.wait() == 0
    settled = next(mark for mark in marks if mark["keys"] >= SETTLED)
    after = [mark for mark in marks if mark["keys"] > SETTLED] or [settled]
    growth = {f"{name}_growth_kb": max(mark[name] for mark in after) - settled[name] for name in ("VmRSS", "RssAnon")}
    print(json.dumps({"keys": marks[-1]["keys"], "at_20000": settled, "at_end": marks[-1], **growth}))


if __name__ == "__main__":
    main()
