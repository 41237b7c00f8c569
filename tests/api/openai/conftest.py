"""A server with the built-in model on a real socket, OpenAI's own client, and its description."""

import contextlib
import copy
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import uvicorn
import yaml

from penstock.api.app import create_app
from penstock.api.server import build_services, loading_options
from penstock.serving.local_models import LocalModels
from penstock.settings import Settings
from tests.api.conftest import EDGE
from tests.api.openai.schema import Description

MODEL = "penstock-tiny"
Check = Callable[[Any, str], None]


class ServerThread(threading.Thread):
    """The application on a thread of its own, so that a blocking client can be tested."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        source = LocalModels(settings.preload, loading_options(settings))
        app = create_app(build_services(settings, source), EDGE)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def run(self) -> None:
        self.server.run(sockets=[self.listener])

    def stop(self) -> None:
        self.server.should_exit = True
        self.join(20)
        self.listener.close()


@contextlib.contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """The address of a server with these settings."""
    thread = ServerThread(settings)
    thread.start()
    deadline = time.monotonic() + 60
    while not thread.server.started:
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.01)
    yield thread.url
    thread.stop()


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The address of a server with the built-in model."""
    with serving(Settings()) as url:
        yield url


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
