"""What the service counts, for Prometheus: numbers only, never a text, a word or a user."""

from __future__ import annotations

from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from keyboard_lm.keyboard.bar import Answer, Stage
from keyboard_lm.serve.messages import ErrorCode

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0)


class Metrics:
    """Counters of one service, in a registry of their own.

    Attributes:
        events: that sockets have brought.
        key_to_bar: seconds from an event's arrival to its bar.
        waited: seconds of that in the queue.
        refused: answers for which the queue was too long.
        sessions: open now.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.events = Counter("keyboard_lm_events", "Events of sessions.", registry=registry)
        self.key_to_bar = Histogram(
            "keyboard_lm_key_to_bar_seconds", "From an event to its bar.", buckets=_SECONDS, registry=registry
        )
        self.waited = Histogram("keyboard_lm_wait_seconds", "In the queue.", buckets=_SECONDS, registry=registry)
        self.refused = Counter("keyboard_lm_refused", "Answers that were refused.", registry=registry)
        self.sessions = Gauge("keyboard_lm_sessions", "Sessions that are open.", registry=registry)
        self._calls = Counter("keyboard_lm_model_calls", "Calls of the network.", registry=registry)
        answers = Counter("keyboard_lm_answers", "Bars, by how far the engine got.", ["stage"], registry=registry)
        self._answers = {stage: answers.labels(stage) for stage in get_args(Stage)}
        errors = Counter("keyboard_lm_errors", "Errors that callers were told.", ["code"], registry=registry)
        self._errors = {code: errors.labels(code) for code in get_args(ErrorCode)}

    def count_answer(self, answer: Answer) -> None:
        """Count a bar."""
        self._answers[answer.stage].inc()
        if answer.num_model_calls:
            self._calls.inc(answer.num_model_calls)

    def count_error(self, code: ErrorCode) -> None:
        """Count an error."""
        self._errors[code].inc()

    def page(self) -> bytes:
        """Return what Prometheus reads."""
        return generate_latest(self._registry)
