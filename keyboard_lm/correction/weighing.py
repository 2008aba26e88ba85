"""How probable each reading is, given the context and what was typed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from keyboard_lm.correction.hypotheses import Hypothesis
from keyboard_lm.correction.options import CorrectorOptions
from keyboard_lm.correction.readings import Reading
from keyboard_lm.decoding.context import Boundary
from keyboard_lm.decoding.word_scores import WordScorer

Prior = Callable[[float, str], float]
_TINY = 1e-30
_NO_FLOOR = -math.inf


class Weighing:
    """Weighs readings.

    Args:
        scorer: of the network's words.
        options: when to correct.
        literal_frequency: of what was typed, for want of the network.
    """

    def __init__(
        self, scorer: WordScorer, options: CorrectorOptions, literal_frequency: Callable[[str], float]
    ) -> None:
        self._scorer = scorer
        self._literal_frequency = literal_frequency
        self._options = options
        self._least_lead = math.log(max(options.unknown_ratio, options.known_ratio))

    def weighed(
        self, readings: Sequence[Reading], boundary: Boundary | None, prior: Prior | None, mix: float | None = None
    ) -> list[Hypothesis]:
        """Return hypotheses, the most probable first. Of the readings, the first is the literal.

        The network is asked only about those that could win; others count by the lexicon's frequency, and a literal
        that cannot win by as much as is known of it.

        Args:
            readings: what may have been meant.
            boundary: what the network says before the word; None where it may not be asked.
            prior: from the network's probability of a word, and the word, to what is believed instead.
            mix: how much frequency counts in the probability of all but the literal; None for what the options say.
        """
        own_mix = self._options.frequency_mix
        mix = own_mix if mix is None else mix
        if boundary is None:
            literal = readings[0]._replace(frequency=self._literal_frequency(readings[0].text))
            readings = [literal, *readings[1:]]
            joints = [_log_joint(each, 0.0, prior, mix if i else own_mix) for i, each in enumerate(readings)]
        else:
            joints = self._joints(readings, boundary, prior, mix)
        best = max(joints)
        parts = [math.exp(joint - best) for joint in joints]
        total = sum(parts)
        unique: dict[str, Hypothesis] = {}
        ranks = [(-joint, reading[1], i) for i, (joint, reading) in enumerate(zip(joints, readings, strict=True))]
        ranks.sort()
        new = tuple.__new__  # a third of the time of the class, for two dozen hypotheses a key
        for _, text, i in ranks:
            if text not in unique:
                reading = readings[i]
                unique[text] = new(Hypothesis, (reading[0], text, joints[i], parts[i] / total, reading[2]))
        return list(unique.values())

    def _joints(self, readings: Sequence[Reading], boundary: Boundary, prior: Prior | None, mix: float) -> list[float]:
        own_mix = self._options.frequency_mix
        joints, is_exact = self._bounds(readings, boundary, prior, mix)
        open_ones = [i for i, exact in enumerate(is_exact) if not exact]
        if not open_ones:
            return joints
        best = max((bound for bound, exact in zip(joints, is_exact, strict=True) if exact), default=-math.inf)
        likely = [i for i in open_ones if i and joints[i] >= best]
        asked = [0] if not is_exact[0] and joints[0] >= best - self._least_lead else []
        asked += sorted(likely, key=lambda i: -joints[i])
        if asked:
            words = [tokens for i in asked for tokens, *_ in readings[i].ways]
            scores = iter(self._scorer.ask(boundary, words, self._options.max_calls))
            for i in asked:
                probability, exact = 0.0, True
                for _, weight, *_ in readings[i].ways:
                    of_way, is_known = next(scores)
                    probability += weight * of_way
                    exact = exact and is_known
                joints[i], is_exact[i] = _log_joint(readings[i], probability, prior, mix if i else own_mix), exact
        for i in open_ones:
            if i and not is_exact[i]:
                joints[i] = _log_joint(readings[i], 0.0, prior, mix)
        return joints

    def _bounds(
        self, readings: Sequence[Reading], boundary: Boundary, prior: Prior | None, mix: float
    ) -> tuple[list[float], list[bool]]:
        """Return what each reading's joint probability is or cannot exceed, and which of the two."""
        at = boundary.probabilities().item
        of_mix = self._options.frequency_mix  # the literal's, which is first
        exp, log = math.exp, math.log
        joints, exact = [], []
        for _, text, log_channel, ways, frequency, log_floor, log_unlisted in readings:
            probability, is_exact = 0.0, True
            for _, weight, first, is_whole in ways:
                if first >= 0:
                    probability += weight * at(first)
                if not is_whole:
                    is_exact = False
            exact.append(is_exact)
            # What `_log_joint` does, for two dozen readings a key.
            if log_unlisted is not None:
                probability = exp(log_unlisted)
            if log_floor > _NO_FLOOR:
                probability = max(probability, exp(log_floor))
            if prior is not None:
                probability = prior(probability, text)
            probability = (1 - of_mix) * probability + of_mix * frequency
            joints.append(log(probability if probability > _TINY else _TINY) + log_channel)
            of_mix = mix
        return joints, exact


def _log_joint(reading: Reading, probability: float, prior: Prior | None, mix: float) -> float:
    _, text, log_channel, _, frequency, log_floor, log_unlisted = reading
    if log_unlisted is not None:
        probability = math.exp(log_unlisted)
    if log_floor > _NO_FLOOR:
        probability = max(probability, math.exp(log_floor))
    if prior is not None:
        probability = prior(probability, text)
    probability = (1 - mix) * probability + mix * frequency
    return math.log(probability if probability > _TINY else _TINY) + log_channel
