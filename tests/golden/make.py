"""Writes the golden files that ports of the engine to other languages read: `make golden`.

    python -m tests.golden.make [LAW ...]

One law a file, one case a line: ASCII JSON lines in `tests/golden/laws/`. The first line names the law, the format, and
the digests of what it was made with. Numbers are equal within 1e-5 of their size, all else exactly. What is made of the
network is made of the toy network, which any language can have to the last bit.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from itertools import count
from pathlib import Path
from typing import Any

from keyboard_lm.correction.candidates import CandidateSearch
from keyboard_lm.correction.corrector import Corrector
from keyboard_lm.decoding.boundaries import Boundaries
from keyboard_lm.decoding.search import find_words
from keyboard_lm.device.budget import BUDGET_MS, device_names, load_device
from keyboard_lm.device.turn import Turn
from keyboard_lm.evaluation.texts import shipped_texts
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.personal import PersonalStore
from keyboard_lm.text.form import normalise
from keyboard_lm.touch.channel import Channel, TapModel
from keyboard_lm.touch.layout import Tap, load_layout
from keyboard_lm.words.frequent_words import frequent_words

from . import model_laws, network_laws, session_laws, swipes, text_laws, word_laws
from .comparison import first_difference
from .toy_network import ToyNetwork

FORMAT = 1
FOLDER = Path(__file__).parent / "laws"
# To be computed, besides what the runtime needs.
NEEDS = {
    "network": ("safetensors",), "bars_model": ("torch",), "runner": ("torch",), "coreml": ("torch", "coremltools"),
}  # fmt: skip
# How far a number may be off whatever its size, where that is not next to nothing.
# A package's weights are fitted to text that torch samples, which may go another way on another machine: a tenth of the
# logits' deviation, as the app's own check has it.
TOLERANCES = {"network": 5e-4, "bars_model": 2e-3, "coreml": 0.25}
_MAX_NODES = 16
_FRAGMENTS = (
    *("a", "B", "don't", "I'm", "e.g.", "U.S.", "3.5", "10:30", "\u00df", "\u00e9", "e\u0301", "\u4f60\u597d"),
    *(" ", "  ", "\n", "\t", "'", "\u2019", '"', "(", ")", "-", "--", "@", "/", "#", ".", "...", ",", "!", "?!", "%"),
    *(":)", "xD", "<3", "www.x.y", "\u25aa", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "1\ufe0f\u20e3", "\u200d"),
)
Case = dict[str, Any]


@cache
def _checkpoint() -> Checkpoint:
    return Checkpoint.load(bundled_folder())


def _network() -> ToyNetwork:
    return ToyNetwork(_checkpoint().tokenizer, _checkpoint().config)


@cache
def _messages() -> tuple[str, ...]:
    found = [message for text in shipped_texts() for document in text.documents[:40] for message in document]
    random.Random(0).shuffle(found)
    return tuple(message for message in found if message.isascii())


def _made_up(rng: random.Random) -> str:
    return "".join(rng.choices(_FRAGMENTS, k=rng.randint(1, 8)))


def _texts(seed: int, num: int) -> Iterator[str]:
    # Half of them beginnings of messages, half made up of what meets the interesting rules.
    rng = random.Random(seed)
    for message in _messages()[:num]:
        yield message[: rng.randint(1, len(message))] if rng.random() < 0.5 else _made_up(rng)


def _typos(seed: int, num: int) -> Iterator[tuple[str, tuple[Tap | None, ...]]]:
    # Words with up to two slips, a third of them with places that were touched.
    rng, layout = random.Random(seed), load_layout()
    words = [word for message in _messages() for word in message.split() if word.isalpha()]
    for _ in range(num):
        letters = list(rng.choice(words))
        for _ in range(rng.randint(0, 2)):
            place = rng.randrange(len(letters))
            kind = rng.randrange(3)
            if kind == 0 and len(letters) > 1:
                del letters[place]
            elif kind == 1:
                letters.insert(place, rng.choice("abcdefghijklmnopqrstuvwxyz"))
            else:
                letters[place] = rng.choice("abcdefghijklmnopqrstuvwxyz")
        taps: list[Tap | None] = []
        if rng.random() < 1 / 3:
            for letter in letters:
                centre = layout.centre(letter.lower())
                off = [round(rng.gauss(0, sd), 3) for sd in (TapModel.sd_x, TapModel.sd_y)]
                taps.append(None if centre is None else Tap(centre.x + off[0], centre.y + off[1]))
        yield "".join(letters), tuple(taps)


def _places(taps: tuple[Tap | None, ...]) -> list[list[float] | None]:
    return [None if tap is None else [tap.x, tap.y] for tap in taps]


def characters() -> Iterator[Case]:
    """Yield, for each 256 code points, a digest of the class, case and normal form of those in Unicode 14."""
    yield from text_laws.characters()


def scanner() -> Iterator[Case]:
    """Yield, for each beginning of one or two symbols, a digest of the forms of strings of up to four."""
    yield from text_laws.scanner(_checkpoint().tokenizer.form)


def network() -> Iterator[Case]:
    """Yield texts' ids and trees, with logits of the weights in fp32, and the logarithm of the sum; within 5e-4."""
    yield from network_laws.network(_checkpoint(), _messages())


def text_form() -> Iterator[Case]:
    """Yield texts, their form, what comes back of it, and how a field that holds them is split."""
    form = _checkpoint().tokenizer.form
    for text in _texts(1, 1000):
        encoded, typed = form.encode(text), form.split_typed(text)
        split = [list(map(list, typed.messages)), typed.partial, typed.starts_sentence, typed.space_before]
        yield {
            "text": text,
            "normal": normalise(text),
            "form": encoded,
            "text_again": form.decode(encoded),
            "split": split,
        }


def tokens() -> Iterator[Case]:
    """Yield texts and the ids of their pieces."""
    for text in _texts(2, 1000):
        yield {"text": text, "ids": _checkpoint().tokenizer.encode_message(text)}


def pieces() -> Iterator[Case]:
    """Yield, for each set of pieces and first letter, a digest of their order, ids and flags."""
    table = Boundaries(_network(), _checkpoint().tokenizer, _MAX_NODES).table
    for name, piece_set in (("ends", table.ends), ("opens", table.opens)):
        for first in sorted({key[:1] for key in piece_set.keys}):
            span = piece_set.starting_with(first) if first else piece_set.group("")
            rows = [
                [piece_set.keys[i], piece_set.texts[i], int(piece_set.ids[i]), bool(piece_set.may_begin[i])]
                for i in range(span.start, span.stop)
            ]
            yield {"set": name, "first": first, "num": len(rows), "sha256": _sha(json.dumps(rows).encode())}


def lexicon() -> Iterator[Case]:
    """Yield words with what the lexicon knows of them, and beginnings with the most frequent words."""
    words = load_language().lexicon
    rng = random.Random(3)
    asked = [words.text(entry) for entry in range(0, len(words), 251)]
    asked += [rng.choice((str.upper, str.title, str.lower))(word) for word in asked] + [
        word for word, _ in _typos(3, 200)
    ]
    for word in asked:
        yield {
            "word": word, "known": words.known(word), "frequency": words.frequency(word),
            "offensive": words.is_offensive(word), "miswritten": words.is_miswritten(word),
        }  # fmt: skip
    for prefix in sorted({word[:length].lower() for word in asked[::5] for length in (1, 2, 3)}):
        yield {"prefix": prefix, "frequent": [list(each) for each in frequent_words(words, prefix, 4)]}


def channel() -> Iterator[Case]:
    """Yield letters and places, with what they say about each letter of the alphabet."""
    of_layout = Channel(load_layout(), load_language().lexicon.alphabet, load_language().channel)
    rng, layout = random.Random(4), load_layout()
    for letter in "abcdefghijklmnopqrstuvwxyz'-\u00e9":
        centre = layout.centre(letter)
        taps: list[Tap | None] = [None]
        if centre is not None:
            taps += [Tap(centre.x + round(rng.gauss(0, 0.4), 3), centre.y + round(rng.gauss(0, 0.4), 3)) for _ in "ab"]
        for tap in taps:
            said = {name: logs.tolist() for name, logs in of_layout.place(letter, tap)._asdict().items()}
            yield {"letter": letter, "tap": _places((tap,))[0], **said}


def candidates() -> Iterator[Case]:
    """Yield letters and places, with the words and the beginnings that may have been meant."""
    language = load_language()
    search = CandidateSearch(language.lexicon, Channel(load_layout(), language.lexicon.alphabet, language.channel))
    for typed, taps in _typos(5, 400):
        words = [[each.text, each.log_likelihood, each.log_frequency] for each in search.find(typed, taps)]
        beginnings = [list(each) for each in search.prefixes(typed, taps)]
        yield {"typed": typed, "taps": _places(taps), "words": words, "beginnings": beginnings}


def cache_calls() -> Iterator[Case]:
    """Yield texts typed one after another, with the calls of the network that each takes."""
    network = _network()
    boundaries = Boundaries(network, _checkpoint().tokenizer, _MAX_NODES)
    for text in _texts(6, 150):
        for part in (text, text + " ", text[:-1], text + " x"):
            del network.calls[:]
            typed = _checkpoint().tokenizer.form.split_typed(part)
            boundary = boundaries.at(typed)
            find_words(boundaries.table, boundary, typed.partial)
            yield {"text": part, "calls": [list(call) for call in network.calls]}


def search() -> Iterator[Case]:
    """Yield fields, with the words that begin as their last letters do."""
    boundaries = Boundaries(_network(), _checkpoint().tokenizer, _MAX_NODES)
    for number, text in enumerate(_texts(7, 500)):
        typed = _checkpoint().tokenizer.form.split_typed(text)
        found = find_words(boundaries.table, boundaries.at(typed), typed.partial, 1 + number % 6)
        yield {
            "text": text, "num_words": 1 + number % 6, "words": [[each.text, each.probability] for each in found.words],
            "typed": found.typed_probability, "prefix": found.prefix_probability, "rounds": found.num_rounds,
        }  # fmt: skip


def corrector() -> Iterator[Case]:
    """Yield fields that end in a word, with what may have been meant by it and what a space would put there."""
    language, tokenizer = load_language(), _checkpoint().tokenizer
    boundaries = Boundaries(_network(), tokenizer, _MAX_NODES)
    of_layout = Channel(load_layout(), language.lexicon.alphabet, language.channel)
    judge = Corrector(CandidateSearch(language.lexicon, of_layout), tokenizer)
    for (typed, taps), before in zip(_typos(8, 400), _messages(), strict=False):
        text = f"{before} {typed}"
        verdict = judge.judge(text, boundaries.at, taps)
        made = verdict.correction
        yield {
            "text": text, "taps": _places(taps),
            "hypotheses": [[each.replaced, each.text, each.log_joint] for each in verdict.hypotheses],
            "correction": None if made is None else [made.replaced, made.text],
        }  # fmt: skip


def words() -> Iterator[Case]:
    """Yield letters, with whether they are a word, how it is cased, and as what they are read."""
    yield from word_laws.words(load_language(), _search(), _messages())


def verdicts() -> Iterator[Case]:
    """Yield fields, with what may have been meant by their last words, as the keyboard asks."""
    tokenizer = _checkpoint().tokenizer
    boundaries = Boundaries(_network(), tokenizer, _MAX_NODES)
    yield from word_laws.verdicts(load_language(), _search(), tokenizer, boundaries, _messages())


def _search() -> CandidateSearch:
    language = load_language()
    return CandidateSearch(language.lexicon, Channel(load_layout(), language.lexicon.alphabet, language.channel))


def personal() -> Iterator[Case]:
    """Yield messages learned one after another, with what is known after each."""
    seconds = count(step=600)
    store = PersonalStore.open(None, clock=seconds.__next__, knows=load_language().lexicon.known)
    form = _checkpoint().tokenizer.form
    for message in _messages()[:200]:
        words = form.encode(message).split()
        store.learn(words)
        view = store.view(words[:-1])
        known = [] if view is None else [[word, view.mix(0.01, word)] for word in view.candidates("", 5)]
        yield {"learned": words, "after": words[:-1], "words": known, "num_words": store.num_words()}


def budget() -> Iterator[Case]:
    """Yield devices and calls, with which of them one turn allows and what they take."""
    rng = random.Random(9)
    for name in device_names():
        cost = load_device(name).cost(_checkpoint().config)
        for budget_ms in (2.0, 5.0, BUDGET_MS):
            sizes = [rng.choice((1, 2, 7, 8, 9, 16, 17, 64, 65, 130)) for _ in range(12)]
            turn = Turn(cost, budget_ms)
            allowed = [turn.take(size) for size in sizes]
            yield {"device": name, "budget_ms": budget_ms, "tokens": sizes, "allowed": allowed, "ms": turn.spent_ms}


def bars() -> Iterator[Case]:
    """Yield events of one session after another, with what becomes of the field and the bar that follows."""
    session = session_laws.opened(_network(), session_laws.new_store())
    for event in session_laws.events(session, _messages()[:45], random.Random(10)):
        yield session_laws.told(session, event)


def sessions() -> Iterator[Case]:
    """Yield named scenarios step by step: what is done, and what becomes of the field, the bar and what was learned."""
    yield from session_laws.scenarios(_network)


def bars_model() -> Iterator[Case]:
    """Yield the same as `bars` on the weights in fp32; where a bar is not firm, rounding decides; within 2e-3."""
    yield from model_laws.bars(_checkpoint(), _messages())


def runner() -> Iterator[Case]:
    """Yield what a backend is asked, and what it asks the functions of its Core ML package for that."""
    yield from model_laws.runner(_checkpoint().config)


def coreml() -> Iterator[Case]:
    """Yield the questions of `network`, with what the package answers where all is rounded to fp16; within 0.25."""
    yield from model_laws.package(_checkpoint(), _messages())


LAWS: dict[str, Callable[[], Iterator[Case]]] = {
    each.__name__: each
    for each in (
        characters, scanner, text_form, tokens, pieces, lexicon, channel, candidates, cache_calls, search, corrector,
        words, verdicts, personal, budget, bars, sessions, network, bars_model, runner, coreml,
    )
}  # fmt: skip


def lines(law: str) -> Iterator[Case]:
    """Yield the header and the cases of a law, as JSON has them."""
    checkpoint = _checkpoint()
    data = resources.files("keyboard_lm").joinpath("languages", "en", "lexicon.npz").read_bytes()
    says = (LAWS[law].__doc__ or "").splitlines()[0]
    head = {
        "law": law, "says": says, "format": FORMAT, "checkpoint": checkpoint.digest,
        "tokenizer": checkpoint.tokenizer.digest, "lexicon": _sha(data),
    }  # fmt: skip
    for case in (head, *LAWS[law]()):
        yield json.loads(json.dumps(_short(case)))


def _short(value: Any) -> Any:
    # Nine digits hold a 32-bit float.
    if isinstance(value, float):
        return float(f"{value:.9g}") if abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {name: _short(each) for name, each in value.items()}
    return [_short(each) for each in value] if isinstance(value, (list, tuple)) else value


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def written(law: str) -> list[Any]:
    """Return the header and the cases that a law's file has; nothing where there is none yet."""
    file = FOLDER / f"{law}.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="ascii").splitlines()] if file.exists() else []


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    total = 0
    for law in sys.argv[1:] or LAWS:
        made, there = list(lines(law)), written(law)
        # What is the same within the tolerance stays: the last digits depend on the machine.
        is_new = first_difference(there, made, TOLERANCES.get(law, 1e-9)) is not None
        text = "".join(json.dumps(case, separators=(",", ":")) + "\n" for case in (made if is_new else there))
        if is_new:
            (FOLDER / f"{law}.jsonl").write_text(text, encoding="ascii")
        total += len(text)
        done = "written" if is_new else "as it was"
        print(f"{law:12} {len(made) - 1:6,} cases {len(text) / 1000:8,.0f} KB, {done}", flush=True)
    print(f"all together {total / 1e6:.1f} MB")
    if not sys.argv[1:]:
        swipes.main()
        print(f"{swipes.FILE.name}, which says itself how exact it is")


if __name__ == "__main__":
    main()
