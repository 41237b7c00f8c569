"""OpenAI's own client of a server with the built-in model, and OpenAI's description of its API."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml

from tests.api.openai.schema import Description

MODEL = "penstock-tiny"
Check = Callable[[Any, str], None]


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
    return Description(_as_the_api_is(document))


def _as_the_api_is(document: dict[str, Any]) -> dict[str, Any]:
    """The description corrected in the places where OpenAI's own answers do not fit it.

    A completion's chunks have no `finish_reason` until the last, and the first token of an echoed
    prompt has no log-probability: both are null.
    """
    document = copy.deepcopy(document)
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
