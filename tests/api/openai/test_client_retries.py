"""What OpenAI's own client does of itself: it asks again when it is told to, and it hangs up."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from penstock.accounts.principal import Role
from penstock.accounts.registration import Wanted
from penstock.accounts.signing_in import Visitor
from penstock.settings import Settings
from tests.api.conftest import Live, listening
from tests.api.openai.field_effects import BASE, MODEL
from tests.api.openai.modes import method
from tests.api.openai.test_client_modes import ROUTES, STREAMED, body
from tests.api.test_disconnect import running, until
from tests.fakes import FakeEngine, FakeModels

LONG = {"prompt": "Once upon a time", "max_new_tokens": 500}
PASSWORD = "seven grey herons at dusk"
PATIENCE = (0.3, 1.0, 4.0, 16.0)  # seconds; a busy machine takes longer to begin

LONGEST: dict[str, dict[str, Any]] = {
    "/v1/completions": {"max_tokens": 500},
    "/v1/chat/completions": {"max_completion_tokens": 480},
    "/v1/responses": {"max_output_tokens": 480},
}


class Watched:
    """A client, the answers that it got, and when it asked."""

    def __init__(self, live: Live, *, api_key: str = "none", **options: Any) -> None:
        self.statuses: list[int] = []
        self.retries: list[str] = []
        self.asked_at: list[float] = []
        self.on_answer: Callable[[], None] = lambda: None
        hooks = {"request": [self._asked], "response": [self._answered]}
        self.client = openai.AsyncOpenAI(
            base_url=f"http://127.0.0.1:{live.port}/v1", api_key=api_key,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks=hooks), **options,
        )  # fmt: skip

    async def __aenter__(self) -> "Watched":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()

    async def _asked(self, request: httpx2.Request) -> None:
        self.asked_at.append(time.monotonic())
        self.retries.append(request.headers["x-stainless-retry-count"])

    async def _answered(self, response: httpx2.Response) -> None:
        self.statuses.append(response.status_code)
        self.on_answer()


async def test_who_is_told_that_the_server_is_full_asks_again_and_is_answered() -> None:
    models = FakeModels()
    settings = Settings.model_validate({"limits": {"max_in_flight": len(ROUTES)}, "cache_mib": 0})
    async with listening(models, settings=settings) as live:
        engine = models.kits[MODEL].engine
        engine.may_step.clear()
        holding = [asyncio.create_task(live.http.post("/generate", json=LONG)) for _ in ROUTES]
        await until(lambda: live.services.admission.num_in_flight == len(ROUTES))
        async with contextlib.AsyncExitStack() as stack:
            clients = {
                route: await stack.enter_async_context(Watched(live, max_retries=9))
                for route in ROUTES
            }

            def let_go() -> None:
                if all(503 in watched.statuses for watched in clients.values()):
                    engine.may_step.set()

            for watched in clients.values():
                watched.on_answer = let_go
            asking = [method(w.client, ROUTES[r][0]).create(**body(r)) for r, w in clients.items()]
            await asyncio.gather(*asking, *holding)

    for watched in clients.values():
        assert watched.statuses[-1] == 200 and set(watched.statuses[:-1]) == {503}
        assert watched.retries == [str(number) for number in range(len(watched.statuses))]
        assert min(b - a for a, b in pairwise(watched.asked_at)) >= 2  # as Retry-After says


async def test_who_has_too_many_requests_under_way_asks_again_and_is_answered(
    tmp_path: Path,
) -> None:
    models = FakeModels()
    settings = Settings.model_validate({"auth": "required", "data_dir": tmp_path, "cache_mib": 0})
    async with listening(models, settings=settings) as live:
        key = await limited_key(live, max_streams=1)
        engine = models.kits[MODEL].engine
        engine.may_step.clear()
        async with Watched(live, api_key=key) as first, Watched(live, api_key=key) as second:
            holding = asyncio.create_task(
                first.client.completions.create(**BASE["/v1/completions"])
            )
            await until(lambda: live.services.admission.num_in_flight == 1)
            second.on_answer = engine.may_step.set

            await second.client.completions.create(**BASE["/v1/completions"])
            await holding

    assert first.statuses == [200]
    assert second.statuses[0] == 429 and second.statuses[-1] == 200
    assert second.asked_at[1] - second.asked_at[0] >= 2


async def limited_key(live: Live, **limits: int) -> str:
    """A key of an account with these limits, which an administrator has set."""
    bearers, users = {}, {}
    for name, role in (("ada", Role.ADMIN), ("bob", Role.USER)):
        wanted = Wanted(username=name, password=PASSWORD)
        await live.services.accounts.registration.create(
            wanted, role=role, actor="test", visitor=Visitor("test")
        )
        form = {"grant_type": "password", "username": name, "password": PASSWORD}
        token = (await live.http.post("/token", data=form)).json()["access_token"]
        bearers[name] = {"authorization": f"Bearer {token}"}
        users[name] = (await live.http.get("/users/me", headers=bearers[name])).json()["id"]
    path = f"/users/{users['bob']}/limits"
    assert (await live.http.post(path, json=limits, headers=bearers["ada"])).is_success
    made = await live.http.post("/keys", json={"scopes": ["generate"]}, headers=bearers["bob"])
    key: str = made.json()["key"]
    return key


async def cut_short(models: FakeModels, ask: Callable[[float], Awaitable[Any]], live: Live) -> None:
    """Ask with ever more patience until the client gives up on work that has begun."""
    engine = models.kits[MODEL].engine
    engine.may_step.clear()
    for seconds in PATIENCE:
        asking = asyncio.ensure_future(ask(seconds))
        while not asking.done() and not running(models):
            await asyncio.sleep(0.002)
        has_begun = bool(running(models))
        with pytest.raises(openai.APITimeoutError):
            await asking
        if has_begun:
            break
    engine.may_step.set()
    assert has_begun
    await until(lambda: running(models) == 0)
    await until(lambda: live.services.admission.num_in_flight == 0)


@pytest.mark.parametrize("route", STREAMED)
async def test_a_client_that_gives_up_ends_the_work(route: str) -> None:
    models = FakeModels(lambda: FakeEngine(step_seconds=0.005))
    fields = {**body(route), "extra_body": {}} | LONGEST[route]
    async with listening(models) as live, Watched(live, max_retries=0) as watched:

        def ask(seconds: float) -> Awaitable[Any]:
            patient = watched.client.with_options(timeout=seconds)
            answer: Awaitable[Any] = method(patient, ROUTES[route][0]).create(**fields)
            return answer

        await cut_short(models, ask, live)

        assert models.kits[MODEL].engine.num_steps < 400


@pytest.mark.parametrize("route", STREAMED)
async def test_a_stream_that_is_closed_ends_the_work(route: str) -> None:
    models = FakeModels(lambda: FakeEngine(step_seconds=0.005))
    fields = {**body(route), "extra_body": {}} | LONGEST[route]
    async with listening(models) as live, Watched(live) as watched:
        stream = await method(watched.client, ROUTES[route][0]).create(**fields, stream=True)
        async for _ in stream:
            break
        await stream.close()

        await until(lambda: running(models) == 0)
        await until(lambda: live.services.admission.num_in_flight == 0)
        assert models.kits[MODEL].engine.num_steps < 400


async def test_a_request_that_took_too_long_is_asked_again() -> None:
    """The first is given up, and with it its work; the second is answered."""
    models = FakeModels()
    async with listening(models) as live, Watched(live, max_retries=9, timeout=1.0) as watched:
        engine = models.kits[MODEL].engine
        engine.may_step.clear()

        async def let_go() -> None:
            await until(lambda: "1" in watched.retries)
            engine.may_step.set()

        answer, _ = await asyncio.gather(
            watched.client.completions.create(**BASE["/v1/completions"]), let_go()
        )

    assert answer.usage and answer.usage.completion_tokens == 20
    assert watched.statuses == [200] and len(watched.retries) > 1
