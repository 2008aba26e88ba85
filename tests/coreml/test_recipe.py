"""Recipes and the weights that they make."""

from __future__ import annotations

import numpy as np
import pytest
from keyboard_lm_coreml.convert.activations import Activations
from keyboard_lm_coreml.convert.recipe import SHIPPED_BITS, Recipe, Rule, load_recipe, parse_recipe, shipped_recipe
from keyboard_lm_coreml.convert.stored import TABLE, ane_names, store_weights

from keyboard_lm.errors import ConfigError

_QKV = "transformer.layers.0.attn.qkv_proj.weight"


def random_weights(config, seed=0):
    from keyboard_lm.network.checkpoint import weight_shapes

    rng = np.random.default_rng(seed)
    return {name: rng.normal(0, 0.05, shape).astype(np.float32) for name, shape in weight_shapes(config).items()}


def test_the_first_rule_that_fits_decides():
    recipe = parse_recipe(
        f'[[tensors]]\nmatch = "{TABLE}"\nbits = 8\n[[tensors]]\nmatch = "*.proj_2.weight"\nbits = 16\n'
        '[[tensors]]\nmatch = "transformer.layers.*"\nbits = 4\ngroup_size = 8\n',
        "mine.toml",
    )
    assert recipe.rule_for(TABLE) == Rule(TABLE, 8, 0)
    assert recipe.rule_for("transformer.layers.3.ffn.proj_2.weight") is None
    assert recipe.rule_for(_QKV).group_size == 8
    assert recipe.importance


@pytest.mark.parametrize("bits", SHIPPED_BITS)
def test_every_recipe_that_ships_can_be_read_and_says_its_bits(bits):
    recipe = shipped_recipe(bits)
    rule = recipe.rule_for(_QKV)
    assert (rule.bits if rule else 16) == bits


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("bits = 4", "unknown key bits"),
        ('[[tensors]]\nmatch = "*"\nbits = 5', "bits must be one of"),
        ('[[tensors]]\nmatch = "*"\nbits = 4\ngroup_size = -1', "group_size"),
        ('[[tensors]]\nmatch = "*"\nbits = true', "bits"),
        ("[[tensors]]\nbits = 4\nrows = 3", "unknown key rows; tensors 1: missing key match"),
        ("importance = 3", "importance must be"),
        ("tensors = 3", "tensors must be"),
        ("[[tensors", "mine.toml"),
    ],
)
def test_a_mistake_in_a_recipe_is_named(text, named):
    with pytest.raises(ConfigError, match=r"mine\.toml") as caught:
        parse_recipe(text, "mine.toml")
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load_recipe(tmp_path / "none.toml")


def test_weights_that_lie_on_palettes_come_back_exactly(tiny_config):
    recipe = Recipe("r", (Rule(TABLE, 6, 8), Rule("*", 4, 16)))
    rng = np.random.default_rng(1)
    moments = {}
    for name, weight in random_weights(tiny_config).items():
        seen = rng.normal(size=(500, weight.shape[-1])) * rng.uniform(0.1, 3, weight.shape[-1])
        moments[name] = (seen.T @ seen / 500).astype(np.float32)
    activations = Activations(moments, 500, 1.0)
    first = store_weights(tiny_config, random_weights(tiny_config), recipe, activations).snapped
    again = store_weights(tiny_config, first, recipe, activations).snapped
    plain = store_weights(tiny_config, first, recipe, None).snapped
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        np.testing.assert_array_equal(first[name], plain[name])


def test_what_is_stored_is_what_the_tables_stand_for(tiny_config):
    weights = random_weights(tiny_config)
    stored = store_weights(tiny_config, weights, Recipe("r", (Rule("*attn*", 4, 16),)), None, num_head_parts=2)
    assert set(stored.palettes) == {f"layers.{i}.{n}.weight" for i in range(3) for n in ("qkv_proj", "out_proj")}
    np.testing.assert_array_equal(stored.snapped[_QKV], stored.palettes["layers.0.qkv_proj.weight"].dequantized())
    np.testing.assert_array_equal(stored.snapped[TABLE], weights[TABLE].astype(np.float16).astype(np.float32))
    assert np.abs(stored.snapped[_QKV] - weights[_QKV]).max() < 0.1


def test_a_cut_table_has_all_rows_once(tiny_config):
    rows = [row for _, part in ane_names(tiny_config, TABLE, 3) for row in range(tiny_config.vocab_size)[part]]
    assert rows == list(range(tiny_config.vocab_size))


def test_importance_moves_the_error_to_where_it_costs_less(tiny_config):
    weights = random_weights(tiny_config)
    cost = np.where(np.arange(64) < 8, 100, 1).astype(np.float32)
    activations = Activations({_QKV: np.diag(cost)}, 1000, 1.0)
    plain, weighted = (
        np.square(
            store_weights(tiny_config, weights, Recipe("r", (Rule(_QKV, 3),), importance, False), activations).snapped[
                _QKV
            ]
            - weights[_QKV]
        )
        for importance in (False, True)
    )
    assert (weighted * cost).sum() < (plain * cost).sum()


def test_compensation_lowers_the_error_of_the_outputs(tiny_config):
    rng = np.random.default_rng(2)
    weights = random_weights(tiny_config)
    inputs = rng.normal(size=(4000, 16)) @ rng.normal(size=(16, 64)) + 0.3 * rng.normal(size=(4000, 64))
    activations = Activations({_QKV: (inputs.T @ inputs / len(inputs)).astype(np.float32)}, len(inputs), 1.0)
    plain, compensated = (
        store_weights(tiny_config, weights, Recipe("r", (Rule(_QKV, 4, 16),), True, on), activations)
        for on in (False, True)
    )
    errors = [np.square(inputs @ (s.snapped[_QKV] - weights[_QKV]).T).mean() for s in (plain, compensated)]
    assert errors[1] < 0.5 * errors[0]
    for one, other in zip(plain.palettes.values(), compensated.palettes.values(), strict=True):
        np.testing.assert_array_equal(one.tables, other.tables)


def test_compensation_without_anything_to_make_up_for_is_the_nearest_entry(tiny_config):
    weights = random_weights(tiny_config)
    activations = Activations({_QKV: np.eye(64, dtype=np.float32)}, 10, 1.0)
    plain, compensated = (
        store_weights(tiny_config, weights, Recipe("r", (Rule(_QKV, 6, 16),), False, on), activations).snapped[_QKV]
        for on in (False, True)
    )
    np.testing.assert_array_equal(plain, compensated)


def test_inputs_that_were_never_seen_are_no_obstacle(tiny_config):
    moments = np.diag((np.arange(64) % 2).astype(np.float32))
    activations = Activations({_QKV: moments}, 10, 1.0)
    stored = store_weights(tiny_config, random_weights(tiny_config), Recipe("r", (Rule(_QKV, 4, 16),)), activations)
    assert np.isfinite(stored.snapped[_QKV]).all()
