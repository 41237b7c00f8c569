"""OpenTelemetry: a span for each request, one for each text it had written, and GenAI's metrics.

Needs the `otel` extra. Where it goes is OpenTelemetry's own business: OTEL_EXPORTER_OTLP_ENDPOINT
and its kin. Names follow the GenAI semantic conventions, which are still in development; no prompt
and no text is ever an attribute.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penstock import __version__
from penstock.api.telemetry.counting import route_of
from penstock.errors import ConfigError
from penstock.serving.observing import Ended, Outcome

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.util.types import AttributeValue

OPERATION = "text_completion"
PROVIDER = "penstock"
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where spans and measurements go. Must be closed, or the last of them are lost."""

    traces: "TracerProvider"
    metrics: "MeterProvider"

    def close(self) -> None:
        """Send what has not been sent; waits for it a few seconds at most."""
        self.traces.shutdown()
        self.metrics.shutdown()


def otlp_telemetry() -> Telemetry:
    """Telemetry that is sent by OTLP over HTTP. Raises `ConfigError` without the `otel` extra."""
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError(
            "OpenTelemetry is not installed.",
            "Run pip install 'penstock[otel]', or set telemetry to off.",
            param="telemetry",
        ) from error
    resource = Resource.create({SERVICE_NAME: "penstock", SERVICE_VERSION: __version__})
    traces = TracerProvider(resource=resource)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    return Telemetry(traces, MeterProvider([reader], resource=resource))


class GenerationSpans:
    """An observer of ended requests: a span and the GenAI server metrics for each."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._tracer = telemetry.traces.get_tracer("penstock", __version__)
        meter = telemetry.metrics.get_meter("penstock", __version__)
        self._duration = meter.create_histogram("gen_ai.server.request.duration", unit="s")
        self._first = meter.create_histogram("gen_ai.server.time_to_first_token", unit="s")
        self._gap = meter.create_histogram("gen_ai.server.time_per_output_token", unit="s")
        self._usage = meter.create_histogram("gen_ai.client.token.usage", unit="{token}")

    def __call__(self, ended: Ended) -> None:
        """Record a request that has ended."""
        labels = _labels(ended)
        self._record(ended, labels)
        end = time.time_ns()
        span = self._tracer.start_span(
            f"{OPERATION} {ended.model_id}",
            attributes=labels | _particulars(ended),
            start_time=end - int(ended.seconds * NANOSECONDS),
        )
        span.end(end)

    def _record(self, ended: Ended, labels: "dict[str, AttributeValue]") -> None:
        self._duration.record(ended.seconds, labels)
        if ended.token_gap_seconds is not None:
            self._gap.record(ended.token_gap_seconds, labels)
        if (finished := ended.finished) is None:
            return
        if finished.num_completion_tokens:
            self._first.record(finished.timings.first_token_seconds, labels)
        usage = {"input": finished.num_prompt_tokens, "output": finished.num_completion_tokens}
        for kind, count in usage.items():
            self._usage.record(count, labels | {"gen_ai.token.type": kind})


def _labels(ended: Ended) -> "dict[str, AttributeValue]":
    labels: dict[str, AttributeValue] = {
        "gen_ai.operation.name": OPERATION,
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": ended.model_id,
    }
    if ended.outcome in (Outcome.CANCELLED, Outcome.FAILED):
        labels["error.type"] = ended.outcome.value
    return labels


def _particulars(ended: Ended) -> "dict[str, AttributeValue]":
    """What belongs to one span and would be too many values for a metric."""
    particulars: dict[str, AttributeValue] = {
        "gen_ai.response.id": ended.request.request_id,
        "gen_ai.request.choice.count": ended.request.num_sequences,
        "penstock.strategy": ended.request.strategy,
    }
    if (finished := ended.finished) is not None:
        particulars["gen_ai.usage.input_tokens"] = finished.num_prompt_tokens
        particulars["gen_ai.usage.output_tokens"] = finished.num_completion_tokens
        particulars["penstock.queue_seconds"] = finished.timings.queue_seconds
        particulars["penstock.first_token_seconds"] = finished.timings.first_token_seconds
    return particulars


class Traced:
    """A server span around each request, a child of whatever the client says it belongs to."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._tracer = telemetry.traces.get_tracer("penstock", __version__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        parent = TraceContextTextMapPropagator().extract(dict(Headers(scope=scope)))
        attributes = {"http.request.method": scope["method"], "url.path": scope["path"]}
        with self._tracer.start_as_current_span(
            scope["method"], context=parent, kind=SpanKind.SERVER, attributes=attributes
        ) as span:

            async def send_noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(Status(StatusCode.ERROR))
                await send(message)

            try:
                await self._app(scope, receive, send_noting)
            finally:
                span.update_name(f"{scope['method']} {route_of(scope)}")
                span.set_attribute("http.route", route_of(scope))
