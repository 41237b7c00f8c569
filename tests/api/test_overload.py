"""What is too much is refused at once, before anything is done for it; the rest is served."""

import asyncio
import re
from collections import Counter

import pytest

from penstock.api.door import GENERATING
from penstock.settings import Settings
from tests.api.conftest import listening
from tests.api.test_disconnect import until
from tests.fakes import FakeModels

LIMITS = {"max_in_flight": 4, "max_waiting_tokens": 60}
BODY = {"prompt": "Once upon a time", "max_new_tokens": 3}


async def test_ten_times_the_load_gets_the_same_done_and_the_rest_is_refused_at_once() -> None:
    models = FakeModels()
    settings = Settings.model_validate({"limits": LIMITS | {"max_waiting_tokens": 10_000}})
    async with listening(models, settings=settings) as server:
        engine = models.kits["penstock-tiny"].engine
        engine.may_step.clear()
        asking = [asyncio.create_task(server.http.post("/generate", json=BODY)) for _ in range(40)]
        await until(lambda: sum(task.done() for task in asking) == 36)
        refused = [task.result() for task in asking if task.done()]
        engine.may_step.set()
        answers = await asyncio.gather(*asking)

    assert Counter(a.status_code for a in answers) == {200: 4, 503: 36}
    assert all(r.status_code == 503 and r.headers["retry-after"] for r in refused)
    assert all(r.json()["error"]["code"] == "server_is_overloaded" for r in refused)
    assert len(engine.cancelled) == 0
    assert server.services.admission.num_in_flight == 0
    assert server.services.admission.num_waiting_tokens == 0


@pytest.mark.parametrize("path", GENERATING)
async def test_a_full_server_refuses_unread_and_counts_it_as_the_route_s(path: str) -> None:
    async with listening(FakeModels()) as server:
        admission = server.services.admission
        admission.enter(admission.max_in_flight)

        refused = await server.http.post(path, content=b"{ no JSON")

        told = (await server.http.get("/metrics")).text
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert "at its limit of" in refused.text
    assert re.search(rf'http_request_seconds_count{{.*route="{path}",status="503".*}} 1.0', told)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/generate", {"prompt": "x " * 90}),
        ("/v1/completions", {"model": "penstock-tiny", "prompt": "x " * 90}),
        (
            "/v1/chat/completions",
            {"model": "penstock-tiny", "messages": [{"role": "user", "content": "x " * 90}]},
        ),
        ("/v1/embeddings", {"model": "penstock-tiny", "input": "x " * 90}),
        ("/api/generate", {"model": "penstock-tiny", "prompt": "x " * 90}),
        ("/compare", {"prompt": "x " * 90, "columns": [{}]}),
    ],
)
async def test_a_prompt_for_which_there_is_no_room_to_wait_is_refused_unread(
    path: str, field: dict[str, object]
) -> None:
    models = FakeModels()
    async with listening(models, settings=Settings.model_validate({"limits": LIMITS})) as server:
        kit = models.kits["penstock-tiny"]
        kit.engine.may_step.clear()
        waiting = asyncio.create_task(server.http.post("/generate", json=BODY))
        await until(lambda: server.services.admission.num_waiting_tokens > 0)

        refused = await server.http.post(path, json=field)

        kit.engine.may_step.set()
        assert (await waiting).status_code == 200
        assert server.services.admission.num_waiting_tokens == 0
        assert (await server.http.post(path, json=field)).status_code == 200
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert "wait to be read" in refused.text
