"""Text that a teacher writes: sequence-level data for a student.

Kim & Rush 2016, "Sequence-Level Knowledge Distillation"; sampled rather than searched, since what a keyboard needs is
the teacher's distribution, not its most probable message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from keyboard_lm.errors import ConfigError, TrainingError
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.model import KVCache, OpenELM
from keyboard_lm_training.run.devices import Placement
from keyboard_lm_training.run.train_config import TrainConfig
from keyboard_lm_training.run.training_data import TrainingData
from keyboard_lm_training.teach.distill import check_teacher
from keyboard_lm_training.teach.networks import load_network

_MIN_WORDS = 2


@dataclass(frozen=True)
class GenerateOptions:
    """How text is drawn and what of it is kept.

    Attributes:
        seq_len: tokens of one conversation, its opening message included (T).
        batch: conversations drawn at once (B).
        temperature: of the distribution.
        top_p: tokens are drawn from the most probable that hold this much together (Holtzman et al. 2020).
        max_opening_tokens: longer messages open no conversation.
        drop_share: share of the messages, the least probable a token, that is dropped.
        min_distinct_share: messages whose words are different ones to a smaller share are dropped as loops.

    Raises:
        ConfigError: on construction, listing every mistake.
    """

    seq_len: int = 128
    batch: int = 256
    temperature: float = 1.0
    top_p: float = 0.95
    max_opening_tokens: int = 40
    drop_share: float = 0.05
    min_distinct_share: float = 0.5

    def __post_init__(self) -> None:
        mistakes = [
            f"{name} must be at least 1"
            for name in ("seq_len", "batch", "max_opening_tokens")
            if getattr(self, name) < 1
        ]
        if not 0 < self.temperature < float("inf"):
            mistakes.append(f"temperature must be above 0, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            mistakes.append(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if not 0 <= self.drop_share < 1 or not 0 <= self.min_distinct_share <= 1:
            mistakes.append("drop_share and min_distinct_share must lie between 0 and 1")
        if self.max_opening_tokens >= self.seq_len - 1:
            mistakes.append(f"max_opening_tokens must be below seq_len - 1 ({self.seq_len - 1})")
        if mistakes:
            raise ConfigError("generation: " + "; ".join(mistakes))


@dataclass(frozen=True)
class Message:
    """A message that the teacher wrote.

    Attributes:
        text: as it would be typed.
        num_tokens: its pieces, the end included.
        mean_logprob: natural log-probability a token under the teacher.
    """

    text: str
    num_tokens: int
    mean_logprob: float


def generate_conversations(
    teacher: Checkpoint,
    data: TrainingData,
    num_tokens: int,
    options: GenerateOptions,
    seed: int,
    place: Placement,
    report: Callable[[int], None] = lambda tokens: None,
) -> Iterator[list[Message]]:
    """Yield conversations, each opened by a message of the corpus that is not itself yielded.

    Messages that were cut by the end of the window are left out, as are loops and the least probable
    (`GenerateOptions`).

    Args:
        teacher: its checkpoint.
        data: gives the openings; its weights say which sources.
        num_tokens: kept tokens after which no further batch is drawn.
        options: see `GenerateOptions`.
        seed: of openings and draws.
        place: where the teacher runs.
        report: called after each batch with the tokens kept so far.

    Raises:
        TrainingError: the teacher does not fit the corpus, or nothing it writes is kept.
    """
    check_teacher(teacher, TrainConfig(seq_len=options.seq_len, batch_tokens=options.seq_len), data)
    network = load_network(teacher, place.device)
    draws = torch.Generator(place.device).manual_seed(seed)
    kept = 0
    threshold = -np.inf
    num_batches = 0
    while kept < num_tokens:
        openings = _openings(data, num_batches * options.batch, options)
        num_batches += 1
        if not openings:
            raise TrainingError("the corpus has no messages short enough to open a conversation; give another --data")
        ids, logprobs = _drawn(network, openings, options, draws)
        conversations = [
            _messages(teacher, row[len(opening) :], scores[len(opening) :], options)
            for opening, row, scores in zip(openings, ids, logprobs, strict=True)
        ]
        if num_batches == 1:  # one threshold for all, so that no batch is judged by its neighbours alone
            means = [message.mean_logprob for messages in conversations for message in messages]
            threshold = float(np.quantile(means, options.drop_share)) if means and options.drop_share else -np.inf
        before = kept
        for messages in conversations:
            good = [message for message in messages if message.mean_logprob >= threshold]
            kept += sum(message.num_tokens for message in good)
            if good:
                yield good
        if kept == before:
            raise TrainingError("the teacher wrote no whole message; train it longer, or lower --temperature")
        report(kept)


def _openings(data: TrainingData, start: int, options: GenerateOptions) -> list[list[int]]:
    # The first message of each window, from ``<s>`` to its end.
    openings = []
    for window in data.sampler.batch(start, options.batch):
        ends = np.flatnonzero(window == data.tokenizer.eos_id)
        if len(ends) and ends[0] <= options.max_opening_tokens:
            openings.append([int(token) for token in window[: ends[0] + 1]])
    return openings


@torch.no_grad()
def _drawn(
    network: OpenELM, openings: list[list[int]], options: GenerateOptions, draws: torch.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and natural log-probabilities of whole windows, (B, T) each; those of the openings are 0."""
    device = next(network.parameters()).device
    length = options.seq_len
    given = torch.full((len(openings), length), -1, dtype=torch.int64)  # (B, T), -1 where the teacher draws
    for row, opening in enumerate(openings):
        given[row, : len(opening)] = torch.tensor(opening)
    given = given.to(device)
    logprobs = torch.zeros(given.shape, device=device)  # (B, T)
    cache = KVCache(network.config, length, len(openings), device=device)
    for place in range(length - 1):
        logits = network(given[:, place : place + 1], cache=cache)[:, 0].float()  # (B, V)
        cache.length += 1
        log_p = (logits / options.temperature).log_softmax(dim=-1)  # (B, V)
        drawn = _nucleus_draw(log_p, options.top_p, draws)  # (B, 1)
        is_free = given[:, place + 1 : place + 2] < 0  # (B, 1)
        logprobs[:, place + 1] = torch.where(is_free, log_p.gather(1, drawn), 0.0)[:, 0]
        given[:, place + 1 : place + 2] = torch.where(is_free, drawn, given[:, place + 1 : place + 2])
    return given.cpu().numpy(), logprobs.cpu().numpy()


def _nucleus_draw(log_p: Tensor, top_p: float, draws: torch.Generator) -> Tensor:
    """Return one token id per row of log-probabilities (B, V), drawn from its nucleus, as (B, 1)."""
    values, ids = log_p.exp().sort(dim=-1, descending=True)  # (B, V)
    is_outside = values.cumsum(-1) - values >= top_p  # the first is always inside
    chosen = torch.multinomial(values.masked_fill(is_outside, 0.0), 1, generator=draws)  # (B, 1)
    return ids.gather(1, chosen)


def _messages(teacher: Checkpoint, ids: np.ndarray, logprobs: np.ndarray, options: GenerateOptions) -> list[Message]:
    tokenizer = teacher.tokenizer
    found = []
    start = 0
    for end in np.flatnonzero(ids == tokenizer.eos_id):
        piece, scores = ids[start:end], logprobs[start : end + 1]
        start = int(end) + 1
        if not len(piece) or not tokenizer.control_ids.isdisjoint(piece.tolist()):
            continue
        forms = tokenizer.decode_tokens(piece.tolist())
        words = [form for form in forms if any(c.isalpha() for c in form)]
        if len(words) < _MIN_WORDS or len(set(words)) < options.min_distinct_share * len(words):
            continue
        found.append(Message(tokenizer.form.decode(" ".join(forms)), len(scores), float(scores.mean())))
    return found
