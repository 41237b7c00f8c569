"""Over a real socket: who leaves frees the place, who does not read holds up nobody."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.api.conftest import Live, listening
from tests.api.reading import DONE, events_of
from tests.fakes import FakeEngine, FakeModels, fake_text

STEP_SECONDS = 0.005
LONG = {"prompt": "Once upon a time", "max_new_tokens": 500}
WITHIN_SECONDS = 5.0  # generous: other tests run beside these


async def until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def posted(
    live: Live, path: str, body: dict[str, Any], **more: Any
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection on which the request has been sent."""
    content = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", live.port, **more)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    await writer.drain()
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def running(models: FakeModels) -> int:
    return sum(len(kit.engine.running) for kit in models.kits.values() if kit.engines)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["/generate", "/compare"])
@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_a_client_that_leaves_ends_its_requests_within_a_step(
    stream: bool, path: str, http: str
) -> None:
    models = FakeModels(lambda: FakeEngine(step_seconds=STEP_SECONDS))
    columns = {"columns": [{"strategy": "greedy"}, {"model": "other"}]}
    body = {**LONG, "stream": stream, **(columns if path == "/compare" else {})}
    async with listening(models, http=http) as live:
        async with posted(live, path, body):
            await until(lambda: running(models) == (2 if path == "/compare" else 1))
            engine = models.kits["penstock-tiny"].engine
            await until(lambda: engine.num_steps > 3)

        await until(lambda: running(models) == 0)

        assert engine.num_steps < 400
        await until(lambda: live.services.admission.num_in_flight == 0)


async def test_a_client_that_leaves_while_the_model_loads_gives_its_place_back(
    live: tuple[Live, FakeModels],
) -> None:
    server, models = live
    models.may_load.clear()
    async with posted(server, "/generate", {**LONG, "model": "other"}):
        await until(lambda: server.services.admission.num_in_flight == 1)

    await until(lambda: server.services.admission.num_in_flight == 0)
    models.may_load.set()

    answer = await server.http.post("/generate", json={"prompt": "x", "model": "other"})
    assert answer.status_code == 200
    assert len(models.kits["other"].engines) == 1


async def test_forty_clients_of_whom_half_leave_do_not_disturb_the_others(
    live: tuple[Live, FakeModels],
) -> None:
    server, models = live

    async def stay(number: int) -> str:
        body = {"prompt": f"p {number}", "max_new_tokens": 20 + number, "stream": True}
        return (await server.http.post("/generate", json=body)).text

    async def leave() -> None:
        async with posted(server, "/generate", {**LONG, "stream": True}) as (reader, _):
            await reader.readuntil(b'"token"')

    stayed, _ = await asyncio.gather(
        asyncio.gather(*(stay(number) for number in range(20))),
        asyncio.gather(*(leave() for _ in range(20))),
    )

    for number, text in enumerate(stayed):
        events = events_of(text)
        assert events[-1] == DONE
        assert events[-2]["sequences"][0]["text"] == fake_text(20 + number)
    await until(lambda: running(models) == 0)
    assert server.services.admission.num_in_flight == 0


async def test_a_client_that_does_not_read_holds_up_nobody(live: tuple[Live, FakeModels]) -> None:
    server, models = live
    flood = {**LONG, "logprobs": 20, "num_return_sequences": 8, "stream": True}
    async with posted(server, "/generate", flood, limit=1024):
        await until(lambda: running(models) == 1)

        answer = await server.http.post("/generate", json={"prompt": "x", "max_new_tokens": 50})

        assert answer.json()["sequences"][0]["text"] == fake_text(50)
    await until(lambda: running(models) == 0)
    await until(lambda: server.services.admission.num_in_flight == 0)


async def test_requests_over_the_limit_are_refused_at_once_with_retry_after(
    live: tuple[Live, FakeModels],
) -> None:
    server, _ = live
    wide = {**LONG, "num_return_sequences": 8}
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(16):
            await stack.enter_async_context(posted(server, "/generate", wide))
        await until(lambda: server.services.admission.num_in_flight == 128)

        refused = await server.http.post("/generate", json={"prompt": "x"})
        health = await server.http.get("/health")

        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "2"
        assert refused.json()["error"] == {
            "message": "The server is at its limit of 128 texts at once. "
            "Send the request again in a moment.",
            "type": "service_unavailable_error",
            "param": None,
            "code": "server_is_overloaded",
        }
        assert health.json()["status"] == "healthy"
    await until(lambda: server.services.admission.num_in_flight == 0)

    assert (await server.http.post("/generate", json={"prompt": "x"})).status_code == 200
