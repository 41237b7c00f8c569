"""Tokens, refreshing, signing out, passwords: over HTTP, as clients meet them."""

import pytest

from tests.api.accounts.conftest import PASSWORDS, Server

WRONG = "certainly not the password"


def form(**fields: str) -> dict[str, str]:
    return {"grant_type": "password", "username": "bob", "password": PASSWORDS["bob"]} | fields


def test_a_name_and_a_password_get_a_token_that_opens_every_dialect(server: Server) -> None:
    tokens = server.tokens("BOB", PASSWORDS["bob"])
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}

    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 1800)
    assert server.client.get("/users/me", headers=bearer).json()["username"] == "bob"
    asked = {"model": "penstock-tiny", "prompt": "x", "max_tokens": 3}
    assert server.client.post("/v1/completions", json=asked, headers=bearer).status_code == 200
    assert server.client.get("/api/tags", headers=bearer).status_code == 200
    by_key = {"x-api-key": server.key("bob")}
    said = {
        "model": "penstock-tiny",
        "max_tokens": 3,
        "messages": [{"role": "user", "content": "hi"}],
    }
    assert server.client.post("/v1/messages", json=said, headers=by_key).status_code == 200


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"username": "bob", "password": WRONG}, "invalid_grant"),
        ({"username": "nobody", "password": WRONG}, "invalid_grant"),
        ({"username": "no such name!\x00", "password": WRONG}, "invalid_grant"),
        ({"password": "x" * 1_000_000}, "invalid_grant"),
        ({"username": ""}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "tr_abc"}, "invalid_grant"),
    ],
)
def test_what_is_wrong_is_told_as_rfc_6749_says(
    shared_server: Server, fields: dict[str, str], code: str
) -> None:
    refused = shared_server.client.post("/token", data=form(**fields))

    assert refused.status_code == 400
    assert set(refused.json()) == {"error", "error_description"}
    assert refused.json()["error"] == code
    assert refused.headers["cache-control"] == "no-store"


def test_a_wrong_name_and_a_wrong_password_are_told_alike(server: Server) -> None:
    answers = [
        server.client.post("/token", data=form(username=name, password=WRONG))
        for name in ("bob", "nobody", "…")
    ]

    assert len({(a.status_code, a.text) for a in answers}) == 1


def test_a_refresh_token_is_good_once_and_the_thief_of_it_gains_nothing(server: Server) -> None:
    first = server.tokens("bob")

    def refreshed(token: str) -> object:
        fields = {"grant_type": "refresh_token", "refresh_token": token}
        return server.client.post("/token", data=fields)

    second = refreshed(first["refresh_token"])
    assert second.status_code == 200
    bearer = {"authorization": f"Bearer {second.json()['access_token']}"}
    assert server.client.get("/users/me", headers=bearer).status_code == 200

    assert refreshed(first["refresh_token"]).status_code == 400  # comes again: stolen
    assert refreshed(second.json()["refresh_token"]).status_code == 400
    assert server.client.get("/users/me", headers=bearer).status_code == 401
    events = server.client.get("/audit", headers=server.bearer("ada")).json()["events"]
    assert "token_reused" in [event["event"] for event in events]


def test_signing_out_ends_the_session_with_all_its_tokens_and_no_other(server: Server) -> None:
    one, other = server.tokens("bob"), server.bearer("bob")
    bearer = {"authorization": f"Bearer {one['access_token']}"}

    assert server.client.post("/logout", headers=bearer).status_code == 204

    assert server.client.get("/users/me", headers=bearer).status_code == 401
    fields = {"grant_type": "refresh_token", "refresh_token": one["refresh_token"]}
    assert server.client.post("/token", data=fields).status_code == 400
    assert server.client.get("/users/me", headers=other).status_code == 200


def test_a_new_password_ends_every_token_and_every_other_session(server: Server) -> None:
    mine, elsewhere = server.tokens("bob"), server.tokens("bob")
    bearer = {"authorization": f"Bearer {mine['access_token']}"}
    body = {"current_password": PASSWORDS["bob"], "new_password": "four hundred paper boats"}

    assert server.client.post("/users/me/password", json=body, headers=bearer).status_code == 204

    assert server.client.get("/users/me", headers=bearer).status_code == 401
    refreshing = [
        server.client.post(
            "/token", data={"grant_type": "refresh_token", "refresh_token": t["refresh_token"]}
        ).status_code
        for t in (mine, elsewhere)
    ]
    assert refreshing == [200, 400]
    assert server.client.post("/token", data=form()).status_code == 400
    assert server.tokens("bob", "four hundred paper boats")


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("short", "has 5 characters"),
        ("aaaaaaaaaaaaaaaaaa", "has only 1 different characters"),
        ("Password123456!", "is among the first that are guessed"),
        ("P@ssw0rd2026!!!", "is among the first that are guessed"),
        ("qwertyuiop1234567", "is among the first that are guessed"),
        ("1234567890123456", "is among the first that are guessed"),
        ("bobbington-the-2nd", None),
        ("x" * 500 + "ab1 d€" * 200, "has more than 1024 bytes"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused_with_the_reason(
    server: Server, password: str, problem: str | None
) -> None:
    body = {"username": "dora", "password": password}
    answer = server.client.post("/users", json=body, headers=server.bearer("ada"))

    if problem is None:
        assert answer.status_code == 201
        return
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "password"
    assert problem in answer.json()["error"]["message"]
    assert password not in answer.text or len(password) < 6


def test_a_password_that_an_administrator_chose_must_be_changed_first(server: Server) -> None:
    chosen = "chosen by the administrator"
    body = {"username": "dora", "password": chosen}
    made = server.client.post("/users", json=body, headers=server.bearer("ada")).json()
    bearer = {"authorization": f"Bearer {server.tokens('dora', chosen)['access_token']}"}

    refused = server.client.get("/models", headers=bearer)
    assert (refused.status_code, refused.json()["error"]["code"]) == (
        403,
        "password_change_required",
    )
    change = {"current_password": chosen, "new_password": "chosen by dora alone"}
    assert server.client.post("/users/me/password", json=change, headers=bearer).status_code == 204
    bearer = {
        "authorization": f"Bearer {server.tokens('dora', 'chosen by dora alone')['access_token']}"
    }
    assert server.client.get("/models", headers=bearer).status_code == 200
    assert "password" not in {name for name in made if name != "must_change_password"}


def test_an_account_that_is_disabled_is_out_at_once(server: Server) -> None:
    bob, key, ada = server.bearer("bob"), server.key("bob"), server.bearer("ada")
    user_id = server.client.get("/users/me", headers=bob).json()["id"]

    server.client.patch(f"/users/{user_id}", json={"state": "disabled"}, headers=ada)

    assert server.client.get("/models", headers=bob).status_code == 401
    assert server.client.get("/models", headers={"x-api-key": key}).status_code == 401
    refused = server.client.post("/token", data=form()).json()
    assert refused["error_description"].startswith("The account is disabled.")


def test_the_last_administrator_stays_one(server: Server) -> None:
    ada = server.bearer("ada")
    user_id = server.client.get("/users/me", headers=ada).json()["id"]

    for change in ({"role": "user"}, {"state": "disabled"}):
        refused = server.client.patch(f"/users/{user_id}", json=change, headers=ada)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_allowed")
    refused = server.client.delete(f"/users/{user_id}", headers=ada)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_allowed")
    assert server.client.get("/users", headers=ada).status_code == 200
