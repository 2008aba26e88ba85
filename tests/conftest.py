"""A tokenizer and checkpoints small enough to make in a test run, real in every other way."""

from __future__ import annotations

import os

# Networks this small gain nothing from threads, and threads that wait for a busy core make a test take minutes. numpy
# and torch read this when they are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from sentencepiece import SentencePieceTrainer

from keyboard_lm.network.checkpoint import Checkpoint, add_file, save_checkpoint
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.network.tokenizer import Tokenizer
from keyboard_lm.text.form import JOIN, SPACE, TextForm

# A busy machine is no failure; and a checkout that passed passes again, while developers get new examples every time.
hypothesis.settings.register_profile("project", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("project")


def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Let the quick tests run first where mutmut has measured them: most mutants fail one within a second."""
    measured = config.rootpath / "mutmut-stats.json"
    if measured.exists():
        seconds = json.loads(measured.read_text(encoding="utf-8"))["duration_by_test"]
        items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))


_PROPER_NOUNS = ("Anna", "August", "June", "March", "Mary", "Oxford", "Scotland", "Tom")

MakeCheckpoint = Callable[..., Checkpoint]


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """Everyday English messages."""
    return (Path(__file__).parent / "sentences.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="session")
def tiny_tokenizer(sentences: list[str]) -> Tokenizer:
    """A tokenizer of 600 pieces, trained with the options of a real one."""
    form = TextForm(_PROPER_NOUNS)
    model = io.BytesIO()
    SentencePieceTrainer.Train(
        sentence_iterator=iter([form.encode(line) for line in sentences]), model_writer=model,
        model_type="unigram", vocab_size=600, treat_whitespace_as_suffix=True, byte_fallback=True,
        normalization_rule_name="identity", split_by_unicode_script=False, required_chars=JOIN + SPACE,
        unk_id=0, bos_id=1, eos_id=2, pad_id=-1, num_threads=1, minloglevel=2,
    )  # fmt: skip
    return Tokenizer(model.getvalue(), _PROPER_NOUNS)


@pytest.fixture(scope="session")
def tiny_config(tiny_tokenizer: Tokenizer) -> ModelConfig:
    """Three layers of growing width, 64 to 128 query and 32 to 256 feed-forward units."""
    return ModelConfig(
        num_transformer_layers=3, model_dim=64, head_dim=32, vocab_size=tiny_tokenizer.vocab_size,
        max_context_length=128, ffn_dim_divisor=32, qkv_multipliers=(1.0, 4.0),
    )  # fmt: skip


@pytest.fixture(scope="session")
def make_checkpoint(tiny_tokenizer: Tokenizer, tiny_config: ModelConfig) -> MakeCheckpoint:
    """Return a function that writes a checkpoint of random weights: (folder, config, seed, bits of its graphs)."""

    def make(
        folder: Path, config: ModelConfig = tiny_config, seed: int = 0, graph_bits: tuple[int, ...] = ()
    ) -> Checkpoint:
        torch = pytest.importorskip("torch")
        from keyboard_lm.network.model import OpenELM

        model = OpenELM(config)
        model.init_weights(torch.Generator().manual_seed(seed))
        weights = {name: value.numpy() for name, value in model.state_dict().items()}
        rng = np.random.default_rng(seed)
        for value in weights.values():
            if value.ndim == 1:  # norms that do something
                value *= rng.uniform(0.7, 1.4, value.shape).astype(np.float32)
        checkpoint = save_checkpoint(folder, config, tiny_tokenizer, weights, {"note": "random weights"})
        for bits in graph_bits:
            from keyboard_lm.backends.onnx_format import graph_file
            from keyboard_lm.export.onnx import export_graph

            checkpoint = add_file(checkpoint, graph_file(bits), export_graph(checkpoint, bits)[0])
        return checkpoint

    return make


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory, make_checkpoint: MakeCheckpoint) -> Path:
    """A checkpoint folder with an int4 and an fp32 graph; shared by all tests, so it is not to be changed."""
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    make_checkpoint(folder, graph_bits=(4, 32))
    return folder


_WORDS = "the a I you we see hear know like want dog cat day night word to and of it is good new here there".split(" ")  # noqa: SIM905


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Tokenizer) -> Path:
    """Two sources of random messages, 60 of 400 held out."""
    from keyboard_lm_training.corpus.shards import HELDOUT, TRAIN, CorpusManifest, ShardWriter, SourceRecord

    folder = tmp_path_factory.mktemp("corpus")
    tiny_tokenizer.save(folder)
    rng = random.Random(3)
    shards = []
    for source in ("chat", "books"):
        for split, count in ((TRAIN, 340), (HELDOUT, 60)):
            writer = ShardWriter(folder, source, split)
            for _ in range(count // 4):
                messages = [" ".join(rng.choices(_WORDS, k=rng.randint(2, 9))) for _ in range(4)]
                ids = [tiny_tokenizer.bos_id]
                for message in messages:
                    ids += tiny_tokenizer.encode_message(message)
                num_bytes = sum(len(message) + 1 for message in messages)
                writer.append(np.array(ids, dtype=np.uint16), len(messages), num_bytes)
            shards += writer.close()
    sources = tuple(
        SourceRecord(name, weight, "CC0 1.0", "", 85, 400, {}, 0, 0) for name, weight in (("chat", 2.0), ("books", 0.5))
    )
    CorpusManifest(tiny_tokenizer.digest, tiny_tokenizer.vocab_size, {}, sources, tuple(shards)).save(folder)
    return folder
