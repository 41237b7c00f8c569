"""Ollama's own client, pointed at a server with the built-in model by its address alone."""

import contextlib
from collections.abc import Iterator

import ollama
import pytest


@pytest.fixture(scope="session")
def client(server_url: str) -> Iterator[ollama.Client]:
    with contextlib.closing(ollama.Client(host=server_url, timeout=120)) as client:
        yield client
