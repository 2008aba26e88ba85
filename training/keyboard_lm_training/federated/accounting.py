"""What a list of noisy sums costs in epsilon, under assumptions that are stated, by dp-accounting.

A sum of vectors of norm at most C with Gaussian noise of standard deviation z C is the Gaussian mechanism with noise
multiplier z for a writer who is in the sum, when neighbours differ by one writer's whole contribution.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version

from keyboard_lm.errors import MissingExtraError

PARTICIPATION, EVERY_ROUND, POISSON = "participation", "every_round", "poisson"
# Assumption -> what has to be true for its epsilon to hold.
ASSUMPTIONS: Mapping[str, str] = {
    PARTICIPATION: "a writer was in the rounds that the ledger lists for it and in no others, however it was chosen",
    EVERY_ROUND: "nothing is known of who took part: a writer may have been in every round",
    POISSON: "each round asked each writer independently, with the same chance, and nobody saw who was asked",
}


def accountant_name() -> str:
    """Return the accountant and its version, for the record."""
    _require()
    return f"dp-accounting {version('dp-accounting')}, Renyi, add or remove one writer"


def epsilon_of_participation(histories: Iterable[Sequence[float]], delta: float) -> float:
    """Return the largest epsilon over writers, each given by the noise multipliers of the rounds it was asked in."""
    distinct = {tuple(sorted(history)) for history in histories}
    return max((_composed(history, delta, 1.0) for history in distinct), default=0.0)


def epsilon_of_every_round(noise_multipliers: Sequence[float], delta: float) -> float:
    """Return epsilon for a writer who may have been in every round."""
    return _composed(tuple(sorted(noise_multipliers)), delta, 1.0)


def epsilon_of_poisson(rounds: Sequence[tuple[float, float]], delta: float) -> float:
    """Return epsilon where each round asked each writer with a chance of its own.

    Args:
        rounds: (noise multiplier, share of the writers that was asked) of each.
        delta: chance that the promise does not hold.
    """
    return _composed_sampled(tuple(sorted(rounds)), delta)


def noise_for(epsilon: float, delta: float, times: int) -> float:
    """Return the smallest noise multiplier, rounded up to 1e-4, with which `times` rounds stay within epsilon."""
    low, high = 1e-2, 1e4
    while high / low > 1 + 1e-6:
        middle = math.sqrt(low * high)
        if _composed((middle,) * times, delta, 1.0) <= epsilon:
            high = middle
        else:
            low = middle
    return math.ceil(high * 1e4) / 1e4


@lru_cache(maxsize=4096)
def _composed(noise_multipliers: tuple[float, ...], delta: float, share: float) -> float:
    return _composed_sampled(tuple((noise, share) for noise in noise_multipliers), delta)


@lru_cache(maxsize=4096)
def _composed_sampled(rounds: tuple[tuple[float, float], ...], delta: float) -> float:
    if not rounds:
        return 0.0
    if any(noise == 0 for noise, _ in rounds):
        return math.inf
    _require()
    import dp_accounting
    from dp_accounting import dp_event, rdp

    accountant = rdp.RdpAccountant(neighboring_relation=dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE)
    for (noise, share), count in sorted(Counter(rounds).items()):
        event = dp_event.GaussianDpEvent(noise)
        if share < 1:
            event = dp_event.PoissonSampledDpEvent(share, event)
        with _quiet():
            accountant.compose(event, count)
    return float(accountant.get_epsilon(delta))


@contextmanager
def _quiet() -> Iterator[None]:
    # Where most writers are asked in every round, it warns of each Renyi order that it leaves out; epsilon is larger
    # without them, which is the safe side.
    logger = logging.getLogger("absl")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was_disabled


def _require() -> None:
    try:
        import dp_accounting  # noqa: F401
    except ImportError:
        raise MissingExtraError("dp-accounting", "federated") from None
