"""Limits of users and keys over HTTP: what is refused, how it is said, what is given back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.api.accounts.conftest import Server, asking_server

DAY = 86_400


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with asking_server(tmp_path) as server:
        yield server


def limited(server: Server, name: str, **limits: int | None) -> dict[str, str]:
    """Their bearer, with these limits set by an administrator."""
    bearer = server.bearer(name)
    user = server.client.get("/users/me", headers=bearer).json()["id"]
    answer = server.client.post(f"/users/{user}/limits", json=limits, headers=server.bearer("ada"))
    assert answer.status_code == 200, answer.text
    return bearer


def ask(server: Server, bearer: dict[str, str], num_tokens: int = 5, prompt: str = "once"):
    body = {"prompt": prompt, "max_new_tokens": num_tokens}
    return server.client.post("/generate", json=body, headers=bearer)


def test_a_limit_says_what_it_is_and_when_more_comes(server: Server) -> None:
    bob = limited(server, "bob", tokens_per_day=12)

    first = ask(server, bob)
    refused = ask(server, bob, 8)

    assert first.headers["x-ratelimit-limit-tokens"] == "12"
    assert first.headers["x-ratelimit-remaining-tokens"] == "6"
    assert first.headers["x-ratelimit-remaining-requests"] == "599"
    assert '"account-tokens-per-day";q=12;w=86400' in first.headers["ratelimit-policy"]
    assert '"account-tokens-per-day";r=6;t=' in first.headers["ratelimit"]
    assert refused.status_code == 429
    assert refused.json()["error"] == {
        "message": "Your account may use 12 tokens a day; 6 are left until 00:00 UTC. This request "
        "may come to 9. Wait until then, or ask for fewer.",
        "type": "tokens",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert 0 < int(refused.headers["retry-after"]) <= DAY
    assert ask(server, bob, 5).status_code == 200, "what is left can still be used"
    assert "0 are left until 00:00 UTC." in ask(server, bob, 1).json()["error"]["message"]


def test_what_could_never_be_is_told_as_such(server: Server) -> None:
    bob = limited(server, "bob", tokens_per_minute=10)

    refused = ask(server, bob, 30)

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "request_over_limit")
    assert "may use 10 tokens a minute, and this request may come to 31" in refused.text


def test_a_key_has_limits_of_its_own_beside_its_users(server: Server) -> None:
    bob = limited(server, "bob", tokens_per_day=30)
    key = server.key("bob")
    key_id = key.split("_")[1]
    set_to = server.client.post(f"/keys/{key_id}/limits", json={"tokens_per_day": 8}, headers=bob)
    with_key = {"authorization": f"Bearer {key}"}

    assert set_to.json()["tokens_per_day"] == 8
    assert ask(server, with_key).status_code == 200
    refused = ask(server, with_key)
    assert refused.status_code == 429
    assert refused.json()["error"]["message"].startswith("Your key may use 8 tokens a day; 2 are")
    assert ask(server, bob, 20).status_code == 200, "the refused one took of the user's limit"
    own = server.client.post(f"/keys/{key_id}/limits", json={}, headers=with_key)
    assert own.status_code == 403, "a key lifts its own limits"
    cleo = server.client.post(f"/keys/{key_id}/limits", json={}, headers=server.bearer("cleo"))
    assert cleo.status_code == 404


def test_of_fifty_at_once_as_many_are_let_in_as_may(server: Server) -> None:
    bob = limited(server, "bob", requests_per_day=20, max_streams=None)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: ask(server, bob, 2), range(50)))

    assert sorted({a.status_code for a in answers}) == [200, 429]
    assert sum(a.status_code == 200 for a in answers) == 20


def test_looks_at_the_next_token_take_tokens_and_none_of_a_days_requests(server: Server) -> None:
    bob = limited(server, "bob", requests_per_day=1, requests_per_minute=4, tokens_per_day=100)
    look = {"prompt": "once"}

    looks = [server.client.post("/lab/next-token", json=look, headers=bob) for _ in range(2)]
    text = ask(server, bob)
    after = server.client.post("/lab/next-token", json=look, headers=bob)

    assert [answer.status_code for answer in (*looks, text, after)] == [200] * 4
    assert '"account-requests-per-day";r=1;' in looks[1].headers["ratelimit"]
    tokens = [int(look.headers["x-ratelimit-remaining-tokens"]) for look in looks]
    assert 100 > tokens[0] > tokens[1]
    assert ask(server, bob).status_code == 429
    too_often = server.client.post("/lab/next-token", json=look, headers=bob)
    assert too_often.status_code == 429
    assert "requests a minute" in too_often.json()["error"]["message"]


def test_a_request_that_fails_before_it_begins_uses_nothing(server: Server) -> None:
    bob = limited(server, "bob", tokens_per_day=700, requests_per_day=2)

    assert ask(server, bob, 600).status_code == 400  # longer than the context
    standing = server.client.get("/limits", headers=bob).json()["limits"]
    left = {limit["limit"]: limit["left"] for limit in standing}

    assert left["tokens_per_day"] == 700
    assert left["max_streams"] == 8


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}, ("error",)),
        ("/v1/completions", {"prompt": "hi", "max_tokens": 3}, ("error",)),
        (
            "/v1/messages",
            {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 3},
            ("error",),
        ),
        ("/api/generate", {"prompt": "hi", "stream": False}, ()),
    ],
)
def test_every_dialect_tells_it_in_its_own_words(
    server: Server, path: str, body: dict[str, object], where: tuple[str, ...]
) -> None:
    bob = limited(server, "bob", requests_per_minute=0)

    refused = server.client.post(path, json={"model": "penstock-tiny", **body}, headers=bob)

    said = refused.json()
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) <= 61
    if path == "/v1/messages":
        assert (said["type"], said["error"]["type"]) == ("error", "rate_limit_error")
    text = said["error"] if not where else said["error"]["message"]
    assert text.startswith("Your account may send 0 requests a minute; 0 are left for the next")


def test_nobody_sets_limits_but_administrators(server: Server) -> None:
    bob = server.bearer("bob")
    user = server.client.get("/users/me", headers=bob).json()["id"]

    assert server.client.post(f"/users/{user}/limits", json={}, headers=bob).status_code == 403
    assert server.client.get(f"/users/{user}/limits", headers=bob).status_code == 403
    ada = server.bearer("ada")
    assert server.client.get("/users/nobody/limits", headers=ada).status_code == 404
    bad = server.client.post(f"/users/{user}/limits", json={"max_streams": -1}, headers=ada)
    assert (bad.status_code, bad.json()["error"]["param"]) == (422, "max_streams")


def test_the_machines_own_user_has_no_limits(tmp_path: Path) -> None:
    with asking_server(tmp_path, auth="auto", limits={"requests_per_minute": 1}) as server:
        answers = [ask(server, {}) for _ in range(3)]
        bob = server.bearer("bob")

        assert [a.status_code for a in answers] == [200] * 3
        assert "ratelimit" not in answers[0].headers
        assert server.client.get("/limits").json() == {"limits": []}
        assert [ask(server, bob).status_code for _ in range(2)] == [200, 429]
