"""Whoever forces words is told which a text lacks, in every dialect, streaming or not."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

CHAT = [{"role": "user", "content": "Hi"}]
OWN: dict[str, Any] = {
    "strategy": "constrained_beam_search",
    "force_words": ["there", ["dragon", "worm"], [4, 5]],
}
ROUTES: dict[str, dict[str, Any]] = {
    "/generate": {"prompt": "Hi", "max_new_tokens": 2, **OWN},
    "/v1/completions": {"prompt": "Hi", "max_tokens": 2, **OWN},
    "/v1/chat/completions": {"messages": CHAT, "max_tokens": 2, **OWN},
    "/v1/responses": {"input": "Hi", "max_output_tokens": 2, **OWN},
    "/v1/messages": {"messages": CHAT, "max_tokens": 2, **OWN},
    "/api/generate": {"prompt": "Hi", "options": {"num_predict": 2, **OWN}},
    "/api/chat": {"messages": CHAT, "options": {"num_predict": 2, **OWN}},
}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("route", ROUTES)
def test_missing_words_are_told(shared_client: TestClient, route: str, streams: bool) -> None:
    model = {"model": "penstock-tiny"}

    response = shared_client.post(route, json={**model, **ROUTES[route], "stream": streams})

    assert response.status_code == 200, response.text
    assert '"missing_words":[1,2]' in response.text.replace(" ", "")
