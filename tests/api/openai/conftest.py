"""OpenAI's own client of a server with the built-in model, and OpenAI's description of its API."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml

from tests.api.openai.field_effects import BASE, MODEL
from tests.api.openai.schema import Description

__all__ = ["MODEL"]
Check = Callable[[Any, str], None]
Ask = Callable[..., dict[str, Any]]
Answers = dict[str, dict[str, Any]]
# What of an answer does not change from one to the next.
TOLD = ("choices", "data", "output", "metadata", "store", "status", "usage")


@pytest.fixture(scope="session")
def client(server_url: str) -> Iterator[openai.OpenAI]:
    """OpenAI's own client, pointed at the server by its address alone."""
    with openai.OpenAI(base_url=f"{server_url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def description(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Description:
    """OpenAI's description of its API."""
    path = shared_data / "conformance" / "openai" / "openapi.yaml"
    document = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return Description(_mended(document))


def _mended(document: dict[str, Any]) -> dict[str, Any]:
    """The description corrected in the places where OpenAI's own answers do not fit it.

    A completion's chunks have no `finish_reason` until the last, and the first token of an echoed
    prompt has no log-probability: both are null.
    """
    choice = document["components"]["schemas"]["CreateCompletionResponse"]["properties"]["choices"]
    properties = choice["items"]["properties"]
    properties["finish_reason"]["nullable"] = True
    logprobs = properties["logprobs"]["anyOf"][0]["properties"]
    for name in ("token_logprobs", "top_logprobs"):
        logprobs[name]["items"]["nullable"] = True
    document["components"]["schemas"]["CreateCompletionResponse"]["properties"]["usage"] = {
        "nullable": True,  # on all chunks but the last
        "allOf": [{"$ref": "#/components/schemas/CompletionUsage"}],
    }
    return document


@pytest.fixture(scope="session")
def check(description: Description) -> Check:
    """Fails when a response of the client does not fit the schema of that name."""

    def check(response: Any, name: str) -> None:
        value = json.loads(response.to_json(exclude_unset=True))
        assert description.problems(value, name) == []

    return check


@pytest.fixture(scope="module")
def answers() -> Answers:
    """What was answered before: many fields are compared with the same plain request."""
    return {}


@pytest.fixture
def ask(client: openai.OpenAI, answers: Answers) -> Ask:
    """Asks a route with changes to its plain request; what does not change from time to time."""

    def ask(route: str, **changes: Any) -> dict[str, Any]:
        body = {k: v for k, v in (BASE[route] | changes).items() if v is not None}
        key = json.dumps([route, body], sort_keys=True)
        if key not in answers:
            path = route.removeprefix("/v1")
            answer = client.post(path, body=body, cast_to=dict[str, Any])
            answers[key] = told_of(answer)
        return answers[key]

    return ask


def told_of(answer: dict[str, Any]) -> dict[str, Any]:
    """What of an answer is the same each time."""
    told = {name: answer[name] for name in TOLD if name in answer}
    for item in told.get("output", []):
        del item["id"]
        item.pop("call_id", None)
    for choice in told.get("choices", []):
        for call in choice.get("message", {}).get("tool_calls", []):
            del call["id"]
    for name in ("prompt_tokens_details", "input_tokens_details"):  # what others computed before
        told.get("usage", {}).pop(name, None)
    return told
