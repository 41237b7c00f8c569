"""What is one user's does not exist for another: by a guess at its id, and in every list."""

import json

import pytest

from tests.api.accounts.conftest import Server
from tests.fakes import FakeModels


def made_by(server: Server, bearer: dict[str, str]) -> dict[str, str]:
    """One thing of each kind, by the path at which it is found."""
    asked = server.client.post(
        "/generate", json={"prompt": "x", "max_new_tokens": 3}, headers=bearer
    )
    response = server.client.post(
        "/v1/responses", json={"model": "penstock-tiny", "input": "hi"}, headers=bearer
    )
    line = {
        "custom_id": "1", "method": "POST", "url": "/v1/completions",
        "body": {"model": "penstock-tiny", "prompt": "x", "max_tokens": 2},
    }  # fmt: skip
    file = server.client.post(
        "/v1/files",
        data={"purpose": "batch"},
        files={"file": ("a.jsonl", json.dumps(line).encode())},
        headers=bearer,
    )
    batch = server.client.post(
        "/v1/batches",
        json={
            "input_file_id": file.json()["id"],
            "endpoint": "/v1/completions",
            "completion_window": "24h",
        },
        headers=bearer,
    )
    for answer in (asked, response, file, batch):
        assert answer.status_code == 200, answer.text
    return {
        "receipt": f"/receipts/{asked.json()['receipt']}",
        "response": f"/v1/responses/{response.json()['id']}",
        "file": f"/v1/files/{file.json()['id']}",
        "batch": f"/v1/batches/{batch.json()['id']}",
    }


def test_it_is_found_by_its_owner_and_by_nobody_else(server: Server) -> None:
    bob, cleo, ada = (server.bearer(name) for name in ("bob", "cleo", "ada"))
    things = made_by(server, bob)

    for path in things.values():
        assert server.client.get(path, headers=bob).status_code == 200, path
        for other in (cleo, ada):  # an administrator looks after accounts, not into them
            assert server.client.get(path, headers=other).status_code == 404, path
    others = [
        server.client.get(f"{things['file']}/content", headers=cleo),
        server.client.delete(things["file"], headers=cleo),
        server.client.post(f"{things['batch']}/cancel", headers=cleo),
        server.client.delete(things["response"], headers=cleo),
        server.client.get(f"{things['response']}/input_items", headers=cleo),
        server.client.post(things["receipt"].replace("receipts", "replay"), headers=cleo),
    ]
    assert [answer.status_code for answer in others] == [404] * len(others)
    for path in ("/v1/files", "/v1/batches"):
        assert server.client.get(path, headers=cleo).json()["data"] == []
        after = {"after": things["file" if "files" in path else "batch"].rpartition("/")[2]}
        assert server.client.get(path, params=after, headers=cleo).json()["data"] == []
        assert len(server.client.get(path, headers=bob).json()["data"]) >= 1


def test_another_users_conversation_is_not_gone_on_from(server: Server) -> None:
    path = made_by(server, server.bearer("bob"))["response"]
    body = {
        "model": "penstock-tiny",
        "input": "what did I say?",
        "previous_response_id": path.rpartition("/")[2],
    }

    refused = server.client.post("/v1/responses", json=body, headers=server.bearer("cleo"))

    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "previous_response_id"


def test_another_users_file_makes_no_batch(server: Server) -> None:
    file_id = made_by(server, server.bearer("bob"))["file"].rpartition("/")[2]
    body = {
        "input_file_id": file_id,
        "endpoint": "/v1/completions",
        "completion_window": "24h",
    }

    assert server.client.post(
        "/v1/batches", json=body, headers=server.bearer("cleo")
    ).status_code in (400, 404)


def test_the_engine_knows_users_apart_and_a_users_keys_as_one(server: Server) -> None:
    models: FakeModels = server.client.app.state.services.lifecycle._source  # type: ignore[attr-defined]
    asked = []
    kit = models.kits["penstock-tiny"]
    prepare = kit.prepare
    kit.prepare = lambda request: asked.append(request.tenant) or prepare(request)  # type: ignore[method-assign]
    bob = server.bearer("bob")
    for headers in (bob, {"x-api-key": server.key("bob")}, server.bearer("cleo")):
        server.client.post("/generate", json={"prompt": "x", "max_new_tokens": 2}, headers=headers)

    user_id = server.client.get("/users/me", headers=bob).json()["id"]
    assert asked[0] == asked[1] == user_id
    assert asked[2] not in ("", user_id)
    assert asked[2].startswith("user_")


def test_a_batch_ends_with_its_owners_account(server: Server) -> None:
    """It is asked as its owner would ask, so what the owner may not any more it does not get."""
    bob, ada = server.bearer("bob"), server.bearer("ada")
    user_id = server.client.get("/users/me", headers=bob).json()["id"]
    server.client.patch(f"/users/{user_id}", json={"state": "disabled"}, headers=ada)
    ask = server.client.app.state.executor._handlers["batch"].asker._ask  # type: ignore[attr-defined]
    body = json.dumps({"model": "penstock-tiny", "prompt": "x", "max_tokens": 2}).encode()

    assert server.call(ask, user_id, "/v1/completions", body).status == 401  # type: ignore[attr-defined]
    ada_id = server.client.get("/users/me", headers=ada).json()["id"]
    assert server.call(ask, ada_id, "/v1/completions", body).status == 200  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["bob", "ada"])
def test_who_may_change_models_is_who_administers(server: Server, name: str) -> None:
    answer = server.client.post("/models/other/load", headers=server.bearer(name))

    assert answer.status_code == (200 if name == "ada" else 403)
