"""A tokenizer in the files that Hugging Face's libraries read.

Prefix-space pieces (Llama's) are kept as they are: ``tokenizer.model`` with the class that reads it. Suffix-space
pieces (ours) are written out as ``tokenizer.json`` as well, a Unigram model over text in which each space, and the end,
is the word end ``▁``, for the class that reads such a file; AutoTokenizer gives our ids with it (transformers 5.24).
``LlamaTokenizer`` on ``tokenizer.model`` gives others without a word; ``SentencePieceBackend`` gives ours, without the
first, ``<s>``. The pieces stand for the *text form* (see `keyboard_lm.text.form`): a
program that is given plain text should bring it into that form first (`keyboard_lm.text.form.TextForm.encode`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from keyboard_lm.network.tokenizer import WORD_END, Tokenizer

TOKENIZER_JSON = "tokenizer.json"


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the tokenizer's files into an existing folder."""
    tokenizer.save(folder)
    pieces = tokenizer.pieces
    config: dict[str, Any] = {
        "bos_token": pieces[tokenizer.bos_id],
        "eos_token": pieces[tokenizer.eos_id],
        "unk_token": "<unk>",
        "model_max_length": 1_000_000,
        "clean_up_tokenization_spaces": False,
    }
    if tokenizer.is_prefix_space:
        config |= {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "legacy": True}
    else:
        config |= {"tokenizer_class": "PreTrainedTokenizerFast"}
        text = json.dumps(_suffix_space(tokenizer), ensure_ascii=False)
        (folder / TOKENIZER_JSON).write_text(text + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _suffix_space(tokenizer: Tokenizer) -> dict[str, Any]:
    def special(piece_id: int) -> dict[str, Any]:
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        return {"id": piece_id, "content": tokenizer.pieces[piece_id], **flags}

    unk = tokenizer.pieces.index("<unk>")
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [special(piece_id) for piece_id in sorted({unk, tokenizer.bos_id, tokenizer.eos_id})],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Strip", "strip_left": True, "strip_right": True},
                {"type": "Replace", "pattern": {"Regex": " +"}, "content": WORD_END},
                # An end that is not there yet: put behind the last character, which stays.
                {"type": "Replace", "pattern": {"Regex": f"(?<=[^{WORD_END}])\\z"}, "content": WORD_END},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": tokenizer.pieces[tokenizer.bos_id], "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {
                tokenizer.pieces[tokenizer.bos_id]: {
                    "id": tokenizer.pieces[tokenizer.bos_id],
                    "ids": [tokenizer.bos_id],
                    "tokens": [tokenizer.pieces[tokenizer.bos_id]],
                }
            },
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": WORD_END}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 0, "stop": 1},
            ],
        },
        "model": {
            "type": "Unigram",
            "unk_id": unk,
            "vocab": [[piece, score] for piece, score in zip(tokenizer.pieces, tokenizer.scores, strict=True)],
            "byte_fallback": True,
        },
    }
