"""The page's session: a cookie that no script reads, and that other pages cannot use."""

from pathlib import Path

import pytest

from tests.api.accounts.conftest import OWN_PAGE, PASSWORDS, Server, asking_server

BOB = {"username": "bob", "password": PASSWORDS["bob"]}


def signed_in(server: Server, **headers: str) -> None:
    answer = server.client.post("/session", json=BOB, headers=OWN_PAGE | headers)
    assert answer.status_code == 200, answer.text


def test_signing_in_sets_a_cookie_that_signs_out_again(server: Server) -> None:
    signed_in(server)
    session = server.client.cookies["penstock_session"]

    told = server.client.get("/session").json()
    assert told["user"]["username"] == "bob"
    assert (told["access"], told["registration"], told["has_admin"]) == ("required", "closed", True)
    assert server.client.get("/models").status_code == 200
    assert server.client.post("/keys", json={}, headers=OWN_PAGE).status_code == 201
    assert server.client.delete("/session", headers=OWN_PAGE).status_code == 204
    server.client.cookies.set("penstock_session", session)  # what was copied is of no use either
    assert server.client.get("/models").status_code == 401
    assert server.client.get("/session").json()["user"] is None


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(server: Server) -> None:
    answer = server.client.post("/session", json=BOB, headers=OWN_PAGE)
    secret = server.client.cookies["penstock_session"]

    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert "; HttpOnly" in cookie
        assert "; SameSite=strict" in cookie
        assert "; Path=/" in cookie
        assert "; Secure" not in cookie  # over plain HTTP it would not come back
    assert secret not in answer.text
    behind_tls = {"origin": "https://127.0.0.1"}
    answer = server.client.post("/session", json=BOB, headers=behind_tls)
    assert all("; Secure" in cookie for cookie in answer.headers.get_list("set-cookie"))


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1.evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {},
    ],
)
def test_another_page_does_nothing_with_it(server: Server, headers: dict[str, str]) -> None:
    signed_in(server)

    changes = [
        server.client.post("/keys", json={}, headers=headers),
        server.client.post("/generate", json={"prompt": "x"}, headers=headers),
        server.client.request("DELETE", "/session", headers=headers),
        server.client.post("/users/me/password", json={}, headers=headers),
        server.client.post("/v1/files", data={"purpose": "batch"}, headers=headers),
        server.client.post("/session", json=BOB, headers=headers),
    ]

    assert [answer.status_code for answer in changes] == [403] * len(changes)
    assert server.client.get("/session").json()["user"]["username"] == "bob"


def test_a_wrong_password_sets_no_cookie_and_too_many_say_how_long(server: Server) -> None:
    wrong = BOB | {"password": "not the password"}
    answers = [server.client.post("/session", json=wrong, headers=OWN_PAGE) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [400] * 5 + [429]
    assert answers[0].json()["error"]["code"] == "wrong_credentials"
    assert 0 < int(answers[5].headers["retry-after"]) <= 60
    assert not server.client.cookies
    forged = {"x-forwarded-for": "203.0.113.1", "forwarded": "for=203.0.113.2"}
    again = server.client.post("/session", json=BOB, headers=OWN_PAGE | forged)
    assert again.status_code == 429


def test_who_signed_in_here_before_gets_in_while_others_guess(server: Server) -> None:
    signed_in(server)
    device = server.client.cookies["penstock_device"]
    server.client.cookies.clear()
    for _ in range(6):
        server.client.post(
            "/session", json=BOB | {"password": "not the password"}, headers=OWN_PAGE
        )
    assert server.client.post("/session", json=BOB, headers=OWN_PAGE).status_code == 429

    server.client.cookies.set("penstock_device", device)
    signed_in(server)


def test_without_accounts_the_page_is_told_so(tmp_path: Path) -> None:
    with asking_server(tmp_path, auth="off") as server:
        told = server.client.get("/session").json()
        refused = server.client.post("/session", json=BOB, headers=OWN_PAGE)

        assert (told["access"], told["user"]) == ("off", None)
        assert refused.status_code == 403
        assert server.client.get("/models").status_code == 200
        assert server.client.post("/users", json=BOB).status_code == 403
        assert server.client.post("/token", data=BOB).status_code == 400
