"""When to correct: the ratios that a correction has to be probable by."""

from __future__ import annotations

from dataclasses import dataclass

from keyboard_lm.errors import ConfigError


@dataclass(frozen=True)
class CorrectorOptions:
    """When to correct. A ratio is by how much what was meant must be more probable than what was typed.

    The ratios are for at most one right word in a hundred being changed. On held-out dialogue, mail and web answers
    F0.9 fell by a point only over unknown ratios from 1 to 20; of five other texts, tweets and messages among them, 10
    broke fewer words than 3 and mended as many. `keyboard-lm eval autocorrect --engine full` measures it.

    Attributes:
        unknown_ratio: for letters that make no word of the lexicon.
        least_odds: that what was meant is the best hypothesis, where a gate tells them of letters that make no word.
        least_odds_alone: the same for the first word of a field, where there is no context to spoil.
        known_ratio: for those that do.
        case_ratio: for letters that make one with other capitals.
        contraction_ratio: for a word that lacks nothing but the apostrophe of another one (``its``, ``dads``).
        contraction_ratio_behind: the same once the next word is known, too.
        miswritten_weight: how probable letters that are no word but often written for one are, against what the network
            has learned of them from those who did.
        unknown_rate: of a word that nobody listed, among all words; its letters decide the rest. The network is not
            asked about it: it has learned spellings from people who misspelled.
        unknown_name_rate: the same behind a capital that no sentence asks for.
        known_mix: of the lexicon's frequency in the probability of a listed word that was typed as it is listed.
        hit_for_space: of hitting a key above the space bar for it.
        hit_for_letter: of hitting the digit above a letter for it.
        frequency_mix: how much the lexicon's frequency counts against the network in another word's probability.
        frequency_mix_alone: the same for the first word of a field, of which the network knows little.
        least_frequency: of both words that a missing space is put between.
        least_phrase: probability of the two given the context; ``moviebot`` is no movie bot
            (``tests/benchmarks/missed_spaces.py``).
        reconsider_ratio: for the word before the last, now that the next one is known.
        reconsider_margin: how much less probable than what was typed a word may have been, to be thought of again.
        max_letters: longer words are left alone.
        max_calls: of the network, for candidates of several pieces.
    """

    unknown_ratio: float = 10.0
    least_odds: float = 0.4
    least_odds_alone: float = 0.1
    known_ratio: float = 300.0
    case_ratio: float = 1.0
    contraction_ratio: float = 10.0
    contraction_ratio_behind: float = 2.0
    miswritten_weight: float = 0.01
    unknown_rate: float = 0.01
    unknown_name_rate: float = 0.2
    known_mix: float = 0.3
    hit_for_space: float = 0.002
    hit_for_letter: float = 0.001
    frequency_mix: float = 0.02
    frequency_mix_alone: float = 0.8
    least_frequency: int = 60
    least_phrase: float = 1e-7
    reconsider_ratio: float = 10.0
    reconsider_margin: float = 100.0
    max_letters: int = 24
    max_calls: int = 1

    def __post_init__(self) -> None:
        mistakes = [
            f"{name} must be positive, not {getattr(self, name)!r}"
            for name in (
                "unknown_ratio",
                "known_ratio",
                "case_ratio",
                "reconsider_ratio",
                "reconsider_margin",
                "max_letters",
            )
            if not getattr(self, name) > 0
        ]
        if not 0 <= self.frequency_mix < 1:
            mistakes.append(f"frequency_mix must be from 0 to below 1, not {self.frequency_mix!r}")
        if mistakes:
            raise ConfigError("corrector: " + "; ".join(mistakes))
