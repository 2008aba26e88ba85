"""The contract of every backend: what the cache does, and that a tree is scored as its branches would be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyboard_lm.backends import load_backend
from keyboard_lm.backends.onnx import OnnxBackend
from keyboard_lm.backends.protocol import ROOT, Backend, KeepingBackend, Logits
from keyboard_lm.errors import CheckpointError, ConfigError, ContextLengthError, MissingExtraError
from keyboard_lm.network.checkpoint import Checkpoint

CAPACITY = 32
VOCAB_SIZE = 600
TOKENS = st.integers(0, VOCAB_SIZE - 1)

Close = Callable[[Logits, Logits], None]


def _within(tolerance: float) -> Close:
    def check(got: Logits, expected: Logits) -> None:
        assert got.dtype == np.float32
        assert got.shape == expected.shape
        rms = np.sqrt(np.square(got - expected).mean(-1)) / expected.std(-1)
        assert rms.max() <= tolerance

    return check


# int4 runs on int8 activations: another order of summation may tip one over to the next step, and later layers amplify.
KINDS = {"torch": _within(1e-5), "onnx-fp32": _within(1e-5), "onnx-int4": _within(0.05), "mlx": _within(1e-5)}


@pytest.fixture(scope="module", params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def close(kind: str) -> Close:
    return KINDS[kind]


def opened(kind: str, folder: Path, capacity: int | None) -> Backend:
    checkpoint = Checkpoint.load(folder)
    if kind == "torch":
        pytest.importorskip("torch")
        return load_backend("torch", checkpoint, capacity=capacity)
    if kind == "mlx":
        pytest.importorskip("mlx.core")
        from keyboard_lm.backends.mlx import MlxBackend

        return MlxBackend.load(checkpoint, capacity, bits=32)
    return OnnxBackend.load(checkpoint, capacity=capacity, num_threads=1, bits=4 if kind == "onnx-int4" else 32)


@pytest.fixture(scope="module")
def backend(kind: str, tiny_checkpoint: Path) -> Backend:
    return opened(kind, tiny_checkpoint, CAPACITY)


@pytest.mark.parametrize(("asked", "given"), [(None, 128), (10_000, 128), (128, 128), (5, 5)])
def test_a_cache_has_what_is_asked_for_and_no_more_than_the_network_is_trained_for(
    kind: str, tiny_checkpoint: Path, asked: int | None, given: int
) -> None:
    backend = opened(kind, tiny_checkpoint, asked)
    assert backend.capacity == given
    with pytest.raises(ContextLengthError):
        backend.prefill([3] * (given + 1))


def test_a_cache_of_no_slots_is_refused(kind: str, tiny_checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="a KV cache of 0 slots holds nothing"):
        opened(kind, tiny_checkpoint, 0)


def tokens(count: int, seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).integers(0, VOCAB_SIZE, count).tolist()


def paths(parents: list[int]) -> list[list[int]]:
    """The nodes from the root to each node."""
    result: list[list[int]] = []
    for node, parent in enumerate(parents):
        result.append([*(result[parent] if parent != ROOT else []), node])
    return result


@st.composite
def trees(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    token_ids = draw(st.lists(TOKENS, min_size=1, max_size=12))
    return token_ids, [draw(st.integers(ROOT, node - 1)) for node in range(len(token_ids))]


def test_decode_continues_prefill(backend: Backend, close: Close) -> None:
    text = tokens(20)
    whole = backend.prefill(text)
    for split in (1, 7, 19):
        backend.prefill(text[:split])
        close(backend.decode(text[split:]), whole)
        assert backend.length == 20


def test_token_by_token_equals_prefill(backend: Backend, close: Close) -> None:
    text = tokens(12)
    whole = backend.prefill(text)
    backend.prefill(text[:1])
    for token in text[1:]:
        last = backend.decode([token])
    close(last, whole)


@settings(max_examples=20)
@given(text=st.lists(TOKENS, min_size=2, max_size=16), more=st.lists(TOKENS, min_size=1, max_size=8), data=st.data())
def test_rewind_equals_fresh_prefill(
    backend: Backend, close: Close, text: list[int], more: list[int], data: st.DataObject
) -> None:
    kept = data.draw(st.integers(0, len(text)))
    backend.prefill(text)
    backend.rewind(kept)
    assert backend.length == kept
    again = backend.decode(more)
    close(again, backend.prefill(text[:kept] + more))


@settings(max_examples=25)
@given(tree=trees(), context=st.lists(TOKENS, min_size=0, max_size=10))
def test_tree_scores_are_those_of_each_branch_alone(
    backend: Backend, close: Close, tree: tuple[list[int], list[int]], context: list[int]
) -> None:
    token_ids, parents = tree
    backend.rewind(0)
    if context:
        backend.prefill(context)
    scores = backend.score_tree(token_ids, parents)
    assert scores.shape == (len(token_ids), VOCAB_SIZE)
    alone = [backend.prefill(context + [token_ids[node] for node in path]) for path in paths(parents)]
    close(scores, np.stack(alone))


def test_tree_leaves_the_cache_as_it_was(backend: Backend, close: Close) -> None:
    text = tokens(10)
    backend.prefill(text)
    before = backend.decode([5])
    backend.prefill(text)
    backend.score_tree(tokens(8, 1), [ROOT, 0, 0, 1, ROOT, 4, 4, 6])
    assert backend.length == 10
    close(backend.decode([5]), before)


@settings(max_examples=20)
@given(
    text=st.lists(TOKENS, min_size=1, max_size=10),
    chain=st.lists(TOKENS, min_size=1, max_size=4),
    between=trees(),
    more=st.lists(TOKENS, min_size=1, max_size=4),
)
def test_a_chain_that_was_scored_goes_into_the_cache_as_if_it_had_been_decoded(
    backend: Backend, text: list[int], chain: list[int], between: tuple[list[int], list[int]], more: list[int]
) -> None:
    if not isinstance(backend, KeepingBackend):
        return  # it feeds the tokens again
    backend.prefill(text)
    scored = backend.score_tree(chain, [ROOT, *range(len(chain) - 1)])[-1]
    kept = backend.kept(len(chain))
    backend.score_tree(*between)  # overwrites the scratch slots
    backend.append(kept, len(chain))
    assert backend.length == len(text) + len(chain)
    after = backend.decode(more)
    backend.prefill(text)
    assert np.array_equal(backend.decode(chain), scored)  # to the last bit
    assert np.array_equal(backend.decode(more), after)


def test_same_calls_give_same_bits(backend: Backend) -> None:
    def run() -> list[Logits]:
        first = backend.prefill(tokens(10))
        tree = backend.score_tree([1, 2, 3], [ROOT, 0, ROOT])
        return [first, tree, backend.decode([4])]

    for once, again in zip(run(), run(), strict=True):
        assert np.array_equal(once, again)


def test_results_are_not_overwritten_by_later_calls(backend: Backend) -> None:
    first = backend.prefill(tokens(5))
    tree = backend.score_tree([1, 2], [ROOT, ROOT])
    kept = first.copy(), tree.copy()
    backend.prefill(tokens(9, 1))
    backend.score_tree([3, 4], [ROOT, ROOT])
    assert np.array_equal(first, kept[0])
    assert np.array_equal(tree, kept[1])


def test_too_many_tokens_are_refused_and_leave_the_cache_usable(backend: Backend, close: Close) -> None:
    text = tokens(CAPACITY)
    backend.prefill(text[:30])
    with pytest.raises(ContextLengthError):
        backend.decode(text[:3])
    with pytest.raises(ContextLengthError):
        backend.score_tree([1, 2, 3], [ROOT, ROOT, ROOT])
    with pytest.raises(ContextLengthError):
        backend.prefill([*text, 1])
    assert backend.length == 30
    last = backend.decode(text[30:])  # the cache may be filled to its last slot
    close(last, backend.prefill(text))


def test_impossible_calls_are_refused(backend: Backend) -> None:
    backend.prefill(tokens(5))
    for length in (-1, 6):
        with pytest.raises(ValueError, match="rewind"):
            backend.rewind(length)
    for call in (lambda: backend.prefill([]), lambda: backend.decode([]), lambda: backend.score_tree([], [])):
        with pytest.raises(ValueError, match="at least one"):
            call()
    with pytest.raises(ValueError, match="parent"):
        backend.score_tree([1, 2], [ROOT, 1])
    with pytest.raises(ValueError, match="one parent for each"):
        backend.score_tree([1, 2], [ROOT])
    assert backend.length == 5


def test_capacity_defaults_to_the_longest_context(tiny_checkpoint: Path) -> None:
    checkpoint = Checkpoint.load(tiny_checkpoint)
    for name in ("onnx", "torch"):
        assert load_backend(name, checkpoint).capacity == checkpoint.config.max_context_length


def test_unknown_backend_lists_the_choices(tiny_checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="onnx, torch"):
        load_backend("tensorrt", Checkpoint.load(tiny_checkpoint))


def test_missing_torch_names_the_extra(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "keyboard_lm.backends.torch", raising=False)
    with pytest.raises(MissingExtraError, match=r"keyboard-lm\[train\]"):
        load_backend("torch", Checkpoint.load(tiny_checkpoint))


def test_checkpoint_without_a_graph_says_how_to_make_one(
    make_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    checkpoint = make_checkpoint(tmp_path / "bare")
    with pytest.raises(CheckpointError, match=r"keyboard-lm export-onnx .*bare"):
        load_backend("onnx", checkpoint)


def test_a_package_runs_on_core_ml_alone(tiny_checkpoint: Path) -> None:
    checkpoint = Checkpoint.load(tiny_checkpoint / "keyboard.mlpackage")
    for name in ("onnx", "torch"):
        with pytest.raises(ConfigError, match=r"keyboard.mlpackage is a Core ML package; add: --backend coreml"):
            load_backend(name, checkpoint)
