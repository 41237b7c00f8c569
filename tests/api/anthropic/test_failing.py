"""A message whose engine fails says so, in Anthropic's shape, before the stream and within it."""

import json

from fastapi.testclient import TestClient

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
