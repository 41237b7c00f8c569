"""`PATCH` and `DELETE /users/{id}`: what an administrator does to accounts, and what is left."""

from tests.api.accounts.conftest import PASSWORDS, Server

NEWS = {"prompt": "a grey heron", "max_new_tokens": 3}


def test_an_account_is_deleted_with_all_that_opens_it_and_was_kept_for_it(server: Server) -> None:
    client, ada, bob = server.client, server.bearer("ada"), server.bearer("bob")
    key = {"x-api-key": server.key("bob")}
    user_id = client.get("/users/me", headers=bob).json()["id"]
    client.post("/generate", json=NEWS, headers=bob)
    upload = {"file": ("a.jsonl", b"{}\n")}
    client.post("/v1/files", data={"purpose": "batch"}, files=upload, headers=bob)
    lasting, records = client.app.state.services.lasting, client.app.state.services.records  # type: ignore[attr-defined]
    server.call(records.ledger.flush)
    assert server.call(kept_for, server, user_id) == (1, 1, 1)

    removed = client.delete(f"/users/{user_id}", headers=ada)

    assert (removed.status_code, removed.content) == (204, b"")
    assert client.get("/models", headers=bob).status_code == 401
    assert client.get("/models", headers=key).status_code == 401
    form = {"grant_type": "password", "username": "bob", "password": PASSWORDS["bob"]}
    refused = client.post("/token", data=form).json()
    assert refused["error"] == "invalid_grant"
    assert "bob" not in {u["username"] for u in client.get("/users", headers=ada).json()["users"]}
    newest = client.get("/audit", headers=ada).json()["events"][:2]
    told = next(event for event in newest if event["event"] == "user_removed")
    assert (told["subject"], told["detail"]) == (user_id, "bob")
    server.call(lasting.files.tidy)
    assert server.call(kept_for, server, user_id) == (0, 0, 1)  # the sums stay
    assert client.delete(f"/users/{user_id}", headers=ada).status_code == 404


async def kept_for(server: Server, owner: str) -> tuple[int, ...]:
    """How many texts, files and sums of usage there are of an owner."""
    from sqlalchemy import func, select

    from penstock.storage.tables import files, history, usage

    async with server.accounts.stores.storage.reading() as connection:
        return tuple(
            [
                (
                    await connection.execute(select(func.count()).where(table.c.owner == owner))
                ).scalar_one()
                for table in (history, files, usage)
            ]
        )


def test_who_takes_a_name_that_is_free_again_has_nothing_of_who_had_it(server: Server) -> None:
    client, ada, bob = server.client, server.bearer("ada"), server.bearer("bob")
    user_id = client.get("/users/me", headers=bob).json()["id"]
    client.post("/generate", json=NEWS, headers=bob)
    client.delete(f"/users/{user_id}", headers=ada)

    account = {"username": "bob", "password": "quite another password"}
    made = client.post("/users", json=account, headers=ada).json()

    assert made["id"] != user_id
    assert client.get("/models", headers=bob).status_code == 401


def test_accounts_are_changed_and_deleted_by_administrators_alone(server: Server) -> None:
    client, bob = server.client, server.bearer("bob")
    cleo = client.get("/users/me", headers=server.bearer("cleo")).json()["id"]

    assert client.patch(f"/users/{cleo}", json={"role": "admin"}, headers=bob).status_code == 403
    assert client.delete(f"/users/{cleo}", headers=bob).status_code == 403
    assert client.get("/users/me", headers=server.bearer("cleo")).json()["role"] == "user"


def test_what_no_account_can_be_is_refused_by_name(server: Server) -> None:
    client, ada = server.client, server.bearer("ada")
    user_id = client.get("/users/me", headers=server.bearer("bob")).json()["id"]

    for body, param in (({"role": "owner"}, "role"), ({"disabled": 1}, "disabled")):
        refused = client.patch(f"/users/{user_id}", json=body, headers=ada)
        assert (refused.status_code, refused.json()["error"]["param"]) == (422, param)
    assert client.patch("/users/nobody", json={"role": "user"}, headers=ada).status_code == 404
