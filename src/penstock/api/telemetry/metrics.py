"""Prometheus metrics of one server: what its requests took, and how its engines stand.

Labels are bounded: models that were loaded, routes as they are declared, statuses. Nothing a
client chooses freely becomes one.
"""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from penstock.engine.metrics import EngineStats
from penstock.serving.admission import Admission
from penstock.serving.lifecycle import Lifecycle
from penstock.serving.observing import Ended
from penstock.types import RequestFinished

FAST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
GAP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
SLOW_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """Counts what it is told of, and asks the engines how they stand when it is read."""

    def __init__(self, lifecycle: Lifecycle, admission: Admission) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self._http = Histogram(
            "penstock_http_request_seconds",
            "Time from a request's first byte to its answer's last.",
            ("method", "route", "status"),
            registry=registry,
            buckets=SLOW_BUCKETS,
        )
        self._ended = Counter(
            "penstock_generations",
            "Requests for texts, by how they ended.",
            ("model", "outcome"),
            registry=registry,
        )
        self._whole = _histogram(registry, "generation", "Submission to end.", SLOW_BUCKETS)
        self._first = _histogram(registry, "first_token", "Submission to first token.")
        self._queue = _histogram(registry, "queue", "Submission to first step.")
        self._gap = _histogram(
            registry, "token_gap", "Mean time between tokens of a text.", GAP_BUCKETS
        )
        self._prompt = _tokens(registry, "prompt", "Tokens of prompts.")
        self._cached = _tokens(registry, "cached_prompt", "Tokens of prompts found computed.")
        self._completion = _tokens(registry, "completion", "Tokens written.")
        self._jobs = Gauge("penstock_jobs", "Jobs by state.", ("state",), registry=registry)
        self._storage = Gauge("penstock_storage_up", "The database answers.", registry=registry)
        registry.register(_Standing(lifecycle, admission))

    def note_http(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request. The route is its declared path, not what a client sent."""
        self._http.labels(method, route, str(status)).observe(seconds)

    def note_ended(self, ended: Ended) -> None:
        """Count a request, and what it took of an engine."""
        self._ended.labels(ended.model_id, ended.outcome.value).inc()
        if ended.is_cached:
            return
        self._whole.labels(ended.model_id).observe(ended.seconds)
        if ended.token_gap_seconds is not None:
            self._gap.labels(ended.model_id).observe(ended.token_gap_seconds)
        if ended.finished is not None:
            self._note_finished(ended.model_id, ended.finished)

    def note_jobs(self, num_by_state: Mapping[str, int] | None) -> None:
        """Set how many jobs there are of each state; none where the database does not answer."""
        self._storage.set(num_by_state is not None)
        for state, count in (num_by_state or {}).items():
            self._jobs.labels(state).set(count)

    def text(self) -> bytes:
        """Everything in Prometheus's text format."""
        return generate_latest(self._registry)

    def _note_finished(self, model_id: str, finished: RequestFinished) -> None:
        timings = finished.timings
        if finished.num_completion_tokens:
            self._first.labels(model_id).observe(timings.first_token_seconds)
        self._queue.labels(model_id).observe(timings.queue_seconds)
        self._prompt.labels(model_id).inc(finished.num_prompt_tokens)
        self._cached.labels(model_id).inc(finished.num_cached_tokens)
        self._completion.labels(model_id).inc(finished.num_completion_tokens)


def _histogram(
    registry: CollectorRegistry,
    name: str,
    text: str,
    buckets: tuple[float, ...] = FAST_BUCKETS,
) -> Histogram:
    return Histogram(
        f"penstock_{name}_seconds", text, ("model",), registry=registry, buckets=buckets
    )


def _tokens(registry: CollectorRegistry, name: str, text: str) -> Counter:
    return Counter(f"penstock_{name}_tokens", text, ("model",), registry=registry)


class _Standing(Collector):
    """How the server and its engines stand at the moment they are asked."""

    def __init__(self, lifecycle: Lifecycle, admission: Admission) -> None:
        self._lifecycle = lifecycle
        self._admission = admission

    def describe(self) -> list[Metric]:
        """Nothing beforehand: what there is depends on what is loaded."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The server's own, then each engine's."""
        admission = self._admission
        yield _gauge("texts_under_way", "Texts under way.", admission.num_in_flight)
        yield _gauge("max_texts", "Texts that may be under way.", admission.max_in_flight)
        yield _gauge("waiting_tokens", "Tokens that wait.", admission.num_waiting_tokens)
        stuck = len(self._lifecycle.stuck(after_seconds=1))
        yield _gauge("stuck_engines", "Engines with work that stood still for a second.", stuck)
        yield from _engines(dict(self._stats()))

    def _stats(self) -> Iterator[tuple[str, EngineStats]]:
        for model_id in self._lifecycle.loaded:
            running = self._lifecycle.peek(model_id)
            if running is not None and running.client.stats is not None:
                yield model_id, running.client.stats


def _engines(stats: Mapping[str, EngineStats]) -> Iterator[Metric]:
    gauges = {
        "engine_running": ("Requests being computed.", "num_running"),
        "engine_waiting": ("Requests that wait for a place.", "num_waiting"),
        "engine_blocks": ("Blocks of the KV cache.", "num_blocks"),
        "engine_free_blocks": ("Blocks of the KV cache that are free.", "num_free_blocks"),
    }
    counters = {
        "engine_steps": ("Steps computed.", "num_steps"),
        "engine_computed_tokens": ("Tokens computed, prompts included.", "num_computed_tokens"),
    }
    for name, (text, field) in gauges.items():
        gauge = GaugeMetricFamily(f"penstock_{name}", text, labels=("model",))
        for model_id, of_model in stats.items():
            gauge.add_metric((model_id,), getattr(of_model, field))
        yield gauge
    for name, (text, field) in counters.items():
        counter = CounterMetricFamily(f"penstock_{name}", text, labels=("model",))
        for model_id, of_model in stats.items():
            counter.add_metric((model_id,), getattr(of_model, field))
        yield counter


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"penstock_{name}", text, value=value)
