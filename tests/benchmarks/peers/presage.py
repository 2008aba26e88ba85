"""Presage (presage.sourceforge.io) as a keyboard under test: Debian's library over a database of n-grams.

    apt-get install g++ presage libpresage-dev
    python tests/benchmarks/peers/presage.py --database DB [--words LIST] "I am going"

DB is what `train_presage.py` makes. A driver is compiled and kept next to it. LIST is a frequency list from which the
words take their capitals; Presage knows none.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from xml.sax.saxutils import escape

from casing import Cursor
from word_list import plain, read_word_list

from keyboard_lm.errors import DataError, KeyboardLMError
from keyboard_lm.evaluation.engine import Bar, Taps

APOSTROPHE = "\u2019"  # inside words: Presage parts "don't" at "'", but takes this character for a letter
MAX_SLOTS = 5
PACKAGES = "apt-get install g++ presage libpresage-dev"
DRIVER_SOURCE = Path(__file__).with_name("presage_driver.cpp")

_IN_WORD = re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_]|\Z)")
_TOKEN = re.compile(r"[^\s!-/:-@\[-`{-~]+")  # Presage's own: ASCII punctuation and white space part tokens
_FIRST_PERSON = {"i": "I", "i'm": "I'm", "i've": "I've", "i'll": "I'll", "i'd": "I'd"}
# /etc/presage.xml but for the database, a bar that may repeat itself, and what learns: the user's database, the
# predictor of recent words and online learning are left out.
_CONFIG = """<?xml version="1.0" encoding="UTF-8" standalone="no" ?>
<Presage>
  <PredictorRegistry>
    <LOGGER>ERROR</LOGGER>
    <PREDICTORS>DefaultSmoothedNgramPredictor</PREDICTORS>
  </PredictorRegistry>
  <ContextTracker>
    <LOGGER>ERROR</LOGGER>
    <SLIDING_WINDOW_SIZE>80</SLIDING_WINDOW_SIZE>
    <LOWERCASE_MODE>yes</LOWERCASE_MODE>
    <ONLINE_LEARNING>no</ONLINE_LEARNING>
  </ContextTracker>
  <Selector>
    <LOGGER>ERROR</LOGGER>
    <SUGGESTIONS>{suggestions}</SUGGESTIONS>
    <REPEAT_SUGGESTIONS>yes</REPEAT_SUGGESTIONS>
    <GREEDY_SUGGESTION_THRESHOLD>0</GREEDY_SUGGESTION_THRESHOLD>
  </Selector>
  <PredictorActivator>
    <LOGGER>ERROR</LOGGER>
    <PREDICT_TIME>1000</PREDICT_TIME>
    <MAX_PARTIAL_PREDICTION_SIZE>60</MAX_PARTIAL_PREDICTION_SIZE>
    <COMBINATION_POLICY>Meritocracy</COMBINATION_POLICY>
  </PredictorActivator>
  <ProfileManager>
    <LOGGER>ERROR</LOGGER>
    <AUTOPERSIST>false</AUTOPERSIST>
  </ProfileManager>
  <Predictors>
    <DefaultSmoothedNgramPredictor>
      <PREDICTOR>SmoothedNgramPredictor</PREDICTOR>
      <LOGGER>ERROR</LOGGER>
      <DBFILENAME>{database}</DBFILENAME>
      <DELTAS>0.01 0.1 0.89</DELTAS>
      <LEARN>false</LEARN>
      <DatabaseConnector>
        <LOGGER>ERROR</LOGGER>
      </DatabaseConnector>
    </DefaultSmoothedNgramPredictor>
  </Predictors>
</Presage>
"""


class PeerError(KeyboardLMError):
    """A peer is not installed, or it failed."""


class PresageEngine:
    """An `Engine` over libpresage: next words and completions from interpolated 1-, 2- and 3-grams.

    It learns nothing, and an answer depends on the last two words and the typed prefix alone, so that answers are kept.
    A process of its own reads the database; `close` ends it.

    Args:
        database: n-grams in lower case, `APOSTROPHE` inside contractions.
        driver: the compiled driver; compiled when it is missing or older than its source. Next to the database by
            default.
        casing: how a word in lower case is written inside a sentence; the first person's capital needs no entry.
        max_slots: the longest bar that will be asked for.
        num_kept: answers that are kept; 0 where Presage's time is measured.

    Raises:
        PeerError: Presage or a compiler is missing, or Presage cannot use the database.
        DataError: there is no database.
    """

    def __init__(
        self,
        database: Path,
        driver: Path | None = None,
        casing: Mapping[str, str] | None = None,
        max_slots: int = MAX_SLOTS,
        num_kept: int = 1 << 16,
    ) -> None:
        if not database.is_file():
            raise DataError(f"{database}: no such database; train_presage.py makes it")
        self._casing = {**(casing or {}), **_FIRST_PERSON}
        self._answer = lru_cache(maxsize=num_kept)(self.ask)
        driver = build_driver(driver or database.with_name("presage_driver"))
        with tempfile.NamedTemporaryFile("w", suffix=".xml", delete=False, encoding="utf-8") as config:
            # One more than is shown: the typed word itself may be among the completions.
            config.write(_CONFIG.format(database=escape(str(database.resolve())), suggestions=max_slots + 1))
        self._process = subprocess.Popen(
            [driver.resolve(), config.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            bufsize=1,
        )
        try:
            self.ask("")  # when it answers, it has read its configuration and opened the database
        finally:
            Path(config.name).unlink()

    def close(self) -> None:
        """End the driver."""
        self._process.communicate()

    def start_field(self) -> None:
        """Do nothing: no answer depends on another."""

    def bar(self, text: str, num_slots: int, taps: Taps = ()) -> Bar:
        """Return Presage's suggestions, cased; taps are not looked at."""
        words = (word.replace(APOSTROPHE, "'") for word in self._answer(last_tokens(text)))
        return Bar(Cursor.after(text).bar((self._casing.get(word, word) for word in words), num_slots))

    def ask(self, text: str) -> Sequence[str]:
        """Return Presage's suggestions for one line of text, as they are in the database.

        Raises:
            PeerError: the driver has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(text + "\n")
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise PeerError("presage_driver has ended; the reason is above, perhaps the database lacks a table")
        return [word for word in answer.rstrip("\n").split("\t") if word]


def last_tokens(text: str) -> str:
    """Return all of the text before the cursor that Presage looks at: two tokens and the one being typed."""
    text = join_contractions(plain(text))
    tokens = _TOKEN.findall(text)
    if tokens and text.endswith(tokens[-1]):
        return " ".join(tokens[-3:])
    return " ".join([*tokens[-2:], ""])


def join_contractions(text: str) -> str:
    """Return plain text with `APOSTROPHE` inside words."""
    return _IN_WORD.sub(APOSTROPHE, text)


def build_driver(driver: Path) -> Path:
    """Compile the driver unless it is there and up to date.

    Raises:
        PeerError: there is no compiler, or Presage's header or library is missing.
    """
    if driver.exists() and driver.stat().st_mtime >= DRIVER_SOURCE.stat().st_mtime:
        return driver
    compiler = shutil.which("g++")
    if compiler is None:
        raise PeerError(f"g++ is not installed; run: {PACKAGES}")
    partial = driver.with_name(f"{driver.name}.{os.getpid()}")
    command = [compiler, "-O2", "-o", str(partial), str(DRIVER_SOURCE), "-lpresage"]
    compiled = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if compiled.returncode:
        reason = next((line for line in compiled.stderr.splitlines() if "error" in line or "cannot" in line), "")
        raise PeerError(f"the Presage driver does not compile ({reason.strip()}); run: {PACKAGES}")
    partial.replace(driver)
    return driver


def casing_of(words: Sequence[str]) -> dict[str, str]:
    """Return how each word in lower case is written, by the first that is the same but for case."""
    casing: dict[str, str] = {}
    for word in words:
        casing.setdefault(word.lower(), word)
    return casing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="+", help="before the cursor")
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--driver", type=Path, help="the compiled driver; next to the database by default")
    parser.add_argument("--words", type=Path, help="frequency list that capitals are taken from")
    parser.add_argument("--slots", type=int, default=3, choices=range(1, MAX_SLOTS + 1))
    options = parser.parse_args()
    try:
        casing = casing_of(read_word_list(options.words)) if options.words else None
        engine = PresageEngine(options.database, options.driver, casing)
        for text in options.text:
            begun = time.perf_counter()
            slots = engine.bar(text, options.slots).slots
            print(f"{text!r}: {' | '.join(slots)}  ({(time.perf_counter() - begun) * 1000:.1f} ms)")
        engine.close()
    except KeyboardLMError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
