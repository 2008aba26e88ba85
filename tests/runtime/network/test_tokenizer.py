"""Laws of the tokenizer over the text form, on a model trained here from a few lines."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceTrainer

from keyboard_lm.errors import CheckpointError
from keyboard_lm.network.tokenizer import PROPER_NOUNS_FILE, TOKENIZER_FILE, WORD_END, Tokenizer
from keyboard_lm.text.form import JOIN, SPACE

LINES = ("I am going home . are you ?", "don't go - stay ( here ) ⁀😂", "she's in London with Mary today")


def train_model(vocab_size: int = 300, **overrides: Any) -> bytes:
    model = io.BytesIO()
    options: dict[str, Any] = {
        "model_type": "unigram",
        "hard_vocab_limit": False,
        "vocab_size": vocab_size,
        "treat_whitespace_as_suffix": True,
        "split_by_unicode_script": False,
        "normalization_rule_name": "identity",
        "byte_fallback": True,
        "required_chars": JOIN + SPACE,
        "pad_id": -1,
        "minloglevel": 2,
    }
    SentencePieceTrainer.Train(sentence_iterator=iter(LINES * 20), model_writer=model, **{**options, **overrides})
    return model.getvalue()


MODEL = train_model()
TOKENIZER = Tokenizer(MODEL, ["Mary", "London"])
TEXT = st.one_of(
    st.text(max_size=20), st.sampled_from(["<s>", "</s> a", "<unk>", "<0x41>", "a\u0300b", "▁▁", "don't 😂😂"])
)


@settings(max_examples=300)
@given(TEXT)
def test_every_finished_form_ends_in_a_piece_that_ends_a_word(text: str) -> None:
    ids = TOKENIZER.encode_tokens(TOKENIZER.form.encode(text).split())
    assert not ids or TOKENIZER.pieces[ids[-1]].endswith(WORD_END)


@settings(max_examples=300)
@given(TEXT)
def test_decode_returns_the_form_tokens_over_all_of_unicode(text: str) -> None:
    tokens = TOKENIZER.form.encode(text).split()
    assert TOKENIZER.decode_tokens(TOKENIZER.encode_tokens(tokens)) == tokens


@settings(max_examples=300)
@given(TEXT)
def test_each_form_token_is_one_piece_that_ends_a_word_and_some_that_do_not(text: str) -> None:
    tokens = TOKENIZER.form.encode(text).split()
    ends = [TOKENIZER.pieces[i].endswith(WORD_END) for i in TOKENIZER.encode_tokens(tokens)]
    assert sum(ends) == len(tokens)


@settings(max_examples=300)
@given(TEXT, TEXT)
def test_finished_tokens_have_the_same_ids_whatever_follows(first: str, second: str) -> None:
    before, after = TOKENIZER.form.encode(first).split(), TOKENIZER.form.encode(second).split()
    ids = TOKENIZER.encode_tokens(before) + TOKENIZER.encode_tokens(after)
    assert TOKENIZER.encode_tokens(before + after) == ids


@given(TEXT)
def test_text_never_becomes_a_control_id(text: str) -> None:
    ids = TOKENIZER.encode_tokens(TOKENIZER.form.encode(text).split())
    assert not set(ids) & TOKENIZER.control_ids


def test_a_message_ends_in_eos_and_forms_encode_like_their_tokens() -> None:
    message = TOKENIZER.encode_message("I am going home.")
    assert message == [*TOKENIZER.encode_tokens(["I", "am", "going", "home", "."]), TOKENIZER.eos_id]
    assert TOKENIZER.encode_message("") == [TOKENIZER.eos_id]
    assert TOKENIZER.encode_forms(["I am", ""]) == [TOKENIZER.encode_tokens(["I", "am"]), []]
    assert TOKENIZER.decode_tokens(message) == ["I", "am", "going", "home", "."]


def test_byte_and_control_ids_are_apart() -> None:
    assert len(TOKENIZER.byte_ids) == 256
    assert {TOKENIZER.bos_id, TOKENIZER.eos_id} <= TOKENIZER.control_ids
    assert not TOKENIZER.byte_ids & TOKENIZER.control_ids


def test_the_digest_changes_with_the_model_and_with_the_nouns() -> None:
    assert Tokenizer(MODEL, ["London", "Mary"]).digest == TOKENIZER.digest
    assert Tokenizer(MODEL, ["Mary"]).digest != TOKENIZER.digest
    assert Tokenizer(train_model(model_type="bpe"), ["Mary", "London"]).digest != TOKENIZER.digest


def test_load_reads_what_save_wrote(tmp_path: Path) -> None:
    TOKENIZER.save(tmp_path)
    loaded = Tokenizer.load(tmp_path)
    assert loaded.digest == TOKENIZER.digest
    assert loaded.form.proper_nouns == TOKENIZER.form.proper_nouns


@pytest.mark.parametrize("content", [b"", b"not a model", MODEL[: len(MODEL) // 2]])
def test_a_damaged_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / TOKENIZER_FILE).write_bytes(content)
    (tmp_path / PROPER_NOUNS_FILE).write_text("Mary\n")
    with pytest.raises(CheckpointError):
        Tokenizer.load(tmp_path)


def test_a_missing_or_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot read the tokenizer"):
        Tokenizer.load(tmp_path)
    (tmp_path / TOKENIZER_FILE).write_bytes(MODEL)
    (tmp_path / PROPER_NOUNS_FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match="cannot read the tokenizer"):
        Tokenizer.load(tmp_path)


def test_a_model_without_message_frames_is_refused() -> None:
    with pytest.raises(CheckpointError, match="no <s> or </s>"):
        Tokenizer(train_model(bos_id=-1))


def test_a_model_saved_again_without_its_suffix_setting_is_refused(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    # SentencePiece loads it without a word, and every line gets other ids. The setting is field 24 of the trainer's, as
    # bytes here: the module of its messages wants a newer protobuf than flwr allows.
    from sentencepiece import SentencePieceProcessor

    tiny_tokenizer.save(tmp_path)
    model, on, off = (tmp_path / TOKENIZER_FILE).read_bytes(), b"\xc0\x01\x01", b"\xc0\x01\x00"
    assert model.count(on) == 1
    changed = model.replace(on, off)
    assert SentencePieceProcessor(model_proto=changed).EncodeAsIds("you") != tiny_tokenizer.encode_word("you")
    with pytest.raises(CheckpointError, match="settings no longer say so"):
        Tokenizer(changed)
