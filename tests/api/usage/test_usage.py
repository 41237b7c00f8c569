"""What was used adds up to what the answers said, whoever asks for it and however requests end."""

import asyncio
from pathlib import Path

import httpx2

from penstock.accounts.principal import Role
from penstock.accounts.registration import Wanted
from penstock.accounts.signing_in import Visitor
from penstock.settings import Settings
from tests.api.accounts.conftest import PASSWORDS, asking_server
from tests.api.conftest import listening
from tests.fakes import FakeEngine, FakeModels

FAILING = "please EXPLODE"


def test_usage_is_told_by_day_model_and_key_to_its_owner_and_administrators(
    tmp_path: Path,
) -> None:
    with asking_server(tmp_path) as server:
        bob, cleo, ada = (server.bearer(name) for name in ("bob", "cleo", "ada"))
        key = server.key("bob")
        for headers in (bob, bob, {"authorization": f"Bearer {key}"}):
            body = {"prompt": "two words", "max_new_tokens": 4}
            assert server.client.post("/generate", json=body, headers=headers).status_code == 200
        chat = {
            "model": "penstock-tiny",
            "max_tokens": 3,
            "messages": [{"role": "user", "content": "hi"}],
        }
        told = server.client.post("/v1/chat/completions", json=chat, headers=bob).json()["usage"]

        by_key = server.client.get("/usage?by=key&by=model", headers=bob).json()
        mine = server.client.get("/users/me", headers=bob).json()["id"]

        assert by_key["requests"] == 4
        assert by_key["prompt_tokens"] == 6 + told["prompt_tokens"]
        assert by_key["completion_tokens"] == 12 + told["completion_tokens"]
        assert {(u["key"], u["model"], u["requests"]) for u in by_key["usage"]} == {
            ("", "penstock-tiny", 3),
            (key.split("_")[1], "penstock-tiny", 1),
        }
        by_day = server.client.get("/usage", headers=bob).json()
        assert [u["day"] for u in by_day["usage"]] == [by_day["last_day"]]
        assert server.client.get("/usage", headers=cleo).json()["usage"] == []
        others = server.client.get(f"/usage?user={mine}", headers=ada).json()
        assert others["usage"] == by_day["usage"]
        assert server.client.get(f"/usage?user={mine}", headers=cleo).status_code == 403
        assert server.client.get("/usage?user=nobody", headers=ada).status_code == 404
        wrong = server.client.get("/usage?first_day=2026-02-01&last_day=2026-01-01", headers=bob)
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (422, "first_day")


async def read_some(http: httpx2.AsyncClient, num_events: int) -> None:
    """Begin to read a stream, and leave."""
    body = {"prompt": "a b c", "max_new_tokens": 300, "stream": True}
    async with http.stream("POST", "/generate", json=body) as answer:
        async for _ in answer.aiter_lines():
            num_events -= 1
            if num_events == 0:
                return


async def answered(http: httpx2.AsyncClient, num_tokens: int) -> dict[str, int]:
    body = {"prompt": "a b c", "max_new_tokens": num_tokens}
    answer = await http.post("/generate", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["usage"]


async def test_usage_is_the_sum_of_the_answers_after_cancels_and_errors(tmp_path: Path) -> None:
    models = FakeModels(lambda: FakeEngine(step_seconds=0.002))
    settings = Settings(data_dir=tmp_path, cache_mib=0)
    async with listening(models, settings) as live:
        usages = await asyncio.gather(*(answered(live.http, 2 + n) for n in range(12)))
        await asyncio.gather(*(read_some(live.http, 3 + n) for n in range(6)))
        while live.services.admission.num_in_flight:
            await asyncio.sleep(0.01)
        failed = await live.http.post("/generate", json={"prompt": FAILING, "max_new_tokens": 4})
        assert failed.status_code == 500
        told = (await live.http.get("/usage")).json()
        (row,) = told["usage"]
        history = (await live.http.get("/history?limit=100")).json()["entries"]

    whole = [kept for kept in history if kept["outcome"] == "completed"]
    cancelled = [kept for kept in history if kept["outcome"] == "cancelled"]
    assert (row["requests"], row["unfinished"]) == (19, 7)
    assert len(whole) == 12
    assert len(cancelled) == 6
    assert row["prompt_tokens"] == 3 * 18
    assert sum(kept["completion_tokens"] for kept in whole) == sum(
        usage["completion_tokens"] for usage in usages
    )
    assert row["completion_tokens"] == sum(kept["completion_tokens"] for kept in history)
    for kept in cancelled:  # what had been written when the reader left
        assert 0 < kept["completion_tokens"] == len(kept["texts"][0].split()) < 300


async def test_what_a_reader_who_left_did_not_use_is_given_back(tmp_path: Path) -> None:
    models = FakeModels(lambda: FakeEngine(step_seconds=0.002))
    limits = {"tokens_per_day": 1000, "max_streams": 1}
    settings = Settings(auth="required", data_dir=tmp_path, limits=limits)
    async with listening(models, settings) as live:
        await live.services.accounts.registration.create(
            Wanted(username="bob", password=PASSWORDS["bob"]),
            role=Role.USER,
            actor="test",
            visitor=Visitor("test"),
        )
        form = {"grant_type": "password", "username": "bob", "password": PASSWORDS["bob"]}
        token = (await live.http.post("/token", data=form)).json()["access_token"]
        live.http.headers["authorization"] = f"Bearer {token}"

        for _ in range(5):  # each may come to 301 tokens, and holds the one place
            await read_some(live.http, 3)
            while live.services.admission.num_in_flight:
                await asyncio.sleep(0.01)
        standing = (await live.http.get("/limits")).json()["limits"]
        used = (await live.http.get("/usage")).json()

    taken = {limit["limit"]: limit["used"] for limit in standing}
    assert taken["max_streams"] == 0
    assert taken["tokens_per_day"] == used["prompt_tokens"] + used["completion_tokens"]
    assert used["requests"] == 5
