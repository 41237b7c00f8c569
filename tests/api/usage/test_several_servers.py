"""Two servers of one database that count limits in one Redis."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx2

from penstock.accounts.principal import Role
from penstock.accounts.registration import Wanted
from penstock.accounts.signing_in import Visitor
from penstock.settings import Settings
from tests.api.accounts.conftest import PASSWORDS
from tests.api.conftest import listening
from tests.fakes import FakeEngine, FakeModels
from tests.scale.brokers import REDIS, connected

MOST = 10


async def status_of(http: httpx2.AsyncClient, token: str) -> int:
    body = {"prompt": "once", "max_new_tokens": 3}
    headers = {"authorization": f"Bearer {token}"}
    return (await http.post("/generate", json=body, headers=headers)).status_code


async def test_two_servers_let_in_no_more_than_one_would(tmp_path: Path) -> None:
    settings = Settings(
        auth="required",
        data_dir=tmp_path,
        limits_url=REDIS,
        limits={"requests_per_day": MOST, "max_streams": 100},
    )
    models = FakeModels(lambda: FakeEngine(step_seconds=0.001))
    with connected() as client:
        async with listening(models, settings) as one, listening(models, settings) as other:
            bob = await one.services.accounts.registration.create(
                Wanted(username="bob", password=PASSWORDS["bob"]),
                role=Role.USER,
                actor="test",
                visitor=Visitor("test"),
            )
            form = {"grant_type": "password", "username": "bob", "password": PASSWORDS["bob"]}
            token = (await one.http.post("/token", data=form)).json()["access_token"]
            asked = [status_of((one, other)[n % 2].http, token) for n in range(30)]

            statuses = await asyncio.gather(*asked)

            headers = {"authorization": f"Bearer {token}"}
            standing = (await other.http.get("/limits", headers=headers)).json()["limits"]
            used = (await other.http.get("/usage", headers=headers)).json()
        for key in client.scan_iter(f"penstock:limit:user:{bob.id} *"):
            client.delete(key)

    assert Counter(statuses) == {200: MOST, 429: 30 - MOST}
    left = {limit["limit"]: limit["left"] for limit in standing}
    assert left == {"requests_per_minute": 600 - MOST, "requests_per_day": 0, "max_streams": 100}
    assert used["requests"] <= MOST  # the other server may still have some to write
