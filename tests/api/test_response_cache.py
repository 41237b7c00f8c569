"""The cache through the API: the same text in every dialect, shown as such, and off where asked."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from penstock.settings import Settings
from tests.api.conftest import connected
from tests.api.real_server import serving
from tests.fakes import FakeEngine, FakeModels
from tests.scale.brokers import REDIS
from tests.scale.brokers import connected as redis_connected

HEADER = "x-penstock-cache"
GENERATE = {"prompt": "a mill", "seed": 1, "max_new_tokens": 6}
COMPLETION = {"model": "penstock-tiny", "prompt": "a mill", "temperature": 0, "max_tokens": 6}
CHAT = {
    "model": "penstock-tiny",
    "messages": [{"role": "user", "content": "hello"}],
    "seed": 5,
    "max_tokens": 6,
}
MESSAGE = {
    "model": "penstock-tiny",
    "messages": [{"role": "user", "content": "hello"}],
    "max_tokens": 6,
    "temperature": 0,
}
OLLAMA = {"model": "penstock-tiny", "prompt": "hi", "options": {"seed": 1, "num_predict": 6}}
ASKED = {
    "/generate": GENERATE,
    "/v1/completions": COMPLETION,
    "/v1/chat/completions": CHAT,
    "/v1/messages": MESSAGE,
    "/api/generate": OLLAMA | {"stream": False},
}


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def cached_client(engine: FakeEngine, tmp_path: Path) -> Iterator[TestClient]:
    with connected(FakeModels(lambda: engine), Settings(data_dir=tmp_path)) as client:
        yield client


def texts_of(answer: Any) -> list[str]:
    """All texts anywhere in an answer, but for ids and what is told of time."""
    if isinstance(answer, dict):
        skipped = {"id", "created", "created_at", "timings", "receipt", "receipts"}
        return [t for k, v in answer.items() if k not in skipped for t in texts_of(v)]
    if isinstance(answer, list):
        return [text for entry in answer for text in texts_of(entry)]
    return [answer] if isinstance(answer, str) else []


@pytest.mark.parametrize("path", ASKED)
def test_the_second_answer_is_the_first_and_says_that_it_is(
    cached_client: TestClient, engine: FakeEngine, path: str
) -> None:
    first = cached_client.post(path, json=ASKED[path])
    num_steps = engine.num_steps
    second = cached_client.post(path, json=ASKED[path])

    assert first.status_code == 200, first.text
    assert (first.headers[HEADER], second.headers[HEADER]) == ("miss", "hit")
    assert texts_of(second.json()) == texts_of(first.json())
    assert engine.num_steps == num_steps


def streamed_text(client: TestClient, path: str, body: dict[str, Any]) -> tuple[str, int, str]:
    """The text of a stream, in how many pieces it came, and what the header says."""
    response = client.post(path, json=body | {"stream": True})
    events = [
        json.loads(line.removeprefix("data: "))
        for line in response.text.splitlines()
        if line.startswith("data: {")
    ]
    if path == "/generate":
        pieces = [event["text"] for event in events if event["event"] == "token"]
    else:
        pieces = [event["choices"][0]["text"] for event in events if event["choices"][0]["text"]]
    return "".join(pieces), len(pieces), response.headers[HEADER]


@pytest.mark.parametrize(
    ("path", "body"), [("/generate", GENERATE), ("/v1/completions", COMPLETION)]
)
def test_a_stream_is_repeated_as_a_stream_whichever_way_it_was_asked_first(
    cached_client: TestClient, path: str, body: dict[str, Any]
) -> None:
    whole = cached_client.post(path, json=body).json()
    text, num_pieces, told = streamed_text(cached_client, path, body)
    other = body | {"prompt": "a river"}
    fresh = streamed_text(cached_client, path, other)

    assert (num_pieces, told) == (6, "hit")
    assert text in json.dumps(whole, ensure_ascii=False)
    assert streamed_text(cached_client, path, other) == (*fresh[:2], "hit")
    assert fresh[2] == "miss"


def test_answer_and_receipt_tell_of_it_and_a_replay_computes(
    cached_client: TestClient, engine: FakeEngine
) -> None:
    first = cached_client.post("/generate", json=GENERATE).json()
    again = cached_client.post("/generate", json=GENERATE).json()
    receipt = cached_client.get(f"/receipts/{again['receipt']}").json()
    completions = [cached_client.post("/v1/completions", json=COMPLETION).json() for _ in "ab"]
    num_steps = engine.num_steps
    replay = cached_client.post(f"/replay/{again['receipt']}")

    assert "cached" not in first and again["cached"] is True
    assert receipt["cached"] is True
    assert [answer.get("cached") for answer in completions] == [None, True]
    assert again["receipt"] == first["receipt"]
    assert again["usage"]["cached_tokens"] == again["usage"]["prompt_tokens"]
    assert replay.json()["is_same"] and HEADER not in replay.headers
    assert engine.num_steps > num_steps


def test_who_asks_decides_whether_an_earlier_answer_will_do(cached_client: TestClient) -> None:
    def told(wish: str) -> str | None:
        headers = {"Cache-Control": wish} if wish else {}
        response = cached_client.post("/generate", json=GENERATE, headers=headers)
        return response.headers.get(HEADER)

    assert told("no-store") is None
    assert told("") == "miss", "what was not to be stored was"
    assert told("no-cache") is None
    assert told("") == "hit"


def test_a_server_without_a_cache_computes_each_time(engine: FakeEngine, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, cache_mib=0)
    with connected(FakeModels(lambda: engine), settings) as client:
        answers = [client.post("/generate", json=GENERATE) for _ in "ab"]

    assert [HEADER in answer.headers for answer in answers] == [False, False]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": None},
        {"prompt": "EXPLODE"},
        {"regex": "a+"},
        {"max_time": 0.001, "max_new_tokens": 400},
    ],
    ids=["unseeded", "failed", "constrained", "cut off"],
)
def test_what_may_come_out_otherwise_is_never_a_hit(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    with connected(FakeModels(), Settings(data_dir=tmp_path)) as client:
        told = [
            client.post("/generate", json=GENERATE | changes).headers.get(HEADER) for _ in "abc"
        ]

    if "max_time" not in changes:  # the fake engine minds no time; the rule has a test of its own
        assert "hit" not in told


def test_two_servers_share_answers_through_redis(tmp_path: Path) -> None:
    with redis_connected():
        settings = Settings(data_dir=tmp_path, cache_url=REDIS)
        body = GENERATE | {"prompt": str(tmp_path)}
        told = []
        for _ in "ab":
            with connected(FakeModels(), settings) as client:
                answer = client.post("/generate", json=body)
                told.append((answer.headers[HEADER], answer.json()["generated_text"]))

    assert told[1] == ("hit", told[0][1])
    assert told[0][0] == "miss"


STRATEGIES = [
    {"strategy": "greedy"},
    {"strategy": "beam_search", "num_beams": 3, "num_return_sequences": 2},
    {"strategy": "sampling", "seed": 7, "num_return_sequences": 2, "logprobs": 2},
    {"strategy": "contrastive_search"},
]


def test_a_kept_text_is_the_text_that_would_be_computed(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, threads=1)
    with serving(settings) as url, httpx2.Client(base_url=url, timeout=60) as client:
        for asked in STRATEGIES:
            body = asked | {"prompt": "Once upon a time", "max_new_tokens": 12}
            answers = [
                client.post("/generate", json=body, headers=headers)
                for headers in ({}, {}, {"Cache-Control": "no-cache"})
            ]
            sequences = [answer.json()["sequences"] for answer in answers]

            told = [answer.headers.get(HEADER) for answer in answers]
            assert told == ["miss", "hit", None], asked
            assert sequences[0] == sequences[1] == sequences[2], asked
