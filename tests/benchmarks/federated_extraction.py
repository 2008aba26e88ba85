"""The published experiment on what a federated model remembers: canaries in texts, their rank, their extraction.

    python tests/benchmarks/federated_extraction.py --writers DIALOGUES.txt.xz [--rounds 4] [--clients-per-round 150]

After Ramaswamy et al. (2020, "Training production language models without memorizing user data"). A canary is five
words drawn at random, each a piece of the tokenizer; so many writers have it so many times among their own messages.
All rows of the table come of one training, and that training is done without noise and with it. Random sampling: the
first two words are given, and the canary's other three are ranked by likelihood among random ones (150 pairs of words
for the third and fourth, every word for the fifth: 700,000). `rank` is the share of candidates that are less
likely, 0.5 by chance; `grown` is the same by how much likelier the training made them, which the paper did not ask and
which forgives words that are rare anyhow. Extraction: whether a beam search from the two words finds the other three
among its best five. Intervals are by bootstrap over canaries (95 %), and by Clopper and Pearson for counts.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"

import numpy as np
import torch
from keyboard_lm_training.federated.client_app import client_app
from keyboard_lm_training.federated.in_process import InProcessGrid
from keyboard_lm_training.federated.local_training import AdaptedNetwork
from keyboard_lm_training.federated.options import FederatedConfig, Site
from keyboard_lm_training.federated.server_app import train_rounds
from keyboard_lm_training.federated.writers import load_writers
from numpy.typing import NDArray
from safetensors.numpy import load_file
from torch import Tensor

from keyboard_lm.cli.table import format_table
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.network.tokenizer import Tokenizer

PREFIX, SUFFIX = 2, 3
BEAM, BEST = 100, 5
MIN_CHARS = 4
DRAWS = 4000


@dataclass(frozen=True)
class Row:
    """Canaries of one kind.

    Attributes:
        name: for people.
        writers: that share a canary.
        share: of each of these writers' tokens that the canary makes up, at least one message; 1 is the whole text.
        count: canaries.
    """

    name: str
    writers: int
    share: float
    count: int


def rows_of(scale: float) -> list[Row]:
    """Return the kinds of canary, fewer of each for a smaller run."""
    many, few = max(2, round(100 * scale)), max(1, round(5 * scale))
    return [
        Row("one writer, once", 1, 0.0, many),
        Row("one writer, a tenth of its text", 1, 0.1, many),
        Row("one writer, all of its text", 1, 1.0, many),
        Row("sixteen writers, once", 16, 0.0, few),
        Row("sixteen writers, all of their text", 16, 1.0, few),
    ]


def with_canary(
    messages: tuple[str, ...], canary: str, share: float, tokenizer: Tokenizer, max_tokens: int, rng: random.Random
) -> tuple[str, ...]:
    """Return a writer's messages with a canary among them, all within what a device reads of them."""
    size = len(tokenizer.encode_message(canary))
    if share == 1:
        return (canary,) * (max_tokens // size)
    kept, used = [], 1
    sizes = [len(tokenizer.encode_message(message)) for message in messages]
    times = max(1, round(share * min(max_tokens, sum(sizes)) / size))
    for message, length in zip(messages, sizes, strict=True):
        if used + length + times * size > max_tokens:
            break
        kept.append(message)
        used += length
    for _ in range(times):
        kept.insert(rng.randrange(len(kept) + 1), canary)
    return tuple(kept)


@torch.no_grad()
def next_words(network: AdaptedNetwork, tokens: Tensor, words: Tensor) -> NDArray[np.float32]:
    """Return the log-probabilities of words after each row of tokens (B, T), as (B, W)."""
    return torch.log_softmax(network.network(tokens)[:, -1].float(), -1)[:, words].numpy()


class Prober:
    """Scores and searches for the last three words of canaries, under one set of adapters."""

    def __init__(self, network: AdaptedNetwork, bos: int, words: NDArray[np.int64]) -> None:
        self._network, self._bos, self._words = network, bos, torch.from_numpy(words)

    def _after(self, *columns: NDArray[np.int64]) -> NDArray[np.float32]:
        tokens = np.stack(np.broadcast_arrays(self._bos, *columns), -1)
        return next_words(self._network, torch.from_numpy(np.ascontiguousarray(tokens)), self._words)

    def likelihoods(self, canary: NDArray[np.int64], pairs: NDArray[np.int64]) -> tuple[NDArray[np.float32], float]:
        """Return log-probabilities (pairs, W) of random suffixes, and that of the canary's; all are word numbers."""
        words = self._words.numpy()
        a, b, *_ = words[canary]
        both = np.concatenate([pairs, canary[None, 2:4]])  # the canary's own pair comes last
        third = self._after(np.array([a]), np.array([b]))[0][both[:, 0]]  # (N+1,)
        kinds, where = np.unique(both[:, 0], return_inverse=True)
        fourth = self._after(a, b, words[kinds])[where, both[:, 1]]  # (N+1,)
        fifth = self._after(a, b, words[both[:, 0]], words[both[:, 1]])  # (N+1, W)
        scores = third[:, None] + fourth[:, None] + fifth
        return scores[:-1], float(scores[-1, canary[4]])

    def is_extracted(self, canary: NDArray[np.int64]) -> bool:
        """Return whether the beam's best five suffixes hold the canary's."""
        words = self._words.numpy()
        prefix = words[canary[:PREFIX]]
        found, scores = np.zeros((1, 0), np.int64), np.zeros(1, np.float32)
        for _ in range(SUFFIX):
            columns = [np.full(len(found), token) for token in prefix] + [words[column] for column in found.T]
            total = scores[:, None] + self._after(*columns)  # (beam, W)
            best = np.argpartition(-total.ravel(), BEAM)[:BEAM]
            best = best[np.argsort(-total.ravel()[best], kind="stable")]
            found = np.concatenate([found[best // len(words)], (best % len(words))[:, None]], 1)
            scores = total.ravel()[best]
        return bool((found[:BEST] == canary[PREFIX:]).all(1).any())


def interval(values: NDArray[np.float64], rng: np.random.Generator) -> list[float]:
    """Return the mean and its interval of 95 % by bootstrap."""
    drawn = rng.choice(values, (DRAWS, len(values))).mean(1)
    return [float(values.mean()), *(float(v) for v in np.quantile(drawn, [0.025, 0.975]))]


def count_interval(count: int, total: int) -> list[float]:
    """Return Clopper and Pearson's interval of 95 % for a share."""
    from scipy.stats import beta

    low = beta.ppf(0.025, count, total - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, total - count) if count < total else 1.0
    return [float(low), float(high)]


def main() -> None:
    """Plant, train, rank, search, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--clients-per-round", type=int, default=150)
    parser.add_argument("--epsilons", type=float, nargs="*", default=[8.0, 1.0])
    parser.add_argument("--pairs", type=int, default=150)
    parser.add_argument("--scale", type=float, default=0.8, help="of the numbers of canaries")
    parser.add_argument("--rank", type=int, default=2)
    parser.add_argument("--local-rate", type=float, default=4.0)
    parser.add_argument("--server-rate", type=float, default=1.5)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1, help="of writers and canaries; the noise has none")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng = random.Random(arguments.seed)
    checkpoint = Checkpoint.load(bundled_folder())
    tokenizer = checkpoint.tokenizer
    words = [
        number for number, piece in enumerate(tokenizer.pieces)
        if len(piece) > MIN_CHARS and piece[-1] == "▁" and piece[:-1].isascii() and piece[:-1].isalpha()
        and piece.islower() and tokenizer.encode_word(piece[:-1]) == [number]
    ]  # fmt: skip
    rows = rows_of(arguments.scale)
    kinds = [row for row in rows for _ in range(row.count)]
    canaries = [np.array(rng.sample(range(len(words)), PREFIX + SUFFIX)) for _ in kinds]
    population = arguments.rounds * arguments.clients_per_round
    chosen = rng.sample(list(load_writers((str(arguments.writers),))), population)
    at = 0
    for row, canary in zip(kinds, canaries, strict=True):
        text = " ".join(tokenizer.pieces[words[number]][:-1] for number in canary)
        if tokenizer.encode_message(text)[:-1] != [words[number] for number in canary]:
            raise SystemExit(f"{text}: not five pieces")
        for _ in range(row.writers):
            chosen[at] = with_canary(chosen[at], text, row.share, tokenizer, arguments.max_tokens, rng)
            at += 1
    print(f"{len(canaries)} canaries, {at} of {population} writers have one, {len(words)} words", flush=True)
    rng.shuffle(chosen)
    common = {
        "rounds": arguments.rounds, "clients_per_round": arguments.clients_per_round, "rank": arguments.rank,
        "clip_norm": 1.0, "server_rate": arguments.server_rate, "local_rate": arguments.local_rate, "seq_len": 128,
        "max_tokens": arguments.max_tokens, "precision": "bf16",
    }  # fmt: skip
    plain = FederatedConfig(**{**common, "precision": "fp32"})
    networks = {"before": AdaptedNetwork(checkpoint, plain)}
    with tempfile.TemporaryDirectory() as folder:
        text_file = Path(folder) / "writers.txt"
        text_file.write_text("\n".join("".join(f"{line}\n" for line in texts) for texts in chosen), encoding="utf-8")
        for epsilon in (None, *arguments.epsilons):
            name = "no noise" if epsilon is None else f"epsilon {epsilon:g}"
            privacy = {"epsilon": epsilon, **({"noise_multiplier": 0.0} if epsilon is None else {})}
            config = FederatedConfig(**common, **privacy)
            site = Site(str(bundled_folder()), (str(text_file),), population, str(Path(folder) / name))
            grid = InProcessGrid(client_app(), population, {**site.to_run_config(), **config.to_run_config()})
            train_rounds(grid, site, config, lambda done: print(done.round_number, done.signal_norm, flush=True))
            networks[name] = AdaptedNetwork(checkpoint, plain)
            networks[name].put(load_file(Path(site.output) / "state" / "adapters.safetensors")["adapters"])
    ids = np.array(words, np.int64)
    probers = {name: Prober(network, tokenizer.bos_id, ids) for name, network in networks.items()}
    numbers = np.random.default_rng(arguments.seed)
    ranks: dict[str, list[float]] = {name: [] for name in probers}
    grown: dict[str, list[float]] = {name: [] for name in probers}
    extracted: dict[str, list[bool]] = {name: [] for name in probers}
    for canary in canaries:
        pairs = numbers.integers(len(words), size=(arguments.pairs, 2))
        before, own_before = probers["before"].likelihoods(canary, pairs)
        for name, prober in probers.items():
            scores, own = prober.likelihoods(canary, pairs)
            ranks[name].append(float((scores < own).mean() + (scores == own).mean() / 2))
            change, own_change = scores - before, own - own_before
            grown[name].append(float((change < own_change).mean() + (change == own_change).mean() / 2))
            extracted[name].append(prober.is_extracted(canary))
    table = [["canaries", "training", "rank", "95 %", "grown", "95 %", "in the best 1 %", "extracted", "95 %"]]
    found = []
    for row in rows:
        own = [number for number, kind in enumerate(kinds) if kind == row]
        for name in probers:
            rank = interval(np.array(ranks[name])[own], numbers)
            likelier = interval(np.array(grown[name])[own], numbers)
            top = int((np.array(ranks[name])[own] > 0.99).sum())
            out = int(np.array(extracted[name])[own].sum())
            bounds = count_interval(out, len(own))
            found.append(
                {"row": row.name, "training": name, "canaries": len(own), "rank": rank, "grown": likelier,
                 "best_percent": top, "extracted": out, "extracted_interval": bounds}
            )  # fmt: skip
            table.append(
                [f"{row.name} ({len(own)})", name, f"{rank[0]:.3f}", f"{rank[1]:.3f} to {rank[2]:.3f}",
                 f"{likelier[0]:.3f}", f"{likelier[1]:.3f} to {likelier[2]:.3f}", str(top), str(out),
                 f"{bounds[0]:.3f} to {bounds[1]:.3f}"]
            )  # fmt: skip
    print(format_table(table))
    print(json.dumps({**vars(arguments), "writers": arguments.writers.name, "found": found}))


if __name__ == "__main__":
    main()
