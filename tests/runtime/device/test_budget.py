"""What a call costs on a device grows as it should, and no device is without its numbers' sources."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyboard_lm.device.budget import CallCost, call_work, device_names, load_device
from keyboard_lm.device.cost_model import Chip, Estimate, Work, chips, cost_model, parse_chip
from keyboard_lm.device.turn import Turn
from keyboard_lm.errors import ConfigError
from keyboard_lm.network.config import model_size, model_sizes

CHIPS = st.sampled_from(sorted(chips()))
AMOUNTS = st.floats(0, 1e12)


@given(CHIPS, st.integers(0, 40), AMOUNTS, AMOUNTS, AMOUNTS)
def test_more_bytes_operations_layers_and_dispatches_never_take_less(
    name: str, layers: int, read_bytes: float, macs: float, more: float
) -> None:
    chip, work = chips()[name], Work(layers, read_bytes, macs)
    ms = cost_model().ms(chip, work)
    for longer in (
        dataclasses.replace(work, read_bytes=read_bytes + more),
        dataclasses.replace(work, macs=macs + more),
        dataclasses.replace(work, num_layers=layers + 1),
        dataclasses.replace(work, num_dispatches=2),
    ):
        assert cost_model().ms(chip, longer) >= ms


def test_a_call_is_its_parts() -> None:
    model, chip = cost_model(), chips()["A16"]
    whole = model.ms(chip, Work(4, 3e6, 0, 2))
    assert whole == pytest.approx(model.overhead_ms(chip, 2, 4) + model.read_ms(chip, 3e6))
    assert model.ms(chip, Work(0, 0, 5e9)) == pytest.approx(model.overhead_ms(chip, 1, 0) + model.compute_ms(chip, 5e9))


@pytest.mark.parametrize("device", device_names())
def test_the_planner_counts_what_the_formula_says_for_each_size_of_call(device: str) -> None:
    profile, config = load_device(device), model_size("9m")
    cost = profile.cost(config)
    for num_tokens in (1, 8, 16, 64):
        assert cost.ms(num_tokens) == pytest.approx(cost_model().ms(profile.chip, call_work(config, num_tokens)))


@given(st.integers(1, 500))
def test_more_tokens_never_take_less(num_tokens: int) -> None:
    cost = load_device("iphone-12").cost(model_size("60m"))
    assert cost.ms(num_tokens) <= cost.ms(num_tokens + 1)


def test_fewer_bits_take_less() -> None:
    profile = load_device("iphone-15-pro")
    times = [profile.cost(model_size("270m"), bits, max(bits, 6)).ms(1) for bits in (4, 6, 8, 16)]
    assert times == sorted(times)


def test_later_phones_are_never_slower() -> None:
    for size in model_sizes().values():
        times = [load_device(f"iphone-{number}").cost(size).ms(1) for number in range(12, 18)]
        assert times == sorted(times, reverse=True)


def test_work_counts_weights_and_cache() -> None:
    config = model_size("9m")
    work = call_work(config, 1, bits=8, table_bits=8, num_slots=0)
    assert work.read_bytes == config.weight_bytes(8)
    assert work.macs == config.num_parameters
    assert call_work(config, 1, 8, 8, num_slots=64).read_bytes - work.read_bytes == 64 * config.kv_bytes_per_token


@given(st.floats(0, 1e6), st.floats(1, 10))
def test_an_estimate_lies_within_its_range_and_says_what_it_is(ms: float, factor: float) -> None:
    estimate = Estimate(ms, factor)
    assert estimate.low_ms <= ms <= estimate.high_ms
    assert "estimate" in str(estimate)


def test_a_budget_is_never_overdrawn() -> None:
    turn = Turn(CallCost(1.0, 0.5, 0.1), budget_ms=5.0)
    while turn.take(8):
        pass
    assert turn.spent_ms <= 5.0
    assert turn.was_refused
    assert math.isclose(turn.spent_ms % CallCost(1.0, 0.5, 0.1).ms(8), 0, abs_tol=1e-9)


def test_every_chip_has_a_source_and_every_device_a_chip() -> None:
    assert all(chip.source for chip in chips().values())
    assert all(isinstance(load_device(name).chip, Chip) for name in device_names())


def test_a_wrong_chip_or_device_is_named() -> None:
    with pytest.raises(ConfigError, match="no device 'nokia'; choose one of: iphone-12"):
        load_device("nokia")
    values = dataclasses.asdict(chips()["A14"])
    del values["name"]
    with pytest.raises(ConfigError, match="chip A14: memory_gb_s must be a number above 0, not 0"):
        parse_chip("A14", {**values, "memory_gb_s": 0})
    with pytest.raises(ConfigError, match="chip A14: unknown key cores"):
        parse_chip("A14", {**values, "cores": 16})
