"""API keys: shown once, kept as a digest, as powerful as they were made and no more."""

import time

import pytest
from sqlalchemy import select, update

from penstock.storage.tables import api_keys
from tests.api.accounts.conftest import Server


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_a_key_is_told_once_and_kept_as_a_digest(server: Server) -> None:
    key = server.key("bob", label="notebook")
    listed = server.client.get("/keys", headers=server.bearer("bob"))

    async def rows() -> list[object]:
        async with server.accounts.stores.storage.reading() as connection:
            return [tuple(row) for row in await connection.execute(select(api_keys))]

    secret = key.split("_", 2)[2]
    assert len(secret) == 43
    assert listed.json()["keys"][0]["label"] == "notebook"
    assert secret not in listed.text
    assert secret not in str(server.call(rows))


def test_when_a_key_was_last_used_is_told(server: Server) -> None:
    key, mine = server.key("bob"), server.bearer("bob")
    before = server.client.get("/keys", headers=mine).json()["keys"][0]

    server.client.get("/models", headers=bearer(key))

    after = server.client.get("/keys", headers=mine).json()["keys"][0]
    assert before["used_at"] is None
    assert after["used_at"] is not None


def test_a_key_that_is_revoked_or_over_opens_nothing(server: Server) -> None:
    revoked, over = server.key("bob"), server.key("bob", days=1)
    mine = server.bearer("bob")
    assert server.client.get("/models", headers=bearer(over)).status_code == 200

    key_id = revoked.split("_")[1]
    assert server.client.delete(f"/keys/{key_id}", headers=mine).status_code == 204

    async def let_end() -> None:
        async with server.accounts.stores.storage.writing() as connection:
            ending = update(api_keys).where(api_keys.c.id == over.split("_")[1])
            await connection.execute(ending.values(expires_at=time.time() - 1))

    server.call(let_end)
    assert server.client.get("/models", headers=bearer(revoked)).status_code == 401
    assert server.client.get("/models", headers=bearer(over)).status_code == 401
    assert server.client.get("/keys", headers=mine).json() == {"keys": []}


def test_another_users_key_does_not_exist(server: Server) -> None:
    key_id = server.key("bob").split("_")[1]

    assert server.client.get("/keys", headers=server.bearer("cleo")).json() == {"keys": []}
    refused = server.client.delete(f"/keys/{key_id}", headers=server.bearer("cleo"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "key_not_found")


def test_nobody_gives_a_key_what_they_do_not_have(server: Server) -> None:
    refused = server.client.post("/keys", json={"scopes": ["models"]}, headers=server.bearer("bob"))

    assert refused.status_code == 422
    assert refused.json()["error"]["param"] == "scopes"


def test_an_administrators_key_is_worth_what_its_owner_is_worth_now(server: Server) -> None:
    server_id = {"headers": server.bearer("ada")}
    bob = server.client.get("/users/me", headers=server.bearer("bob")).json()["id"]
    server.client.patch(f"/users/{bob}", json={"role": "admin"}, **server_id)
    key = server.key("bob", "users", "models", "generate")
    assert server.client.get("/users", headers=bearer(key)).status_code == 200
    assert server.client.post("/models/other/load", headers=bearer(key)).status_code == 200

    server.client.patch(f"/users/{bob}", json={"role": "user"}, **server_id)

    assert server.client.get("/users", headers=bearer(key)).status_code == 403
    assert server.client.post("/models/other/load", headers=bearer(key)).status_code == 403
    assert server.client.get("/models", headers=bearer(key)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Bearer tg_abcdefgh_" + "x" * 43}, 401),
        ({"authorization": "Bearer tg_"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": "Basic Ym9iOnB3"}, 401),
        ({"x-api-key": "sk-ant-something"}, 401),
        ({"cookie": "penstock_session=ts_" + "a" * 24 + "_" + "x" * 43}, 401),
        ({"cookie": "penstock_session=" + "x" * 9000}, 401),
        ({"cookie": '=;;; penstock_session; "penstock_session=x'}, 401),
    ],
)
def test_what_is_no_credential_of_ours_is_refused(
    shared_server: Server, headers: dict[str, str], status: int
) -> None:
    assert shared_server.client.get("/models", headers=headers).status_code == status


def test_two_credentials_at_once_are_refused(shared_server: Server) -> None:
    good = shared_server.bearer("bob")["authorization"]
    twice = [("authorization", "Bearer x"), ("authorization", good)]

    assert shared_server.client.get("/models", headers=twice).status_code == 401
