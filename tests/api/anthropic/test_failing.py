"""A message whose engine fails says so, in Anthropic's shape, before the stream and within it."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx2
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.routing import Route

from penstock.api.anthropic.routing import FRAMING
from penstock.api.sse import Event, EventStream, Patience
from tests.api.conftest import connected
from tests.fakes import FakeModels


def ask(client: TestClient, **changes: object) -> str:
    body = {
        "model": "penstock-tiny",
        "messages": [{"role": "user", "content": "Hi."}],
        "max_tokens": 4,
        **changes,
    }
    return client.post("/v1/messages", json=body).text


def test_a_failure_in_a_stream_is_an_error_event_and_the_last() -> None:
    models = FakeModels()
    with connected(models) as client:
        models.kits["penstock-tiny"].engine.fail_on = "("  # token ids, as a prompt is sent
        events = ask(client, stream=True).strip().split("\n\n")

    name, data = events[-1].split("\n")
    said = json.loads(data.removeprefix("data: "))
    assert name == "event: error" and said["type"] == "error"
    assert said["error"]["type"] == "api_error"


def test_a_failure_of_a_whole_message_is_a_500_in_the_same_shape() -> None:
    models = FakeModels()
    with connected(models) as client:
        models.kits["penstock-tiny"].engine.fail_on = "("
        said = json.loads(ask(client))

    assert said["type"] == "error" and said["error"]["type"] == "api_error"


async def test_a_stream_that_has_to_wait_sends_events_of_type_ping() -> None:
    async def slowly() -> AsyncIterator[list[Event]]:
        await asyncio.sleep(0.2)
        yield [{"type": "message_stop"}]

    stream = EventStream(
        slowly(), on_close=lambda: None, framing=FRAMING, patience=Patience(ping_seconds=0.05)
    )
    app = Starlette(routes=[Route("/", lambda _: stream)])
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        events = (await client.get("/")).text.strip().split("\n\n")

    assert set(events[:-1]) == {'event: ping\ndata: {"type":"ping"}'} and len(events) > 1
    assert events[-1].startswith("event: message_stop")
