"""Anthropic's own client, pointed at a server with the built-in model by its address alone."""

from collections.abc import Iterator

import anthropic
import pytest


@pytest.fixture(scope="session")
def client(server_url: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server_url, api_key="none", max_retries=0) as client:
        yield client
