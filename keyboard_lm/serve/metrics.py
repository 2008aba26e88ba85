"""What the service counts, for Prometheus: numbers only, never a text, a word or a user.

Every key counts half a dozen things and nobody looks but once in a while: so these are plain numbers of the event
loop's thread, and made into Prometheus's own when asked for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from keyboard_lm.keyboard.bar import Answer, Stage
from keyboard_lm.serve.messages import ErrorCode

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0)


class Durations:
    """How long something took, by size."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_SECONDS) + 1)
        self._sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(_SECONDS, seconds)] += 1
        self._sum_s += seconds

    def family(self, name: str, what: str) -> Metric:
        """Return what Prometheus reads."""
        counts = map(float, accumulate(self._counts))
        buckets = list(zip((*map(str, _SECONDS), "+Inf"), counts, strict=True))
        return HistogramMetricFamily(name, what, buckets=buckets, sum_value=self._sum_s)


class Metrics(Collector):
    """Counters of one service, in a registry of their own.

    Attributes:
        num_events: that sockets have brought.
        key_to_bar: seconds from an event's arrival to its bar.
        waited: seconds of that in the queue.
        num_refused: answers for which the queue was too long.
        num_sessions: open now.
    """

    def __init__(self) -> None:
        self.num_events = self.num_refused = self.num_sessions = self._num_calls = 0
        self.key_to_bar, self.waited = Durations(), Durations()
        self._answers: dict[str, int] = dict.fromkeys(get_args(Stage), 0)
        self._errors: dict[str, int] = dict.fromkeys(get_args(ErrorCode), 0)
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def count_answer(self, answer: Answer) -> None:
        """Count a bar."""
        self._answers[answer.stage] += 1
        self._num_calls += answer.num_model_calls

    def count_error(self, code: ErrorCode) -> None:
        """Count an error."""
        self._errors[code] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield what Prometheus reads."""
        yield CounterMetricFamily("keyboard_lm_events", "Events of sessions.", self.num_events)
        yield self.key_to_bar.family("keyboard_lm_key_to_bar_seconds", "From an event to its bar.")
        yield self.waited.family("keyboard_lm_wait_seconds", "In the queue.")
        yield CounterMetricFamily("keyboard_lm_refused", "Answers that were refused.", self.num_refused)
        yield GaugeMetricFamily("keyboard_lm_sessions", "Sessions that are open.", self.num_sessions)
        yield CounterMetricFamily("keyboard_lm_model_calls", "Calls of the network.", self._num_calls)
        yield _by("keyboard_lm_answers", "Bars, by how far the engine got.", "stage", self._answers)
        yield _by("keyboard_lm_errors", "Errors that callers were told.", "code", self._errors)

    def page(self) -> bytes:
        """Return what Prometheus reads, as text."""
        return generate_latest(self._registry)


def _by(name: str, what: str, label: str, counts: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, what, labels=[label])
    for value, num in counts.items():
        family.add_metric([value], num)
    return family
