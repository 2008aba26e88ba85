"""Windows in another tokenizer's tokens: borders stand where both texts do."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from keyboard_lm_training.teach.native_text import MESSAGE_START, SENTENCE_START

from keyboard_lm.network.tokenizer import WORD_END, Tokenizer

_MESSAGES = st.lists(
    st.lists(
        st.sampled_from(["I", "am", "going", "Oxford", "don't", ",", ".", "!", "4.4", "(", ")", "\u00e9t", "zyz"]),
        min_size=1, max_size=8,
    ).map(" ".join),
    min_size=1, max_size=5,
)  # fmt: skip


def _window(tokenizer: Tokenizer, messages: list[str], breaks: set[int]) -> np.ndarray:
    ids = [tokenizer.bos_id]
    for number, message in enumerate(messages):
        if number in breaks:
            ids.append(tokenizer.bos_id)
        ids += tokenizer.encode_message(message)
    return np.array([ids], np.int64)


@given(messages=_MESSAGES, breaks=st.sets(st.integers(1, 4)), cut=st.integers(0, 6))
def test_both_sides_of_a_border_spell_the_same(
    messages: list[str], breaks: set[int], cut: int, tiny_tokenizer: Tokenizer, foreign_text: Any
) -> None:
    text, native = foreign_text
    window = _window(tiny_tokenizer, messages, breaks)
    window = window[:, : max(2, window.shape[1] - cut)]
    (found,) = text.translate(window)
    pieces = tiny_tokenizer.pieces
    for place, token, kind in zip(found.places.tolist(), found.tokens.tolist(), found.kinds.tolist(), strict=True):
        before = window[0, : place + 1].tolist()
        last = before[-1]
        assert last in (tiny_tokenizer.bos_id, tiny_tokenizer.eos_id) or pieces[last].endswith(WORD_END)
        start = max(i for i, piece in enumerate(before) if piece == tiny_tokenizer.bos_id)
        lines = [[]]
        for piece in before[start + 1 :]:
            if piece == tiny_tokenizer.eos_id:
                lines.append([])
            else:
                lines[-1].append(piece)
        ours = "\n".join(tiny_tokenizer.form.join(tiny_tokenizer.decode_tokens(line)) for line in lines)
        ids = found.ids[:token].tolist()
        theirs = native.decode(ids[len(ids) - ids[::-1].index(0) :])
        assert theirs == ours
        assert (kind == MESSAGE_START) == (not lines[-1])


def test_every_form_token_of_plain_text_has_a_border(tiny_tokenizer: Tokenizer, foreign_text: Any) -> None:
    text, _ = foreign_text
    window = _window(tiny_tokenizer, ["I am going to the store. Do you want anything?", "No thanks, I'm good"], set())
    (found,) = text.translate(window)
    kinds = dict(zip(found.places.tolist(), found.kinds.tolist(), strict=True))
    ends = [
        i for i, piece in enumerate(window[0, :-1].tolist())
        if piece in (tiny_tokenizer.bos_id, tiny_tokenizer.eos_id) or tiny_tokenizer.pieces[piece].endswith(WORD_END)
    ]  # fmt: skip
    assert sorted(kinds) == ends
    starts = [place for place, kind in kinds.items() if kind == MESSAGE_START]
    assert starts[0] == 0
    assert len(starts) == 2
    assert sum(kind == SENTENCE_START for kind in kinds.values()) == 2  # before "Do", and what could follow "anything?"
