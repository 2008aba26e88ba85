"""The fit of the cost model finds what made the data, and what ships is what it gives."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from keyboard_lm_coreml.cost.cost_fit import PRIORS, fit, leave_one_chip_out, parse_published, published, uncertainty

from keyboard_lm.device.cost_model import chips, cost_model
from keyboard_lm.errors import ConfigError

ROW = {"model": "m", "chip": "A14", "runtime": "coreml", "layers": 1, "read_mb": 1.0, "gmacs": 1.0, "ms": 1.0}


def test_the_shipped_coefficients_are_those_of_the_fit() -> None:
    predictions = leave_one_chip_out(published())
    found = fit(published(), factor=uncertainty(predictions))
    for name, value in dataclasses.asdict(cost_model()).items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-3), name


def test_without_data_the_priors_are_left() -> None:
    found = fit([])
    for name, (median, _) in PRIORS.items():
        assert getattr(found, name) == pytest.approx(median)


def test_coefficients_that_made_the_data_fit_it_better_than_the_priors_do() -> None:
    truth = dataclasses.replace(cost_model(), layer_ms=0.15, port_gb_s=70.0, compute_share=0.5)
    rows = [dataclasses.replace(row, ms=truth.ms(chips()[row.chip], row.work)) for row in published() if row.is_fitted]
    found = fit(rows)
    errors = [np.log(found.ms(chips()[row.chip], row.work) / row.ms) for row in rows]
    assert np.abs(errors).max() < 0.1
    for name in ("port_gb_s", "layer_ms"):  # the priors hold them back, but less than half of the way
        truly, prior = getattr(truth, name), PRIORS[name][0]
        assert abs(np.log(getattr(found, name) / truly)) < 0.5 * abs(np.log(prior / truly))


def test_a_row_has_no_part_in_what_is_predicted_for_its_chip() -> None:
    before = {found.row.model: found.ms for found in leave_one_chip_out(published()) if found.row.chip == "A16"}
    slower = [dataclasses.replace(row, ms=row.ms * (9 if row.chip == "A16" else 1)) for row in published()]
    after = {found.row.model: found.ms for found in leave_one_chip_out(slower) if found.row.chip == "A16"}
    assert after == before


def test_rows_that_are_not_fitted_change_nothing() -> None:
    assert fit(published()) == fit([row for row in published() if row.is_fitted])


def test_nine_of_ten_predictions_lie_within_the_uncertainty() -> None:
    predictions = leave_one_chip_out(published())
    factor = uncertainty(predictions)
    inside = [
        1 / factor <= found.ratio <= factor
        for found in predictions
        if found.row.is_fitted and found.row.work.num_layers
    ]
    assert 0.85 <= np.mean(inside) <= 0.95


def test_a_row_without_a_source_or_chip_is_named() -> None:
    source = {"key": "s", "where": "somewhere"}
    assert parse_published({"source": [source], "row": [{**ROW, "source": "s"}]})[0].source == "somewhere"
    with pytest.raises(ConfigError, match="'m': source missing"):
        parse_published({"source": [source], "row": [ROW]})
    with pytest.raises(ConfigError, match="'m': unknown source"):
        parse_published({"source": [source], "row": [{**ROW, "source": "t"}]})
    with pytest.raises(ConfigError, match="'m': unknown chip 'A1'"):
        parse_published({"source": [source], "row": [{**ROW, "source": "s", "chip": "A1"}]})
