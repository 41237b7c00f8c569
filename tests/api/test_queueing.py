"""What a client sees of the queue: its place, the time it gave, what was computed before."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from threading import Event
from typing import Any

import pytest
from fastapi.testclient import TestClient

from penstock.engine.engine import Engine
from penstock.serving.local_engine import LocalEngineKit
from tests.api.conftest import Live, connected, listening
from tests.api.reading import DONE, events_of
from tests.api.test_real_engine import CONFIG, TinyModels, WatchedKit
from tests.fakes import FakeModels
from tests.tiny_gpt2 import EOS

PROMPT = "A river ran by the mill, and the miller"
LONG = {"prompt": PROMPT, "max_new_tokens": 150, "strategy": "greedy", "logit_bias": {EOS: -100}}


class NarrowKit(WatchedKit):
    """One sequence at a time."""

    def make_engine(self) -> Engine:
        return Engine(self._model, replace(CONFIG, max_sequences=1))


class NarrowModels(TinyModels):
    def __init__(self) -> None:
        super().__init__()
        self.kit = NarrowKit(self.kit._model)


@pytest.fixture
async def narrow() -> AsyncIterator[Live]:
    async with listening(NarrowModels()) as live:
        yield live


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    models = TinyModels()
    models.kit = LocalEngineKit(models.kit._model, CONFIG)
    models.may_load = Event()
    models.may_load.set()
    with connected(models) as client:
        yield client


async def test_who_waits_is_told_its_place_before_the_text_begins(narrow: Live) -> None:
    answers = await asyncio.gather(
        *(narrow.http.post("/generate", json=LONG | {"stream": True}) for _ in range(3))
    )

    streams = [events_of(answer.text) for answer in answers]
    kinds = [[e["event"] for e in events if e != DONE] for events in streams]
    first, *others = sorted(streams, key=lambda events: events[0]["event"])
    assert first[0]["event"] == "start"
    assert {events[0]["position"] for events in others} == {1, 2}
    for events in kinds:
        assert events.index("start") == events.count("waiting"), "no place after the start"


async def test_a_client_that_knows_nothing_of_places_is_told_nothing(narrow: Live) -> None:
    body = {"model": "tiny", "prompt": PROMPT, "max_tokens": 20, "stream": True}

    answers = await asyncio.gather(
        *(narrow.http.post("/v1/completions", json=body) for _ in range(3))
    )

    for answer in answers:
        assert {e["object"] for e in events_of(answer.text) if e != DONE} == {"text_completion"}


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/generate", {"prompt": PROMPT}, ["sequences", 0, "finish_reason", "time"]),
        ("/compare", {"prompt": PROMPT, "columns": [{}]},
         ["columns", 0, "sequences", 0, "finish_reason", "time"]),
        ("/v1/completions", {"model": "tiny", "prompt": PROMPT},
         ["choices", 0, "finish_reason", "length"]),
        ("/v1/messages", {"model": "tiny", "max_tokens": 9,
                          "messages": [{"role": "user", "content": "Hi"}]},
         ["stop_reason", "max_tokens"]),
        ("/api/generate", {"model": "tiny", "prompt": PROMPT, "raw": True, "stream": False},
         ["done_reason", "length"]),
    ],
)  # fmt: skip
def test_a_text_ends_when_its_time_is_up_in_the_words_of_each_dialect(
    client: TestClient, path: str, body: dict[str, Any], reason: list[Any]
) -> None:
    time = {"max_time": 0.001}

    answer = client.post(path, json=body | ({"options": time} if path == "/api/generate" else time))

    assert answer.status_code == 200, answer.text
    found = answer.json()
    for key in reason[:-1]:
        found = found[key]
    assert found == reason[-1]


@pytest.mark.parametrize(("path", "status"), [("/generate", 422), ("/v1/completions", 400)])
@pytest.mark.parametrize("max_time", [0, -1, 1e9, "5"])
def test_a_time_out_of_range_is_refused_by_name(
    client: TestClient, path: str, status: int, max_time: object
) -> None:
    body = {"model": "tiny", "prompt": PROMPT, "max_time": max_time}

    refused = client.post(path, json=body)

    assert (refused.status_code, refused.json()["error"]["param"]) == (status, "max_time")


def test_usage_tells_what_was_computed_before(client: TestClient) -> None:
    body = {"model": "tiny", "prompt": "x" * 41, "max_tokens": 2}
    first, second = (client.post("/v1/completions", json=body).json()["usage"] for _ in range(2))
    own = client.post("/generate", json={"prompt": "x" * 41, "max_new_tokens": 2}).json()["usage"]

    assert first["prompt_tokens_details"]["cached_tokens"] == 0
    assert second["prompt_tokens_details"]["cached_tokens"] == 40
    assert own["cached_tokens"] == 40


async def test_a_request_belongs_to_the_address_it_came_from() -> None:
    models = FakeModels()
    async with listening(models) as live:
        await live.http.post("/compare", json={"prompt": "x", "columns": [{}, {}]})

    requests = models.kits["penstock-tiny"].engine.taken
    assert [request.tenant for request in requests] == ["127.0.0.1"] * 2
