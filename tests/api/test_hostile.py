"""No value of any field, however odd, is a 5xx, takes long or harms the server.

Every field of every dialect's requests meets every value; the server answers each in words.
"""

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from penstock.api.capabilities import ROUTES, treatments
from penstock.types import NEUTRAL
from tests.api.conftest import connected
from tests.fakes import FakeModels

MODEL = "penstock-tiny"
BASE: dict[str, dict[str, Any]] = {
    "/v1/completions": {"model": MODEL, "prompt": "Once upon", "max_tokens": 2},
    "/v1/chat/completions": {
        "model": MODEL, "messages": [{"role": "user", "content": "Hi."}], "max_tokens": 2,
    },
    "/v1/embeddings": {"model": MODEL, "input": "Once upon"},
    "/v1/responses": {"model": MODEL, "input": "Once upon", "max_output_tokens": 2},
    "/v1/messages": {
        "model": MODEL, "messages": [{"role": "user", "content": "Hi."}], "max_tokens": 2,
    },
    "/v1/messages/count_tokens": {
        "model": MODEL, "messages": [{"role": "user", "content": "Hi."}],
    },
    "/api/generate": {"model": MODEL, "prompt": "Hi.", "options": {"num_predict": 2}},
    "/api/chat": {
        "model": MODEL, "messages": [{"role": "user", "content": "Hi."}],
        "options": {"num_predict": 2},
    },
    "/api/embed": {"model": MODEL, "input": "Hi."},
    "/api/embeddings": {"model": MODEL, "prompt": "Hi."},
}  # fmt: skip
VALUES: list[Any] = [
    None, True, 0, -1, 1e-300, -1e300, 2**63 - 1, 10**30, "", "x", "{{ 7 * 7 }}", "a" * 5000,
    [], [[]], [[[]]], [None], [True], [-1], [2**63], [1.5], [""], [["x"]], ["x"] * 600, [0] * 5000,
    {}, {"": 0}, {"0": "x"}, {"-1": 1}, {"1" * 30: 1}, {str(i): 1 for i in range(2000)},
    {"type": None}, [{"role": "user"}], [{"role": "user", "content": []}], [["x", "y"]],
    [{"role": "user", "content": [{"type": "text"}]}], [[0, 1e308]], [[["x"], 1]], [10**9, 2],
]  # fmt: skip
# Decoding parameters are the same fields everywhere: they are tried in two places.
WHOLE = ("/v1/completions", "/v1/chat/completions")
CASES = [
    (route, t.name)
    for route in ROUTES
    for t in treatments(route)
    if (route in WHOLE or t.name.rpartition(".")[2] not in NEUTRAL)
    and t.name.partition(".")[0] in (t.name, "options")  # others inside: test_hostile_values.py
]


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with connected(FakeModels()) as client:
        yield client


def body_with(route: str, name: str, value: Any) -> dict[str, Any]:
    """The request with this value of a field, which may be one inside another."""
    outer, _, inner = name.partition(".")
    if not inner:
        return BASE[route] | {name: value}
    return BASE[route] | {outer: BASE[route].get(outer, {}) | {inner: value}}


@pytest.mark.parametrize(("route", "name"), CASES, ids=[f"{r[4:]}-{n}" for r, n in CASES])
def test_every_value_of_a_field_is_taken_or_refused_in_words(
    client: TestClient, route: str, name: str
) -> None:
    for value in VALUES:
        started = time.process_time()  # of this process alone, however busy the machine
        response = client.post(route, json=body_with(route, name, value))
        assert time.process_time() - started < 5
        answer = response.text
        assert response.status_code in (200, 400, 404), (value, answer)
        if response.status_code == 400:
            error = response.json()["error"]
            if isinstance(error, str):  # Ollama's shape
                assert 0 < len(error) < 1000, (value, answer)
                continue
            assert error["param"] and len(error["message"]) < 1000, (value, answer)
        elif response.status_code == 404:
            assert name == "model"


def test_pairs_of_hostile_values_do_no_more(client: TestClient) -> None:
    names = ["prompt", "n", "best_of", "max_tokens", "logprobs", "stop", "seed", "logit_bias"]
    hostile = [0, -1, 2**63, 1e300, "", [], {}, [[]], True, None, "x", {"x": 1}, [2**63]]
    for first, second in itertools.combinations(names, 2):
        for one, other in itertools.product(hostile[::2], hostile[1::5]):
            body = BASE["/v1/completions"] | {first: one, second: other}
            response = client.post("/v1/completions", json=body)
            assert response.status_code in (200, 400), (first, one, second, other, response.text)

    assert client.post("/v1/completions", json=BASE["/v1/completions"]).status_code == 200
