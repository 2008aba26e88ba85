"""Whether every runtime and export computes the same: the same prompts through each, compared with one reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from keyboard_lm.backends.protocol import Backend, Logits
from keyboard_lm.errors import KeyboardLMError
from keyboard_lm.evaluation.predictor_engine import PredictorEngine
from keyboard_lm.evaluation.savings import KeystrokeSavings
from keyboard_lm.evaluation.task import Conditions, Subject
from keyboard_lm.evaluation.texts import EvaluationText
from keyboard_lm.evaluation.typist import load_typist
from keyboard_lm.network.tokenizer import Tokenizer

NUM_SLOTS = 3
_SHORTEST = 4  # tokens of a prompt
_STEPS = 4  # decode steps compared after each prompt
PLACES_OF_A_PROMPT = 1 + 2 * _STEPS


@dataclass(frozen=True)
class Prompt:
    """A text to feed, and what follows it one token at a time."""

    ids: tuple[int, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """One backend against the reference.

    Attributes:
        name: of the backend or export.
        num_prompts: that it was compared on.
        num_messages: that were typed with it.
        max_logit_change: largest change of a logit, each distribution's mean change aside (softmax does not see it).
        mean_kl_nats: mean KL divergence of the reference from it.
        top3_agreement: share of the reference's first three tokens that are among its first three.
        savings: its keystroke savings at three slots, %.
        savings_change: the same minus the reference's.
        reason: why there is none of these; "" where there are.
    """

    name: str
    num_prompts: int = 0
    num_messages: int = 0
    max_logit_change: float = math.nan
    mean_kl_nats: float = math.nan
    top3_agreement: float = math.nan
    savings: float = math.nan
    savings_change: float = math.nan
    reason: str = ""

    @property
    def num_places(self) -> int:
        """How many distributions were compared."""
        return PLACES_OF_A_PROMPT * self.num_prompts


@dataclass(frozen=True)
class Other:
    """A backend to compare.

    Attributes:
        name: of its row.
        open: makes the backend; a `KeyboardLMError` becomes the row's reason, all else is raised.
        most_prompts: of those asked for, as many at most, from the first on; None for all. For runtimes so slow that
            all would take an hour.
        most_messages: the same for messages.
    """

    name: str
    open: Callable[[], Backend]
    most_prompts: int | None = None
    most_messages: int | None = None


def prompts(tokenizer: Tokenizer, texts: Sequence[EvaluationText], number: int, longest: int) -> list[Prompt]:
    """Return prompts from real messages, in turn from each text; each is cut where its decode steps begin."""
    found: list[Prompt] = []
    columns = [[message for document in text.documents for message in document] for text in texts]
    for index in range(max(map(len, columns), default=0)):
        for column in columns:
            if index < len(column) and len(found) < number:
                ids = (tokenizer.bos_id, *tokenizer.encode_message(column[index]))[:longest]
                if len(ids) >= _SHORTEST + _STEPS:
                    found.append(Prompt(tuple(ids[:-_STEPS]), tuple(ids[-_STEPS:])))
    return found


def logits_of(backend: Backend, asked: Sequence[Prompt]) -> Logits:
    """Return the logits after each prompt, after each step, and after the steps as a tree, (P (1 + 2 steps), V)."""
    rows: list[Logits] = []
    for prompt in asked:
        rows.append(backend.prefill(prompt.ids))
        rows.extend(backend.score_tree(prompt.steps, range(-1, len(prompt.steps) - 1)))
        rows.extend(backend.decode([token]) for token in prompt.steps)
    return np.stack(rows)


def savings_of(backend: Backend, tokenizer: Tokenizer, messages: Sequence[str]) -> float:
    """Return the keystroke savings of a backend's words on messages, at three slots, %."""
    engine = PredictorEngine(backend, tokenizer, NUM_SLOTS)
    conditions = Conditions(load_typist("perfect"), (NUM_SLOTS,))
    counts = KeystrokeSavings().measure(Subject(engine), messages, conditions, np.random.default_rng(0))
    return 100 * (1 - counts[f"keys{NUM_SLOTS}"] / counts["chars"])


def compare(
    name: str, got: Logits, expected: Logits, savings: float, expected_savings: float, num_messages: int = 0
) -> Row:
    """Return the row of one backend.

    Args:
        name: of the row.
        got: what `logits_of` gave for it, (N, V).
        expected: the same of the reference.
        savings: its keystroke savings, %.
        expected_savings: those of the reference.
        num_messages: that both are of.
    """
    change = (got - expected).astype(np.float64)
    centred = change - change.mean(axis=1, keepdims=True)
    reference, other = _log_softmax(expected), _log_softmax(got)
    kl = (np.exp(reference) * (reference - other)).sum(axis=1)
    best = [set(np.argsort(-row, kind="stable")[:3].tolist()) for row in expected]
    theirs = [set(np.argsort(-row, kind="stable")[:3].tolist()) for row in got]
    agreement = np.mean([len(one & two) / 3 for one, two in zip(best, theirs, strict=True)])
    return Row(
        name, len(got) // PLACES_OF_A_PROMPT, num_messages, float(np.abs(centred).max()), float(kl.mean()),
        float(agreement), savings, savings - expected_savings,
    )  # fmt: skip


def measure(
    reference: Backend,
    others: Sequence[Other],
    tokenizer: Tokenizer,
    asked: Sequence[Prompt],
    messages: Sequence[str],
    on_row: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Return a row for the reference and one for each other backend; one that cannot be had says why.

    Args:
        reference: what all are compared with, each on the prompts and messages of its own row.
        others: the backends.
        tokenizer: of the checkpoint.
        asked: prompts for the logits.
        messages: to type for keystroke savings.
        on_row: told the name of each row before it is measured.
    """
    on_row(reference.name)
    expected = logits_of(reference, asked)
    savings_at = {len(messages): savings_of(reference, tokenizer, messages)}  # of the reference, by messages
    name = f"{reference.name} fp32 (reference)"
    rows = [Row(name, len(asked), len(messages), 0.0, 0.0, 1.0, savings_at[len(messages)], 0.0)]
    for other in others:
        on_row(other.name)
        part, typed = asked[: other.most_prompts], messages[: other.most_messages]
        try:
            backend = other.open()
            got = logits_of(backend, part)
            savings = savings_of(backend, tokenizer, typed)
        except KeyboardLMError as error:  # what cannot run here says why; anything else is a mistake of ours
            rows.append(Row(other.name, reason=str(error).split("\n")[0]))
            continue
        if len(typed) not in savings_at:
            savings_at[len(typed)] = savings_of(reference, tokenizer, typed)
        rows.append(compare(other.name, got, expected[: len(got)], savings, savings_at[len(typed)], len(typed)))
    return rows


def _log_softmax(logits: Logits) -> np.ndarray:
    wide = logits.astype(np.float64)
    shifted: np.ndarray = wide - wide.max(axis=1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
