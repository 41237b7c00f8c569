"""Spans and measurements as OpenTelemetry gets them, kept in memory instead of sent."""

from dataclasses import replace

from fastapi.testclient import TestClient
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from penstock.api.app import create_app
from penstock.api.building import build_services
from penstock.api.telemetry.tracing import GenerationSpans, Telemetry
from penstock.serving.router import Router
from penstock.settings import Settings
from tests.api.real_server import EDGE
from tests.fakes import FakeModels

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


def test_a_request_is_a_span_with_its_text_below_it_under_the_clients_own_trace() -> None:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    traces = TracerProvider()
    traces.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry = Telemetry(traces, MeterProvider([reader]))
    services = build_services(Settings(), FakeModels())
    router = Router(services.lifecycle, services.admission, observers=[GenerationSpans(telemetry)])
    app = create_app(replace(services, router=router, telemetry=telemetry), EDGE)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        answer = client.post(
            "/generate",
            json={"prompt": "there was a secret miller", "max_new_tokens": 5},
            headers={"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"},
        )
        assert answer.status_code == 200
        # its metrics must be read before the server closes them
        told = reader.get_metrics_data()

    spans = {span.name.split()[0]: span for span in exporter.get_finished_spans()}
    text, request = spans["text_completion"], spans["POST"]
    assert request.name == "POST /generate"
    assert format(request.context.trace_id, "032x") == TRACE_ID
    assert text.parent is not None
    assert text.parent.span_id == request.context.span_id
    assert text.attributes is not None
    assert text.attributes["gen_ai.usage.output_tokens"] == 5
    assert not any(
        "miller" in str(value) for s in spans.values() for value in s.attributes.values()
    )
    names = {
        metric.name
        for resource in told.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert {
        "gen_ai.server.request.duration",
        "gen_ai.server.time_to_first_token",
        "gen_ai.server.time_per_output_token",
        "gen_ai.client.token.usage",
    } <= names
