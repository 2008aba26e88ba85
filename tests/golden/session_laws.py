"""Cases of the whole keyboard: what becomes of a field and its bar, event after event."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from keyboard_lm.backends.protocol import Backend
from keyboard_lm.device.budget import load_device
from keyboard_lm.keyboard.bar import Answer
from keyboard_lm.keyboard.events import Backspaced, Event, FieldStarted, GhostAccepted, SlotAccepted, Typed
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.keyboard.session import Session
from keyboard_lm.keyboard.suggester import Suggester
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.personal import PersonalStore
from keyboard_lm.touch.layout import load_layout

from .scenarios import SCENARIOS, Keys

Case = dict[str, Any]


def new_store() -> PersonalStore:
    """Return a store whose clock is ten minutes on with each word that it learns."""
    seconds = count(step=600)
    return PersonalStore.open(None, clock=seconds.__next__, knows=load_language().lexicon.known)


def opened(network: Backend, store: PersonalStore) -> Session:
    """Return a keyboard over a network, with all else as it ships."""
    language, tokenizer = load_language(), Checkpoint.load(bundled_folder()).tokenizer
    suggester = Suggester(network, tokenizer, language, load_layout(), store)
    return Session(suggester, store, load_device().cost(network.config), editor=language.editor)


def events(session: Session, messages: Sequence[str], rng: random.Random) -> Iterator[Event]:
    """Yield the keys of messages with slips, second thoughts, and what is taken from the bar that a session shows."""
    for message in messages:
        keys: list[Event | None] = [FieldStarted(), *map(Typed, message)]
        for place in sorted(rng.sample(range(1, len(keys) + 1), min(4, len(keys))), reverse=True):
            keys[place:place] = rng.choice(([Backspaced(), Backspaced()], [None], [Typed(rng.choice("aeiotn"))]))
        for key in keys:
            yield key if key is not None else _taken(session, rng)


def _taken(session: Session, rng: random.Random) -> Event:
    answer = session.shown
    if answer.ghost is not None and rng.random() < 0.5:
        return GhostAccepted(answer.ghost.text)
    if not answer.slots:
        return Typed(" ")
    slot = rng.choice(answer.slots)
    return SlotAccepted(slot.text, slot.replaced)


def told(session: Session, event: Event) -> Case:
    """Return an event, what becomes of the field, and the bar that follows."""
    edit = session.apply(event)
    return {
        "event": _named(event), "edit": [edit.deleted_before, edit.inserted], "text": session.text,
        "shift": session.shift, **told_of_bar(session.suggest()),
    }  # fmt: skip


def scenarios(network: Callable[[], Backend]) -> Iterator[Case]:
    """Yield each scenario with what is told of its steps, and with what was learned."""
    for name, steps in SCENARIOS.items():
        store = new_store()
        session, done = opened(network(), store), []
        for step in steps:
            before = session.shown
            if step == "restart":
                session.apply(FieldStarted())
                session = opened(network(), store)
                done.append({"do": "restart"})
            elif step == "stale":
                stale = replace(before, revision=session.revision - 1)
                done.append({"do": "stale", "is_shown": session.show(stale)})
            elif step == "look":
                done.append({"do": "look", **told_of_bar(session.suggest())})
            elif step == "late":
                done.append({"do": "late", **told_of_bar(session.suggest(deadline=-math.inf))})
            elif step == "at once":
                done.append({"do": "at once", **told_of_bar(session.suggest_at_once())})
            elif isinstance(step, (str, Keys)):
                looks = isinstance(step, str)
                for char in step if isinstance(step, str) else step.text:
                    done.append(_done(session, Typed(char), looks))
            else:
                done.append(_done(session, step, True))
        learned = {"words": store.words(), "taken_back": [list(pair) for pair in store.blocks()]}
        yield {"name": name, "steps": done, **learned}


def _done(session: Session, event: Event, looks: bool) -> Case:
    return {
        "do": _named(event), **told_of_event(session, event), **(told_of_bar(session.suggest()) if looks else {}),
    }  # fmt: skip


def _named(event: Event) -> list[Any]:
    return [type(event).__name__, {k: v for k, v in vars(event).items() if v is not None and v != ()}]


def told_of_event(session: Session, event: Event) -> Case:
    """Return what became of an event, for a golden file or for another engine."""
    edit = session.apply(event)
    return {
        "edit": [edit.deleted_before, edit.deleted_after, edit.inserted],
        "finished": [[word.word, word.context, word.is_meant] for word in edit.finished],
        "undone": [edit.undone.literal, edit.undone.corrected] if edit.undone else None,
        "text": session.text, "cursor": session.cursor, "shift": session.shift,
    }  # fmt: skip


def told_of_bar(answer: Answer) -> Case:
    """Return an answer likewise."""
    return {
        "slots": [[each.text, each.kind, each.replaced, each.probability] for each in answer.slots],
        "correction": [answer.correction.replaced, answer.correction.text] if answer.correction else None,
        "ghost": [answer.ghost.text, answer.ghost.probability] if answer.ghost else None,
        "stage": answer.stage, "calls": answer.num_model_calls,
    }  # fmt: skip
