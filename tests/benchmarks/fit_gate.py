"""Fit when letters that are no word are replaced: on misspellings that people made, and on words that no list holds.

    python tests/benchmarks/fit_gate.py EVAL_PUBLIC TRAINING_TEXTS [--num 1200] [--write]

Misspellings are those of the fitting half (`peers/recorded.py`), in sentences and alone, and what typists of the Aalto
study left wrong of that half of words; words that no list holds are
taken from the training texts as their writers left them, misspellings that they overlooked among them. A logistic
model; prints what it mends and changes at several odds.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parent / "peers"))
from recorded import LISTS, Misspelling, in_sentences, of_typists, read_list, sentences_of

from keyboard_lm.backends import load_backend
from keyboard_lm.correction.decision import other_of
from keyboard_lm.correction.gate import FEATURES, GATE_FILE, to_toml
from keyboard_lm.correction.hypotheses import Hypothesis, literal_of
from keyboard_lm.decoding.boundaries import Boundaries
from keyboard_lm.keyboard.language import Language, load_language
from keyboard_lm.keyboard.suggester import Suggester
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.text.case import fold
from keyboard_lm.text.form import normalise
from keyboard_lm.touch.layout import load_layout

REGISTERS = (
    "self_dialogue", "topical_chat", "goemotions_reddit", "wnut17_youtube_comments", "irc_ubuntu", "ewt_web_train",
    "broad_twitter", "casino_negotiation", "taskmaster", "masc_open_anc", "us_gov_blogs_cc0", "crd3_actual_play",
)  # fmt: skip
LINES = 25_000  # of each
ODDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.65, 1.0, 2.0, 3.0, 5.0, 8.0)
COMMENT = """# When letters that are no word are replaced (keyboard_lm/correction/gate.py): weights of a logistic
# model, fitted by tests/benchmarks/fit_gate.py on recorded misspellings of the fitting half and on words
# of the training texts that no list holds."""
_WORD = re.compile(r"(?<![\w'@#/.\-])[A-Za-z]{2,}(?![\w'@/]|\.\w|-)")


class Case(NamedTuple):
    """Letters, what they stand for, and whether a replacement by that mends something."""

    features: tuple[float, ...]
    is_meant: bool
    is_misspelling: bool


def unlisted(folder: Path, language: Language, rng: random.Random) -> list[Misspelling]:
    """Return words of texts that no list holds in any case, as if they were meant so."""
    words = language.known_words()
    found = []
    for name in REGISTERS:
        with lzma.open(folder / f"{name}.txt.xz", "rt", encoding="utf-8") as file:
            lines = [normalise(line) for _, line in zip(range(LINES), file, strict=False)]
        for line in rng.sample(lines, min(len(lines), 6000)):
            for match in _WORD.finditer(line):
                word = match.group()
                if word[1:] == fold(word[1:]) and not language.lexicon.entries_of(word) and not words.is_known(word):
                    found.append(Misspelling(word, word, line[: match.start()]))
    return found


class Judge:
    """Asks the corrector that ships."""

    def __init__(self, language: Language) -> None:
        checkpoint = Checkpoint.load(bundled_folder())
        network = load_backend("onnx", checkpoint, num_threads=1)
        suggester = Suggester(network, checkpoint.tokenizer, language, load_layout())
        self._corrector = suggester._corrector
        self._boundaries: Boundaries = suggester._boundaries
        self._form = checkpoint.tokenizer.form

    def is_known(self, word: str) -> bool:
        """Return whether letters are a word as they stand."""
        return self._corrector.knows(word)

    def hypotheses(self, text: str) -> Sequence[Hypothesis]:
        """Return what the word that ends a text may have been meant to be."""
        return self._corrector.judge(text, self._boundaries.at).hypotheses

    def case(self, misspelling: Misspelling) -> Case | None:
        """Return what the gate sees of one; None where it is not asked."""
        text = misspelling.context + misspelling.typed
        typed = self._form.split_typed(text)
        found = self._corrector.judge(text, self._boundaries.at).hypotheses
        other = other_of(typed.partial, found)
        if other is None or found[0] not in (other, literal_of(found)) or self._corrector.knows(typed.partial):
            return None
        features = self._corrector.evidence(typed.partial, found, typed).features()
        is_misspelling = misspelling.typed != misspelling.meant
        return Case(features, is_misspelling and fold(other.text) == fold(misspelling.meant), is_misspelling)


def fitted(cases: list[Case]) -> NDArray[np.float64]:
    """Return the weights of a logistic model, by gradient steps on standardised features with a little decay."""
    x = np.array([case.features for case in cases])
    y = np.array([case.is_meant for case in cases], float)
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    mean[0], deviation[0] = 0.0, 1.0
    deviation[deviation == 0] = 1.0
    z = (x - mean) / deviation
    weights = np.zeros(z.shape[1])
    for _ in range(6000):
        p = 1 / (1 + np.exp(-z @ weights))
        gradient = z.T @ (y - p) / len(y)
        gradient[1:] -= 2e-3 * weights[1:]
        weights += 0.5 * gradient
    weights /= deviation
    weights[0] -= weights[1:] @ mean[1:]
    result: NDArray[np.float64] = weights
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of misspell_*.tsv and texts")
    parser.add_argument("training", type=Path, help="folder of the training texts")
    parser.add_argument("--num", type=int, default=1200, help="cases of each kind")
    parser.add_argument("--write", action="store_true", help="put the weights where they ship")
    options = parser.parse_args()
    rng = random.Random(0)
    language = load_language()
    judge = Judge(language)
    lists = {
        name: [each for each in read_list(options.folder, name, judged=False) if not each.is_contraction]
        for name in LISTS
    }
    sentences = sentences_of(path for path in options.folder.glob("*.txt") if path.stem != "nus_sms")
    share = -(-options.num // len(lists))
    alone = [each for rows in lists.values() for each in rng.sample(rows, min(len(rows), share))]
    inside = [each for rows in lists.values() for each in _sampled(in_sentences(rows, sentences, rng), share, rng)]
    inside += _sampled(of_typists(options.folder / "aalto_desktop_keystrokes.jsonl", judged=False), options.num, rng)
    right = unlisted(options.training, language, rng)
    print(f"{len(right):,} words that no list holds", file=sys.stderr)
    in_context = _sampled((each for each in right if each.context), options.num, rng)
    as_alone = [Misspelling(each.typed, each.meant) for each in _sampled(iter(right), options.num, rng)]
    columns: dict[str, NDArray[np.float64]] = {}
    report: dict[str, Any] = {}
    for name, misspelt, kept in (("in_context", inside, in_context), ("alone", alone, as_alone)):
        found = [judge.case(each) for each in (*misspelt, *kept)]
        cases = [each for each in found if each is not None]
        columns[name] = weights = fitted(cases)
        odds = np.exp(np.clip(np.array([case.features for case in cases]) @ weights, -50, 50))
        meant = np.array([case.is_meant for case in cases])
        is_misspelt = np.array([case.is_misspelling for case in cases])
        report[name] = [
            (
                least,
                100 * float((meant & (odds >= least)).sum()) / len(misspelt),
                100 * float((is_misspelt & ~meant & (odds >= least)).sum()) / len(misspelt),
                100 * float((~is_misspelt & (odds >= least)).sum()) / len(kept),
            )
            for least in ODDS
        ]
        print(
            f"{name}: {len(misspelt)} misspellings, {len(kept)} words; odds: mended, made another word; words changed %"
        )
        for row in report[name]:
            print("  {:5.1f}: {:5.1f} {:5.1f}; {:5.1f}".format(*row))
        print("  " + ", ".join(f"{feature} {weight:+.3f}" for feature, weight in zip(FEATURES, weights, strict=True)))
    if options.write:
        path = Path(__file__).parents[2] / "keyboard_lm" / "languages" / "en" / GATE_FILE
        path.write_text(to_toml({key: row.tolist() for key, row in columns.items()}, COMMENT), encoding="utf-8")
    print(json.dumps(report))


def _sampled(found: Iterator[Misspelling], num: int, rng: random.Random) -> list[Misspelling]:
    rows = list(found)
    return rng.sample(rows, min(len(rows), num))


if __name__ == "__main__":
    main()
