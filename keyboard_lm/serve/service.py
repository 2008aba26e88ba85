"""What all requests of one process share: the engine, who is answered next, who may ask, what is learned."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from keyboard_lm import __version__
from keyboard_lm.correction.candidates import CandidateMemory
from keyboard_lm.keyboard.bar import Request
from keyboard_lm.keyboard.engine import Engine
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.serve import messages as wire
from keyboard_lm.serve.errors import ServeError
from keyboard_lm.serve.lanes import Lanes
from keyboard_lm.serve.limits import Limits
from keyboard_lm.serve.metrics import Metrics
from keyboard_lm.serve.personal_files import PersonalFiles
from keyboard_lm.serve.tokens import ANYBODY, Caller, Tokens
from keyboard_lm.serve.turns import Turns
from keyboard_lm.touch.layout import layout_names
from keyboard_lm.words.lexicon import language_names

LOG = logging.getLogger("keyboard_lm.serve")
REMEMBERED_LETTERS = CandidateMemory(beginnings=1024, children=128)  # by all sessions, some 18 MB
REMEMBERED_MB = 32.0  # of what the network said, by all sessions
_READY_EVERY_S = 1.0
_RETRY_MS = 1000
_PROBE = "I am going "


@dataclass(frozen=True)
class ServeOptions:
    """How a service behaves.

    Attributes:
        tokens: file of those who may ask; None for anybody.
        learn: folder of the users' personal files; None to keep none.
        allow_origins: of pages elsewhere that may ask, such as ``https://example.org``.
        allow_hosts: names by which the service may be asked for where there are no tokens, besides this machine's own.
        page: folder of the web phone; None for none.
        limits: of what one caller may take.
    """

    tokens: Path | None = None
    learn: Path | None = None
    allow_origins: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    page: Path | None = None
    limits: Limits = field(default_factory=Limits)


class Service:
    """One process's service, to be used from one event loop.

    Args:
        engine: opened with one thread.
        options: how to behave.
        clock: seconds that only go forward; the engine's deadlines are instants of it, too.

    Attributes:
        engine: as given.
        options: as given.
        turns: who is answered next.
        metrics: what is counted.
        lanes: contexts of stateless requests.
        personal: the users' files; None where none are kept.
        is_ending: whether it takes no more sessions.
        num_ended: how many sessions there have been.

    Raises:
        ConfigError: the token file or the folder of personal files cannot be used.
    """

    def __init__(
        self, engine: Engine, options: ServeOptions | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.engine = engine
        self.options = options or ServeOptions()
        self.limits = self.options.limits
        self.clock = clock
        self.metrics = Metrics()
        self.turns = Turns(self.limits, clock, self.metrics.waited.observe)
        self.lanes = Lanes(engine, self.limits, clock)
        self.personal = PersonalFiles(self.options.learn) if self.options.learn is not None else None
        self.is_ending = False
        self.num_ended = 0
        self._tokens = Tokens(self.options.tokens) if self.options.tokens is not None else None
        self._by_subject: Counter[str] = Counter()
        self._probe = engine.suggester()
        self._probed_at = -_READY_EVERY_S
        self._is_ready = False

    @property
    def wants_token(self) -> bool:
        """Whether a caller has to have one."""
        return self._tokens is not None

    def caller(self, token: str) -> Caller:
        """Return who asks.

        Raises:
            ServeError: ``bad_token``.
        """
        return self._tokens.caller(token) if self._tokens is not None else ANYBODY

    def sign(self, caller: Caller, wanted: wire.TokenRequest) -> wire.TokenGiven:
        """Return a short signed token.

        Raises:
            ServeError: ``forbidden``.
        """
        if self._tokens is None:
            raise ServeError("forbidden", "this service wants no tokens; ask without one")
        return self._tokens.sign(caller, wanted)

    def offered(self) -> wire.Offered:
        """Return what can be asked for."""
        learning: tuple[wire.Learning, ...] = ("off", "memory")
        if self.personal is not None:
            learning = (*learning, "file")
        return wire.Offered(
            __version__, wire.PROTOCOL, self.model, language_names(), layout_names(), learning, self.wants_token
        )

    @property
    def model(self) -> str:
        """The first letters of the checkpoint's digest."""
        return self.engine.checkpoint.digest[:12]

    def check_names(self, language: str, layout: str) -> None:
        """Raise where there is no such language or layout.

        Raises:
            ServeError: ``unknown_language``, ``unknown_layout``; the message lists those there are.
        """
        if language not in language_names():
            known = ", ".join(language_names())
            raise ServeError("unknown_language", f"no such language; choose one of: {known}")
        if layout not in layout_names():
            raise ServeError("unknown_layout", f"no such layout; choose one of: {', '.join(layout_names())}")

    def knows(self, language: str) -> Callable[[str], bool]:
        """Return whether the lexicon of a language knows a word."""
        return load_language(language).lexicon.known

    @contextmanager
    def place(self, caller: Caller) -> Iterator[None]:
        """Hold one of the places for sessions.

        Raises:
            ServeError: ``too_many_sessions`` of this user, ``busy`` where there are too many of all, or it ends.
        """
        if self.is_ending:
            raise ServeError("busy", "the service is ending; connect again", _RETRY_MS)
        if self._by_subject.total() >= self.limits.sessions:
            raise ServeError("busy", "the service has all the sessions it can take; try again later", 5 * _RETRY_MS)
        subject = caller.subject
        if self._by_subject[subject] >= self.limits.sessions_per_user:
            most = self.limits.sessions_per_user
            raise ServeError("too_many_sessions", f"this user has {most} sessions already; close one", 5 * _RETRY_MS)
        self._by_subject[subject] += 1
        self.metrics.num_sessions += 1
        try:
            yield
        finally:
            self.metrics.num_sessions -= 1
            self.num_ended += 1
            self._by_subject[subject] -= 1
            if not self._by_subject[subject]:
                del self._by_subject[subject]

    def is_ready(self) -> bool:
        """Return whether a suggestion can be made; one is, at most once a second."""
        now = self.clock()
        if now - self._probed_at >= _READY_EVERY_S:
            self._probed_at = now
            self._probe.forget()
            answer = self._probe.answer(Request(_PROBE))
            self._is_ready = bool(answer.slots) and answer.stage == "full"
        return self._is_ready and not self.is_ending
