"""The network is OpenELM: its published sizes, its tensor names, and an independent implementation's answers."""

from __future__ import annotations

import numpy as np
import pytest

from keyboard_lm.network.checkpoint import weight_shapes
from keyboard_lm.network.config import ModelConfig, model_size
from keyboard_lm.network.reference import reference_logits

torch = pytest.importorskip("torch")

from keyboard_lm.network.model import KVCache, OpenELM, RMSNorm, causal_attention  # noqa: E402

# From the OpenELM paper and the config.json files of its checkpoints.
PUBLISHED_PARAMETERS = {"270m": 271_527_168, "450m": 457_179_136, "1_1b": 1_079_891_456, "3b": 3_036_647_424}
QUERY_HEADS_270M = (12,) * 5 + (16,) * 7 + (20,) * 4
FFN_DIMS_270M = (768, 1024, 1280, 1536, 1792, 2048, 2560, 2816, 3072, 3328, 3584, 3840, 4352, 4608, 4864, 5120)
KV_BYTES_PER_TOKEN = {"270m": 16_128, "450m": 23_296, "1_1b": 43_264, "3b": 83_968}

SMALL = ModelConfig(
    num_transformer_layers=3, model_dim=64, head_dim=16, vocab_size=101, max_context_length=64, ffn_dim_divisor=32
)  # fmt: skip


def random_model(config: ModelConfig = SMALL, seed: int = 0) -> OpenELM:
    model = OpenELM(config)
    generator = torch.Generator().manual_seed(seed)
    model.init_weights(generator)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:  # norms that do something
                parameter.mul_(torch.empty_like(parameter).uniform_(0.5, 2.0, generator=generator))
    return model.eval()


def random_ids(count: int, seed: int = 0) -> "torch.Tensor":  # noqa: UP037  (torch may be missing)
    return torch.from_numpy(np.random.default_rng(seed).integers(0, SMALL.vocab_size, (1, count)))


@pytest.mark.parametrize("name", list(PUBLISHED_PARAMETERS))
def test_published_sizes_have_the_published_parameters(name: str) -> None:
    config = model_size(name)
    with torch.device("meta"):
        model = OpenELM(config)
    assert config.num_parameters == PUBLISHED_PARAMETERS[name]
    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED_PARAMETERS[name]
    assert config.kv_bytes_per_token == KV_BYTES_PER_TOKEN[name]


def test_270m_has_the_published_layers() -> None:
    config = model_size("270m")
    assert config.num_query_heads == QUERY_HEADS_270M
    assert config.num_kv_heads == tuple(heads // 4 for heads in QUERY_HEADS_270M)
    assert config.ffn_dims == FFN_DIMS_270M


def test_tensors_are_named_as_in_the_published_checkpoints() -> None:
    names = list(OpenELM(SMALL).state_dict())
    layer = "transformer.layers.0."
    assert {name.removeprefix(layer) for name in names if name.startswith(layer)} == {
        "attn_norm.weight", "attn.qkv_proj.weight", "attn.q_norm.weight", "attn.k_norm.weight",
        "attn.out_proj.weight", "ffn_norm.weight", "ffn.proj_1.weight", "ffn.proj_2.weight",
    }  # fmt: skip
    assert {name for name in names if ".layers." not in name} == {
        "transformer.token_embeddings.weight", "transformer.norm.weight",
    }  # fmt: skip


@pytest.mark.parametrize("config", [SMALL, model_size("9m"), model_size("270m")])
def test_weight_shapes_are_those_of_the_module(config: ModelConfig) -> None:
    with torch.device("meta"):
        model = OpenELM(config)
    assert weight_shapes(config) == {name: tuple(value.shape) for name, value in model.state_dict().items()}


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_logits_equal_the_numpy_reference(groups: int) -> None:
    config = ModelConfig(3, 64, 16, 101, max_context_length=64, ffn_dim_divisor=32, num_gqa_groups=groups)
    model = random_model(config).double()
    ids = random_ids(20)
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    with torch.inference_mode():
        got = model(ids)[0].numpy()
    assert np.abs(got - reference_logits(config, weights, ids[0].tolist())).max() < 1e-5


def test_cached_decode_equals_uncached() -> None:
    model = random_model()
    ids = random_ids(17)
    with torch.inference_mode():
        whole = model(ids)
        cache = KVCache(SMALL, capacity=17)
        parts = []
        for start, end in ((0, 6), (6, 7), (7, 8), (8, 13), (13, 17)):
            parts.append(model(ids[:, start:end], cache=cache))
            cache.length = end
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-4)


def test_training_attention_equals_the_fused_one() -> None:
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(2, 8, 9, 16, generator=generator)
    k, v = (torch.randn(2, 2, 9, 16, generator=generator) for _ in range(2))
    fused = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    assert torch.allclose(causal_attention(q, k, v), fused, atol=1e-5)


def test_training_and_recomputation_leave_the_answers_alone() -> None:
    model = random_model()
    ids = random_ids(12)
    with torch.no_grad():
        expected = model(ids)
    model.train()
    assert torch.allclose(model(ids), expected, atol=1e-4)
    model.checkpoint_layers = True
    assert torch.allclose(model(ids), expected, atol=1e-4)


def test_later_tokens_do_not_change_earlier_answers() -> None:
    model = random_model()
    ids = random_ids(10)
    changed = ids.clone()
    changed[0, 7:] += 1
    with torch.inference_mode():
        assert torch.allclose(model(ids)[:, :7], model(changed)[:, :7], atol=1e-5)


def test_positions_matter_and_only_their_differences_do() -> None:
    model = random_model()
    ids = random_ids(8)
    with torch.inference_mode():
        plain = model(ids)
        shifted = model(ids, positions=torch.arange(8) + 40)
        spread = model(ids, positions=torch.arange(8) * 3)
    assert torch.allclose(plain, shifted, atol=1e-3)  # rotary attention sees distances
    assert (plain - spread).abs().max() > 0.1


def test_masked_tokens_have_no_influence() -> None:
    model = random_model()
    ids = random_ids(6)
    mask = torch.ones(6, 6, dtype=torch.bool).tril()
    mask[3:, 2] = False
    changed = ids.clone()
    changed[0, 2] += 1
    with torch.inference_mode():
        once, again = model(ids, mask=mask), model(changed, mask=mask)
    assert torch.equal(once[:, 3:], again[:, 3:])
    assert not torch.equal(once[:, 2], again[:, 2])


def test_norm_does_not_overflow_in_half_precision() -> None:
    norm = RMSNorm(64, 1e-6).half()
    x = torch.full((1, 64), 60_000.0, dtype=torch.float16)  # its square is beyond fp16's 65,504
    assert torch.equal(norm(x), torch.ones(1, 64, dtype=torch.float16))
    assert torch.equal(norm(torch.zeros(1, 64, dtype=torch.float16)), torch.zeros(1, 64, dtype=torch.float16))


def test_initial_weights_follow_the_published_rule() -> None:
    config = model_size("9m")
    model = OpenELM(config)
    model.init_weights(torch.Generator().manual_seed(0))
    weights = dict(model.named_parameters())
    std = config.model_dim**-0.5
    scaled = std * (2 * config.num_transformer_layers) ** -0.5
    for name, expected in (
        ("transformer.token_embeddings.weight", std),
        ("transformer.layers.0.attn.qkv_proj.weight", std),
        ("transformer.layers.1.ffn.proj_1.weight", std),
        ("transformer.layers.1.attn.out_proj.weight", scaled),
        ("transformer.layers.1.ffn.proj_2.weight", scaled),
    ):
        assert weights[name].std().item() == pytest.approx(expected, rel=0.02)
    assert torch.equal(weights["transformer.norm.weight"], torch.ones(config.model_dim))


def test_same_seed_gives_the_same_weights() -> None:
    once, again, other = random_model(seed=1), random_model(seed=1), random_model(seed=2)
    table = "transformer.token_embeddings.weight"
    assert torch.equal(once.state_dict()[table], again.state_dict()[table])
    assert not torch.equal(once.state_dict()[table], other.state_dict()[table])
