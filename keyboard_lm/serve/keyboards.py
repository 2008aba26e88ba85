"""One client's keyboard: a `Session` behind the revisions of a protocol."""

from __future__ import annotations

from dataclasses import replace

from keyboard_lm.keyboard.bar import Shift
from keyboard_lm.keyboard.events import CursorMoved, FieldStarted, TextChanged, Typed
from keyboard_lm.keyboard.session import Session
from keyboard_lm.keyboard.suggester import SuggesterOptions
from keyboard_lm.personal import PersonalStore, PersonalStoreError
from keyboard_lm.serve import convert
from keyboard_lm.serve import messages as wire
from keyboard_lm.serve.errors import ServeError
from keyboard_lm.serve.service import LOG, Service
from keyboard_lm.serve.tokens import Caller
from keyboard_lm.text.typing_rules import is_word_char


class Keyboard:
    """Opened by a hello, closed once.

    Args:
        service: that it belongs to.
        caller: whose it is.
        hello: how it was asked for; ``learning`` falls to ``memory`` where no files are kept.

    Attributes:
        revision: the client's newest.
        learning: what became of the wish.

    Raises:
        ServeError: an unknown name, a scope that is missing, a personal file that cannot be had.
    """

    def __init__(self, service: Service, caller: Caller, hello: wire.Hello) -> None:
        service.check_names(hello.language, hello.layout)
        self.learning: wire.Learning = hello.learning
        if hello.learning == "file":
            caller.check("personal")
            if service.personal is None:
                self.learning = "memory"
        self.revision = hello.revision
        self._service = service
        self._subject = caller.subject
        self._is_full = False
        options = replace(
            service.engine.options,
            language=hello.language,
            layout=hello.layout,
            suggester=SuggesterOptions(num_slots=hello.num_slots),
        )
        knows = service.knows(hello.language)
        self._files = service.personal if self.learning == "file" else None
        if self._files is not None:
            store = self._files.acquire(self._subject, knows)
        else:
            store = PersonalStore.open(None, knows=knows)
        self._session = Session.on(service.engine, options, store, timer=service.clock)
        self._open(hello.field)

    def close(self) -> None:
        """Learn the last word and give the store back."""
        if self._files is None:
            self._session.close()
            return
        try:
            self._session.apply(FieldStarted())
            self._session.forget()
            for warning in self._session.warnings:
                LOG.warning("personal file: %s", warning.partition(" (")[0])
        finally:
            self._files.release(self._subject)

    @property
    def shift(self) -> Shift:
        """Which letters the keys show."""
        return self._session.shift

    @property
    def text(self) -> str:
        """Of the field."""
        return self._session.text

    @property
    def cursor(self) -> int:
        """Offset in it."""
        return self._session.cursor

    def apply(self, message: wire.FieldEvent) -> wire.EditMade | None:
        """Bring the field to where an event leaves it; None for one that was on its way when the field was full.

        Raises:
            ServeError: ``wrong_revision``; ``field_full``, which changes nothing.
        """
        if self._is_full and message.revision > self.revision + 1:
            return None  # the client sends it again behind the end of the text
        if message.revision != self.revision + 1:
            raise ServeError("wrong_revision", f"revision {self.revision + 1} comes next, not {message.revision}")
        session = self._session
        if isinstance(message, wire.FieldOpened):
            self._is_full = False
            self._open(message.field)
            self.revision = message.revision
            return wire.EditMade(self.revision, "", "", "", None, None, session.shift)
        is_growing = not isinstance(message, wire.TextReplaced | wire.Backspace | wire.CursorPut | wire.ShiftKey)
        if is_growing and len(session.text) > self._service.limits.field_chars:
            self._is_full = True
            raise ServeError("field_full", "the field is too long; send text_changed with the end of its text")
        self._is_full = False
        event = convert.event_of(message)
        if (
            isinstance(event, Typed)
            and self._service.turns.is_overloaded
            and session.shown.revision != session.revision
            and not is_word_char(event.char[0])
        ):
            session.suggest(deadline=self._service.clock())  # its correction, without a call of the network
        if isinstance(event, TextChanged):
            event = replace(event, cursor=min(event.cursor, len(event.text)))
        edit = session.apply(event)
        self.revision = message.revision
        return convert.edit_made(edit, self.revision, session.shift)

    def bar(self, deadline: float | None) -> wire.Bar:
        """Return the bar of the field as it stands."""
        answer = self._session.suggest(deadline)
        self._service.metrics.count_answer(answer)
        return convert.bar(answer, self.revision)

    def learned(self, message: wire.LearningRequest) -> wire.Learned:
        """Do what the writer asks of the learned words, and return them.

        Raises:
            ServeError: ``personal_failed``.
        """
        store = self._session.personal
        limit = message.limit if isinstance(message, wire.LearnedAsked) else 50
        try:
            if isinstance(message, wire.WordForgotten):
                store.forget(message.word)
            elif isinstance(message, wire.AllForgotten):
                store.clear()
        except PersonalStoreError:
            raise ServeError("personal_failed", "not all could be forgotten now; try again") from None
        return wire.Learned(tuple(store.words(limit)), store.num_words(), self.learning)

    def _open(self, field: wire.Field) -> None:
        session, was_private = self._session, self._session.is_private
        # Where nothing is to be learned every field is a private one.
        session.apply(FieldStarted(field.text, field.is_private or self.learning == "off"))
        if field.cursor is not None and field.cursor < len(field.text):
            session.apply(CursorMoved(field.cursor))
        if was_private and self.learning != "off":
            self._service.engine.forget_letters()
