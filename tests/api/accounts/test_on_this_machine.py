"""`auth=auto` on a loopback address: nobody need sign in, and who does is somebody."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from fastapi.testclient import TestClient

from penstock.settings import Settings
from tests.api.accounts.conftest import OWN_PAGE
from tests.api.conftest import connected
from tests.fakes import FakeModels

FIRST = {"username": "ada", "password": "a brass difference engine"}


@pytest.fixture
def local(tmp_path: Path) -> Iterator[TestClient]:
    with connected(FakeModels(), Settings(data_dir=tmp_path)) as client:
        yield client


def test_everything_works_without_an_account_but_what_is_about_one(local: TestClient) -> None:
    assert local.post("/generate", json={"prompt": "x"}).status_code == 200
    assert local.get("/v1/files").status_code == 200
    assert local.post("/models/other/load").status_code == 200
    for path in ("/users/me", "/keys"):
        refused = local.get(path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")


def test_who_sits_there_makes_the_first_administrator_and_no_second_account(
    local: TestClient,
) -> None:
    assert local.get("/session").json()["has_admin"] is False
    made = local.post("/users", json=FIRST, headers=OWN_PAGE)
    assert (made.status_code, made.json()["role"]) == (201, "admin")
    assert made.json()["must_change_password"] is False

    assert local.post("/users", json=FIRST | {"username": "eve"}).status_code == 401
    assert local.get("/users").status_code == 401
    assert local.get("/audit").status_code == 401
    assert local.get("/session").json()["has_admin"] is True
    assert local.post("/generate", json={"prompt": "x"}).status_code == 200


@pytest.mark.parametrize("name", ["forwarded", "x-forwarded-for", "x-real-ip", "via"])
def test_what_a_proxy_forwards_is_not_this_machines(local: TestClient, name: str) -> None:
    for path in ("/models", "/users", "/v1/files"):
        assert local.get(path, headers={name: "203.0.113.9"}).status_code == 401


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"sec-fetch-site": "same-site"}]
)
def test_another_page_makes_no_administrator(local: TestClient, headers: dict[str, str]) -> None:
    assert local.post("/users", json=FIRST, headers=headers).status_code == 403
    assert local.get("/session").json()["has_admin"] is False


def test_clients_that_must_send_a_key_send_any_but_not_one_that_looks_like_ours(
    local: TestClient,
) -> None:
    client = openai.OpenAI(
        base_url="http://127.0.0.1/v1",
        api_key="sk-anything",
        http_client=local,  # type: ignore[arg-type]
        max_retries=0,
    )
    assert client.models.list().data
    for key in ("tg_abcdefgh_" + "x" * 43, "a.b.c"):
        refused = local.get("/v1/models", headers={"authorization": f"Bearer {key}"})
        assert refused.status_code == 401
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]


def test_who_signs_in_there_has_things_of_their_own(local: TestClient) -> None:
    local.post("/users", json=FIRST, headers=OWN_PAGE)
    form = {"grant_type": "password", **FIRST}
    token = local.post("/token", data=form).json()["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    receipt = local.post("/generate", json={"prompt": "x"}, headers=bearer).json()["receipt"]

    assert local.get(f"/receipts/{receipt}", headers=bearer).status_code == 200
    assert local.get(f"/receipts/{receipt}").status_code == 404
