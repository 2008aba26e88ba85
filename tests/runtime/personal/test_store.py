"""The personal store: what it learns, how it answers, and that forgetting forgets."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyboard_lm.errors import ConfigError
from keyboard_lm.personal import PersonalOptions, PersonalStore, PersonalStoreError, counts
from keyboard_lm.personal.words import Token, history
from keyboard_lm.text.case import fold

KNOWN = frozenset(["see", "you", "soon", "later", "the", "cat", "sat", "on", "mat", "may"])


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


def knows(word: str) -> bool:
    return fold(word) in KNOWN


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Iterator[PersonalStore]:
    with PersonalStore.open(None, clock, knows) as store:
        yield store


def texts(store: PersonalStore, context: Sequence[str], prefix: str = "", limit: int = 3) -> list[str]:
    view = store.view(context)
    return [] if view is None else view.candidates(prefix, limit)


def weight(store: PersonalStore, context: Sequence[str]) -> float:
    view = store.view(context)
    return 0.0 if view is None else view.weight


def joint(store: PersonalStore, context: Sequence[str], word: str) -> float:
    """The part of the mixture that a word has where the model gives it nothing."""
    view = store.view(context)
    return 0.0 if view is None else view.mix(0.0, word)


# Learning


def test_a_phrase_is_predicted_word_by_word(store: PersonalStore) -> None:
    store.learn(["see", "you", "soon"])
    store.learn(["later"])
    assert texts(store, ["see"])[0] == "you"
    assert texts(store, ["see", "you"])[0] == "soon"
    assert texts(store, ["see", "you"], "la") == ["later"]
    assert texts(store, []) == ["later", "see", "soon"]  # of two seen once, the later one


def test_word_by_word_is_learned_as_a_whole_is(clock: Clock) -> None:
    phrase = ["see", "you", ",", "cat", ".", "the", "mat"]
    with PersonalStore.open(None, clock, knows) as whole, PersonalStore.open(None, clock, knows) as single:
        whole.learn(phrase)
        for i, word in enumerate(phrase):
            single.learn([word], phrase[:i])
        for i in range(len(phrase)):
            assert texts(whole, phrase[:i]) == texts(single, phrase[:i])
            assert joint(whole, phrase[:i], phrase[i]) == pytest.approx(joint(single, phrase[:i], phrase[i]))


def test_an_unknown_word_is_offered_only_after_a_second_separate_sighting(store: PersonalStore, clock: Clock) -> None:
    for _ in range(3):  # in one message: the same slip again, perhaps
        store.learn(["teh"], ["see"])
        assert not store.is_known("teh")
        assert texts(store, ["see"], "t") == []
        assert weight(store, ["see"]) == 0
        clock.now += 10
    clock.now += 60
    store.learn(["teh"])
    assert store.is_known("Teh")
    assert texts(store, ["see"], "t") == ["teh"]


def test_a_typo_is_in_no_context_either(store: PersonalStore) -> None:
    store.learn(["see", "teh", "cat"])
    assert weight(store, ["teh"]) == weight(store, ["see", "teh"]) == weight(store, ["qqq"])
    assert store.is_known("cat")


@pytest.mark.parametrize("source", ["accepted", "restored"])
def test_a_word_that_is_meant_is_learned_at_once(store: PersonalStore, source: str) -> None:
    store.learn(["Siobhan"], source=source)  # type: ignore[arg-type]
    assert texts(store, [], "si") == ["Siobhan"]


def test_an_unknown_word_seen_long_ago_has_not_been_seen(clock: Clock) -> None:
    options = PersonalOptions(quarantine_words=20)
    with PersonalStore.open(None, clock, knows, options) as store:
        store.learn(["teh"])
        clock.now += 1e6
        store.learn(["cat"] * 30)
        store.learn(["teh"])
        assert not store.is_known("teh")


def test_an_emoji_is_no_typo(store: PersonalStore) -> None:
    store.learn(["see", "you", "😂"])
    assert texts(store, ["see", "you"]) == ["😂", "you", "see"]


def test_private_fields_leave_no_trace(store: PersonalStore, tmp_path: Path) -> None:
    store.learn(["see", "you"], is_private=True)
    store.export(tmp_path / "all.jsonl")
    assert weight(store, []) == 0
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    "token", ["1234", "4929123412341234", "x" * 49, "two words", "", ".", "‮", "a" * 10_000, "\ud800"]
)
def test_numbers_and_what_is_no_word_are_not_learned(store: PersonalStore, token: str) -> None:
    for _ in range(3):
        store.learn([token, "see"], source="accepted")
    assert not store.is_known(token)
    assert texts(store, []) == ["see"]


def test_a_number_hides_what_is_before_it() -> None:
    assert history(["see", "4929123412341234", "you"]) == ["you"]
    assert history(["see", "you"]) == ["see", "you"]
    assert history(["see"]) == ["<s>", "see"]
    assert history(["see", ",", "you", "⁀-"]) == ["see", "you"]
    assert history(["see", "you", "?␣"]) == ["<s>"]
    assert history(["see", "you", "..", "soon"]) == ["you", "soon"]


def test_a_word_is_shown_as_it_is_mostly_written(store: PersonalStore) -> None:
    store.learn(["MAY", "may", "May", "May"])
    assert texts(store, [], "m") == ["May"]
    assert texts(store, [], "MA") == ["May"]


def test_typographic_apostrophes_are_the_same_word(store: PersonalStore) -> None:
    store.learn(["don’t"], source="accepted")
    assert texts(store, [], "don'") == texts(store, [], "don’") == ["don't"]


# Answering


def test_an_empty_store_knows_nothing(store: PersonalStore) -> None:
    assert store.view(["the"]) is None
    assert store.words() == store.blocks() == []
    assert store.num_words() == 0


def test_mixing_is_linear(store: PersonalStore) -> None:
    store.learn(["the", "cat", "sat"])
    for context in ([], ["the"], ["the", "cat"], ["unseen"]):
        view = store.view(context)
        assert view is not None
        assert 0 < view.weight < 1
        for model in (0.0, 0.2, 1.0):
            assert view.mix(model, "Cat") == pytest.approx((1 - view.weight) * model + view.mix(0.0, "cat"))
        assert view.mix(0.5, "unseen") == pytest.approx((1 - view.weight) * 0.5)


def test_support_in_the_context_raises_the_weight(store: PersonalStore) -> None:
    weights = []
    for _ in range(5):
        store.learn(["the", "cat", "sat"])
        weights.append(weight(store, ["the", "cat"]))
    assert weights == sorted(weights)
    assert weights[-1] > weights[0] > weight(store, ["mat", "on"])


SENTENCES = st.lists(
    st.lists(st.sampled_from(["see", "you", "The", "the", "cat", ".", ",", "teh", "😂", "May"]), max_size=6)
)


@settings(max_examples=60)
@given(SENTENCES, st.lists(st.sampled_from(["see", "you", "the", ".", "x"]), max_size=3))
def test_probabilities_sum_to_one(sentences: list[list[str]], context: list[str]) -> None:
    with PersonalStore.open(None, Clock(), knows) as store:
        for sentence in sentences:
            store.learn(sentence)
        found = texts(store, context, limit=100)
        assert len(set(map(fold, found))) == len(found)
        shares = [joint(store, context, word) for word in found]
        assert sum(shares) == pytest.approx(weight(store, context))
        assert shares == sorted(shares, reverse=True)
        assert all(map(store.is_known, found))


@settings(max_examples=25)
@given(st.lists(st.integers(0, 199), min_size=100, max_size=400), st.text("abcdefg", max_size=2))
def test_the_best_are_those_of_a_full_ranking(numbers: list[int], prefix: str) -> None:
    # More words than are looked through one by one, added before and after the first query.
    words = [chr(97 + number % 3) + chr(97 + number // 3 % 7) + chr(97 + number // 21) for number in numbers]
    with PersonalStore.open(None, Clock(), lambda word: True) as store:
        store.learn(words)
        texts(store, ["unseen"], prefix)
        store.learn(words[::3])
        everything = texts(store, ["unseen"], limit=1000)
        expected = [word for word in everything if word.startswith(prefix)]
        assert texts(store, ["unseen"], prefix, 5) == expected[:5]
        assert len(everything) == len(set(words))


@settings(max_examples=60)
@given(st.lists(st.text(max_size=12), max_size=6), st.lists(st.text(max_size=5), max_size=3), st.text(max_size=4))
def test_any_unicode_is_survived(words: list[str], context: list[str], prefix: str) -> None:
    with PersonalStore.open(None, Clock(), knows) as store:
        store.learn(words, context, source="accepted")
        for word in words:
            assert store.is_known(word) == bool(Token.of(word).key)
            store.block(word, prefix)
            assert store.is_blocked(word, prefix)
        for found in texts(store, context, prefix):
            store.forget(found)
            assert not store.is_known(found)
        assert store.warnings == ()


# Decay


@settings(max_examples=30)
@given(st.integers(1, 300))
def test_what_is_not_written_again_fades(num_words: int) -> None:
    options = PersonalOptions(half_life_words=50)
    with PersonalStore.open(None, Clock(), knows, options) as store:
        store.learn(["the", "cat", "."])
        fresh = joint(store, ["the"], "cat")
        store.learn(["mat"] * num_words)
        middle = joint(store, ["the"], "cat")
        store.learn(["mat"] * 10)
        assert fresh > middle > joint(store, ["the"], "cat") > 0


def test_a_half_life_halves(clock: Clock, tmp_path: Path) -> None:
    options = PersonalOptions(half_life_words=100)
    with PersonalStore.open(None, clock, knows, options) as store:
        store.learn(["cat"])
        store.learn(["mat"] * 100)
        store.export(tmp_path / "all.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [row["count"] for row in rows if row.get("ngram") == ["cat"]] == [pytest.approx(0.5)]


def test_bringing_masses_down_changes_no_answer(clock: Clock) -> None:
    short = PersonalOptions(half_life_words=10)
    with PersonalStore.open(None, clock, knows, short) as store:
        answers = []
        for _ in range(800):  # of 9 words, so 720 half-lives
            store.learn(["see", "you", "soon", ".", "the", "cat", "sat", "on", "the", "mat", "."])
            answers.append([(word, joint(store, ["see"], word)) for word in texts(store, ["see"])])
        assert [text for text, _ in answers[-1]] == [text for text, _ in answers[300]]
        assert [p for _, p in answers[-1]] == pytest.approx([p for _, p in answers[300]])
        assert store.warnings == ()


def test_bringing_masses_down_keeps_the_shares_of_forms(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    # Words are written in another case now; what was brought down must not outweigh that for another half-life.
    options = PersonalOptions(half_life_words=10)
    shown = []
    for growth in (counts.MAX_GROWTH, 3.0):
        monkeypatch.setattr(counts, "MAX_GROWTH", growth)
        with PersonalStore.open(None, clock, knows, options) as store:
            store.learn(["may"] * 35)
            written = []
            for _ in range(15):
                store.learn(["May"])
                written.append(texts(store, [])[0])
            shown.append(written)
    assert shown[0] == shown[1]
    assert (shown[0][0], shown[0][-1]) == ("may", "May")


def test_another_half_life_keeps_what_is_known(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "personal.db"
    with PersonalStore.open(path, clock, knows, PersonalOptions(half_life_words=50)) as store:
        store.learn(["see", "you", "soon"] * 20)
    with PersonalStore.open(path, clock, knows, PersonalOptions(half_life_words=5000)) as store:
        before = joint(store, ["see"], "you")
        store.learn(["the"], ["cat"])
        assert joint(store, ["see"], "you") == pytest.approx(before, rel=0.02)


def test_the_weakest_go_when_there_are_too_many(clock: Clock) -> None:
    options = PersonalOptions(max_ngrams=100)
    words = [chr(97 + i // 676) + chr(97 + i // 26 % 26) + chr(97 + i % 26) for i in range(1000)]
    with PersonalStore.open(None, clock, lambda word: True, options) as store:
        for word in words:
            store.learn([word, "."])
            store.learn(["see", "."])
        assert [word for word in words if store.is_known(word)] == words[-44:]
        assert store.is_known("see")
        found = texts(store, [], limit=1000)
        assert len(found) < 50
        assert sum(joint(store, [], word) for word in found) == pytest.approx(weight(store, []))


# Corrections that were taken back


def test_a_correction_that_was_taken_back_is_blocked_at_once(store: PersonalStore) -> None:
    store.block("Teh", "The")
    assert store.is_blocked("teh", "the")
    assert store.is_protected("TEH")
    assert store.blocks() == [("teh", "the")]
    assert not store.is_blocked("teh", "tech")
    assert not store.is_protected("the")
    store.unblock("teh", "the")
    assert not store.is_blocked("teh", "the")
    assert not store.is_protected("teh")


def test_a_correction_of_case_is_blocked_in_this_case_only(store: PersonalStore) -> None:
    store.block("may", "May")
    assert store.is_blocked("may", "May")
    assert not store.is_blocked("May", "may")
    assert not store.is_protected("may")


# Forgetting


@settings(max_examples=40)
@given(SENTENCES, st.sampled_from(["see", "the", "teh", "May", "😂"]))
def test_a_forgotten_word_was_never_there(sentences: list[list[str]], word: str) -> None:
    with PersonalStore.open(None, Clock(), knows) as store:
        for sentence in sentences:
            store.learn(sentence)
        store.block(word, "cat")
        assert store.forget(word.upper())
        assert not store.forget(word)
        assert not store.is_known(word)
        assert not store.is_blocked(word, "cat")
        for context in ([], ["see"], ["see", word], ["cat"]):
            assert joint(store, context, word) == 0
            assert fold(word) not in map(fold, texts(store, context, limit=100))
        assert weight(store, [word]) == weight(store, ["never"])


def test_clearing_makes_a_new_store(store: PersonalStore) -> None:
    store.learn(["see", "you", "teh"])
    store.block("teh", "the")
    store.clear()
    assert weight(store, []) == 0
    assert not store.is_known("see")
    assert not store.is_protected("teh")
    store.learn(["teh"])
    assert not store.is_known("teh")


# Export and import


@settings(max_examples=30)
@given(SENTENCES)
def test_what_is_exported_comes_back(tmp_path_factory: pytest.TempPathFactory, sentences: list[list[str]]) -> None:
    path = tmp_path_factory.mktemp("export") / "all.jsonl"
    clock = Clock()
    with PersonalStore.open(None, clock, knows) as store, PersonalStore.open(None, clock, knows) as copy:
        for sentence in sentences:
            store.learn(sentence)
        store.block("teh", "the")
        store.export(path)
        copy.import_from(path)
        copy.export(again := path.with_name("again.jsonl"))
        for context in ([], ["see"], ["see", "you"], ["."]):
            assert weight(copy, context) == pytest.approx(weight(store, context))
            for word in texts(store, context, limit=100):
                assert joint(copy, context, word) == pytest.approx(joint(store, context, word))
        assert copy.is_protected("teh")
        clock.now += 100
        for each in (store, copy):
            each.learn(["teh"])
        assert copy.is_known("teh") == store.is_known("teh")
    assert len(again.read_text().splitlines()) == len(path.read_text().splitlines())


def test_importing_adds_to_what_is_known(store: PersonalStore, tmp_path: Path) -> None:
    store.learn(["see", "you"])
    store.export(tmp_path / "all.jsonl")
    before = weight(store, ["see"])
    store.import_from(tmp_path / "all.jsonl")
    assert weight(store, ["see"]) > before


@pytest.mark.parametrize(
    "line",
    [
        "{", "[]", "null", '{"ngram": ["see"]}', '{"ngram": ["two words"], "count": 1}', '{"ngram": [], "count": 1}',
        '{"ngram": ["see"], "count": NaN}', '{"ngram": ["see"], "count": -1}', '{"ngram": ["see", "<s>"], "count": 1}',
        '{"form": ["see", "You"], "count": 1}', '{"pending": "teh", "seen_at": 1, "words_ago": -1}', '{"block": ["x"]}',
        '{"ngram": ["see"], "count": true}', '{"ngram": "see", "count": 1}', '{"word": "see"}',
    ],
)  # fmt: skip
def test_a_line_that_is_no_export_is_named_and_nothing_is_added(
    store: PersonalStore, tmp_path: Path, line: str
) -> None:
    store.export(path := tmp_path / "all.jsonl")
    path.write_text(path.read_text() + '{"ngram": ["see"], "count": 1}\n' + line + "\n")
    with pytest.raises(PersonalStoreError, match="line 3"):
        store.import_from(path)
    assert not store.is_known("see")


def test_an_export_of_a_later_program_is_told_from_a_damaged_one(store: PersonalStore, tmp_path: Path) -> None:
    store.export(path := tmp_path / "all.jsonl")
    head, *rest = path.read_text().split("\n")
    path.write_text("\n".join([json.dumps({**json.loads(head), "version": 2}), *rest]))
    with pytest.raises(PersonalStoreError, match="version 2 is newer than this program"):
        store.import_from(path)


def test_files_that_cannot_be_used_are_named(store: PersonalStore, tmp_path: Path) -> None:
    with pytest.raises(PersonalStoreError, match="cannot be read"):
        store.import_from(tmp_path / "none")
    with pytest.raises(PersonalStoreError, match="cannot be written"):
        store.export(tmp_path / "none" / "all.jsonl")
    for nothing in ("", "\n"):
        (tmp_path / "empty").write_text(nothing)
        with pytest.raises(PersonalStoreError, match="line 1 is not"):
            store.import_from(tmp_path / "empty")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(PersonalStoreError, match="not UTF-8"):
        store.import_from(tmp_path / "binary")


def test_all_mistakes_in_options_are_told_together() -> None:
    with pytest.raises(
        ConfigError, match=r"half_life_words.*caps.*escapes.*quarantine_s.*quarantine_words.*max_ngrams"
    ):
        PersonalOptions(float("nan"), (1, 0, 0), (-1, 0, 0), -1, 0, 0)
    assert dataclasses.replace(PersonalOptions(), half_life_words=20).half_life_words == 20
