"""Epsilon as dp-accounting gives it, and a ledger that forgets nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

pytest.importorskip("dp_accounting")

import dp_accounting
from dp_accounting import dp_event, rdp
from keyboard_lm_training.federated.accounting import (
    epsilon_of_every_round,
    epsilon_of_participation,
    epsilon_of_poisson,
    noise_for,
)
from keyboard_lm_training.federated.ledger import LEDGER_FILE, LedgerTerms, PrivacyLedger

from keyboard_lm.errors import PrivacyBudgetError, TrainingError

TERMS = LedgerTerms("digest", 400, 2, 8.0, 1e-5, "participation")


def by_library(event: dp_event.DpEvent, delta: float) -> float:
    accountant = rdp.RdpAccountant(neighboring_relation=dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE)
    return float(accountant.compose(event).get_epsilon(delta))


def open_ledger(folder: Path, terms: LedgerTerms = TERMS) -> PrivacyLedger:
    return PrivacyLedger(folder / LEDGER_FILE, terms)


@pytest.mark.parametrize("delta", [1e-5, 1e-10])
def test_epsilon_is_dp_accountings(delta: float) -> None:
    gaussian = dp_event.GaussianDpEvent
    expected = by_library(dp_event.ComposedDpEvent([gaussian(0.9), gaussian(1.5)]), delta)
    assert epsilon_of_participation([[1.5], [0.9, 1.5], []], delta) == pytest.approx(expected, abs=1e-6)
    expected = by_library(dp_event.SelfComposedDpEvent(gaussian(4.9), 60), delta)
    assert epsilon_of_every_round([4.9] * 60, delta) == pytest.approx(expected, abs=1e-6)
    sampled = dp_event.SelfComposedDpEvent(dp_event.PoissonSampledDpEvent(200 / 24000, gaussian(0.8)), 120)
    assert epsilon_of_poisson([(0.8, 200 / 24000)] * 120, delta) == pytest.approx(by_library(sampled, delta), abs=1e-6)


def test_the_calibrated_noise_is_the_least_that_keeps_the_budget() -> None:
    for epsilon, times in ((8.0, 1), (8.0, 2), (1.0, 3)):
        noise = noise_for(epsilon, 1e-5, times)
        assert epsilon_of_every_round([noise] * times, 1e-5) <= epsilon
        assert epsilon_of_every_round([noise - 2e-4] * times, 1e-5) > epsilon


def test_no_noise_is_no_promise() -> None:
    assert epsilon_of_participation([[0.0]], 1e-5) == math.inf
    assert epsilon_of_participation([], 1e-5) == 0.0


def test_what_the_ledger_states_is_dp_accountings_also_when_opened_again(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.charge(range(10), 1.3, 0.1)
    ledger.release(9, "abc")
    ledger.close()
    ledger = open_ledger(tmp_path)
    stated = ledger.charge(range(5, 15), 2.0, 0.1)
    gaussian = dp_event.GaussianDpEvent
    twice = by_library(dp_event.ComposedDpEvent([gaussian(1.3), gaussian(2.0)]), 1e-5)
    assert stated["participation"]["1e-05"] == pytest.approx(twice, abs=1e-6)
    assert stated["every_round"]["1e-05"] == pytest.approx(twice, abs=1e-6)
    sampled = [dp_event.PoissonSampledDpEvent(10 / 400, gaussian(z)) for z in (1.3, 2.0)]
    assert stated["poisson"]["1e-05"] == pytest.approx(by_library(dp_event.ComposedDpEvent(sampled), 1e-5), abs=1e-6)
    ledger.close()
    written = [json.loads(line) for line in (tmp_path / LEDGER_FILE).read_text().splitlines()]
    assert [entry["kind"] for entry in written] == ["ledger", "round", "release", "round"]
    assert written[3]["epsilon"]["participation"]["1e-05"] == stated["participation"]["1e-05"]


def test_a_round_over_the_budget_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.charge(range(3), 0.7, 0.1)
    before = (tmp_path / LEDGER_FILE).read_bytes()
    with pytest.raises(PrivacyBudgetError, match=r"round 2 would make epsilon .* over the budget of 8"):
        ledger.charge([2, 3], 0.7, 0.1)
    assert (tmp_path / LEDGER_FILE).read_bytes() == before
    ledger.charge([3, 4], 0.7, 0.1)  # nobody of them has been in one yet
    assert ledger.epsilons()["participation"]["1e-05"] < 8 < ledger.epsilons()["every_round"]["1e-05"]
    ledger.close()


def test_nobody_is_asked_more_often_than_promised(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path, LedgerTerms("digest", 400, 1, None, 1e-5, "participation"))
    ledger.charge([1, 2], 0.0, 0.1)
    assert [ledger.times_asked(node) for node in (1, 2, 3)] == [1, 1, 0]
    with pytest.raises(PrivacyBudgetError, match="1 writers more often than 1"):
        ledger.charge([2, 3], 0.0, 0.1)
    with pytest.raises(PrivacyBudgetError, match="twice"):
        ledger.charge([3, 3], 0.0, 0.1)
    ledger.close()


def test_a_changed_line_is_found_and_a_torn_one_is_not_missed(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    for nodes in ([1, 2], [3, 4], [5, 6]):
        ledger.charge(nodes, 1.0, 0.1)
    ledger.close()
    path = tmp_path / LEDGER_FILE
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"kind":"round","rou')  # killed while writing: nobody had been asked
    again = open_ledger(tmp_path)
    assert again.num_rounds == 3
    again.close()
    assert path.read_bytes() == whole
    lines = whole.splitlines(keepends=True)
    for damaged in (
        b"".join([*lines[:2], *lines[3:]]), whole.replace(b'"noise_multiplier":1.0', b'"noise_multiplier":9.0', 1),
    ):  # fmt: skip
        path.write_bytes(damaged)
        with pytest.raises(TrainingError, match="not as it was written"):
            open_ledger(tmp_path)


def test_a_ledger_keeps_to_its_terms_and_to_one_process(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    with pytest.raises(TrainingError, match="another process"):
        open_ledger(tmp_path)
    ledger.close()
    with pytest.raises(TrainingError, match=r"budget was 8\.0, now 20"):
        open_ledger(tmp_path, LedgerTerms("digest", 400, 2, 20.0, 1e-5, "participation"))
