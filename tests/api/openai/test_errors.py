"""Whatever goes wrong under `/v1`, OpenAI's client gets OpenAI's error object, and can raise it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from fastapi.testclient import TestClient

from penstock.settings import Settings
from tests.api.conftest import connected
from tests.api.openai.conftest import MODEL
from tests.fakes import FakeModels

CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hi."}]}
COMPLETION: dict[str, Any] = {"model": MODEL, "prompt": "Hi.", "max_tokens": 3}
REFUSED: list[tuple[str, dict[str, Any], str | None]] = [
    ("/v1/completions", {}, "model"),
    ("/v1/completions", {"model": MODEL}, "prompt"),
    ("/v1/completions", COMPLETION | {"prompt": ""}, "prompt"),
    ("/v1/completions", COMPLETION | {"prompt": None}, "prompt"),
    ("/v1/completions", COMPLETION | {"prompt": []}, "prompt"),
    ("/v1/completions", COMPLETION | {"prompt": [[]]}, "prompt"),
    ("/v1/completions", COMPLETION | {"prompt": ["a", [1]]} | {"n": 0}, "n"),
    ("/v1/completions", COMPLETION | {"prompt": [1.5]}, "prompt"),
    ("/v1/completions", COMPLETION | {"prompt": [True]}, "prompt"),
    ("/v1/completions", COMPLETION | {"prompt": [4096]}, "prompt"),
    ("/v1/completions", COMPLETION | {"prompt": [-1]}, "prompt"),
    ("/v1/completions", COMPLETION | {"prompt": ["x"] * 17}, "prompt"),
    ("/v1/completions", COMPLETION | {"prompt": "nul \0"}, "prompt"),
    ("/v1/completions", COMPLETION | {"max_tokens": -1}, "max_tokens"),
    ("/v1/completions", COMPLETION | {"max_tokens": "3"}, "max_tokens"),
    ("/v1/completions", COMPLETION | {"max_tokens": 513}, "max_tokens"),
    ("/v1/completions", COMPLETION | {"temperature": 2.1}, "temperature"),
    ("/v1/completions", COMPLETION | {"n": 9}, "n"),
    ("/v1/completions", COMPLETION | {"n": 2, "strategy": "greedy"}, "n"),
    ("/v1/completions", COMPLETION | {"n": 2, "best_of": 1}, "best_of"),
    ("/v1/completions", COMPLETION | {"best_of": 2, "stream": True}, "best_of"),
    ("/v1/completions", COMPLETION | {"logprobs": 101}, "logprobs"),
    ("/v1/completions", COMPLETION | {"stop": ["a", "b", "c", "d", "e"]}, "stop"),
    ("/v1/completions", COMPLETION | {"stop": ""}, "stop.0"),
    ("/v1/completions", COMPLETION | {"logit_bias": {"1": 101}}, "logit_bias"),
    ("/v1/completions", COMPLETION | {"stream_options": {}}, "stream_options"),
    ("/v1/completions", COMPLETION | {"stream": True, "stream_options": {"x": 1}},
     "stream_options.x"),
    ("/v1/completions", COMPLETION | {"num_beams": 4}, "num_beams"),
    ("/v1/completions", COMPLETION | {"strategy": "none"}, "strategy"),
    ("/v1/completions", COMPLETION | {"min_new_tokens": 4}, "min_new_tokens"),
    ("/v1/completions", COMPLETION | {"unheard_of": 1}, "unheard_of"),
    ("/v1/chat/completions", {"model": MODEL}, "messages"),
    ("/v1/chat/completions", CHAT | {"messages": []}, "messages"),
    ("/v1/chat/completions", CHAT | {"messages": [{"role": "user"}]}, "messages.0.content"),
    ("/v1/chat/completions", CHAT | {"messages": [{"role": "function", "content": "x"}]},
     "messages.0.role"),
    ("/v1/chat/completions",
     CHAT | {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
     "messages.0.content"),
    ("/v1/chat/completions", CHAT | {"top_logprobs": 2}, "top_logprobs"),
    ("/v1/chat/completions", CHAT | {"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ("/v1/chat/completions", CHAT | {"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens"),
    ("/v1/chat/completions", CHAT | {"max_completion_tokens": 0}, "max_completion_tokens"),
    ("/v1/chat/completions", CHAT | {"chat_template_kwargs": {}}, "chat_template_kwargs"),
]  # fmt: skip


@pytest.fixture
def http(server_url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server_url) as http:
        yield http


@pytest.fixture(scope="module")
def fake() -> Iterator[TestClient]:
    """A server over an engine that can be made to fail, with little room."""
    settings = Settings.model_validate({"limits": {"max_in_flight": 4}})
    with connected(FakeModels(), settings) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "body", "param"), REFUSED, ids=[str(i) for i in range(len(REFUSED))]
)
def test_what_cannot_be_honoured_is_a_400_that_names_the_field(
    http: httpx2.Client, path: str, body: dict[str, Any], param: str | None
) -> None:
    response = http.post(path, json=body)

    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["message"] and response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("POST", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/models/nobody", 404, "model_not_found"),
    ],
)
def test_every_status_has_the_error_object(
    http: httpx2.Client, method: str, path: str, status: int, code: str
) -> None:
    response = http.request(method, path)

    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("content", "media", "status", "code"),
    [
        (b"{", "application/json", 400, "bad_request"),
        (b"[" * 100, "application/json", 400, "bad_request"),
        (b"[]", "application/json", 400, "invalid_parameter"),
        (b'{"model": NaN}', "application/json", 400, "invalid_parameter"),
        (b"x=1", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b" " * (3 << 20), "application/json", 413, "request_too_large"),
    ],
)
def test_a_body_that_cannot_be_read_has_the_error_object(
    http: httpx2.Client, content: bytes, media: str, status: int, code: str
) -> None:
    response = http.post("/v1/completions", content=content, headers={"content-type": media})

    assert response.status_code == status
    assert response.json()["error"]["code"] == code


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "true", '"1"', "[]"])
def test_a_number_that_is_none_is_refused(http: httpx2.Client, value: str) -> None:
    body = json.dumps(COMPLETION)[:-1] + f', "temperature": {value}}}'

    response = http.post(
        "/v1/completions", content=body, headers={"content-type": "application/json"}
    )

    assert response.status_code == 400
    assert response.json()["error"]["param"] == "temperature"


def test_an_error_in_the_middle_of_a_stream_is_an_event_and_no_done(fake: TestClient) -> None:
    for path, body in (
        ("/v1/completions", COMPLETION | {"prompt": ["fine", "EXPLODE"]}),
        ("/v1/completions", COMPLETION | {"prompt": "EXPLODE"}),
    ):
        response = fake.post(path, json={**body, "stream": True})

        assert response.status_code == 200
        events = [e for e in response.text.split("\n\n") if e]
        error = json.loads(events[-1].removeprefix("data: "))["error"]
        assert (error["type"], error["code"]) == ("server_error", "engine_failed")
        assert "[DONE]" not in response.text
        assert fake.post(path, json={**body, "prompt": "fine"}).status_code == 200


def test_an_error_of_one_prompt_is_the_answer_and_leaves_no_place_taken(fake: TestClient) -> None:
    for _ in range(3):
        response = fake.post("/v1/completions", json=COMPLETION | {"prompt": ["fine", "EXPLODE"]})
        assert response.status_code == 500
        assert response.json()["error"]["code"] == "engine_failed"
    too_long = COMPLETION | {"prompt": ["fine", "x " * 600]}
    assert fake.post("/v1/completions", json=too_long).status_code == 400
    assert fake.post("/v1/completions", json=COMPLETION | {"n": 4}).status_code == 200


def test_more_than_there_is_room_for_is_refused_at_once(fake: TestClient) -> None:
    response = fake.post("/v1/completions", json=COMPLETION | {"prompt": ["a", "b", "c"], "n": 2})

    assert response.status_code == 400
    assert response.json()["error"]["param"] == "n"


@pytest.mark.parametrize("stream", [False, True])
def test_the_client_raises_its_own_classes(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(**COMPLETION, n=9, stream=stream)  # type: ignore[call-overload]
    with pytest.raises(openai.NotFoundError):
        client.completions.create(**(COMPLETION | {"model": "nobody"}), stream=stream)  # type: ignore[call-overload]

    assert (refused.value.param, refused.value.type) == ("n", "invalid_request_error")
    assert refused.value.request_id
