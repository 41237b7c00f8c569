"""The history over HTTP: kept unless told otherwise, found by its words, exported, deleted."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from penstock.settings import Settings
from tests.api.accounts.conftest import Server, asking_server
from tests.api.conftest import connected
from tests.fakes import FakeModels, fake_text
from tests.storage.databases import KINDS, fresh_database


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestClient]:
    with fresh_database(request.param, tmp_path) as url:
        settings = Settings(data_dir=tmp_path, database_url=url)
        with connected(FakeModels(), settings) as client:
            yield client


def generate(client: TestClient, prompt: str, **fields: object) -> dict[str, object]:
    headers = fields.pop("headers", {})
    body = {"prompt": prompt, "max_new_tokens": 3, **fields}
    answer = client.post("/generate", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def prompts(client: TestClient, path: str = "/history", **headers: str) -> list[str]:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return [kept["prompt"] for kept in answer.json()["entries"]]


def test_a_generation_is_kept_with_all_that_made_it(client: TestClient) -> None:
    made = generate(client, "once", seed=7, num_return_sequences=2, strategy="top_k", top_k=5)

    (kept,) = client.get("/history").json()["entries"]

    assert kept["texts"] == [fake_text(3)] * 2
    assert kept["receipt"] == made["receipt"]
    assert client.get(f"/history/{kept['id']}").json() == kept
    parameters = kept["parameters"]
    assert (parameters["seed"], parameters["strategy"]) == (7, "top_k")
    assert parameters["params"]["top_k"] == 5
    assert (kept["prompt_tokens"], kept["completion_tokens"]) == (1, 6)
    assert (kept["outcome"], kept["key"]) == ("completed", None)


def test_what_is_not_to_be_kept_is_not_kept_and_still_counted(client: TestClient) -> None:
    generate(client, "secret", headers={"Cache-Control": "no-store"})
    client.post("/lab/next-token", json={"prompt": "typing"})
    generate(client, "open")

    assert prompts(client) == ["open"]
    assert client.get("/usage").json()["requests"] == 3


def test_words_are_found_in_prompts_and_texts_all_of_them_and_nothing_is_an_operator(
    client: TestClient,
) -> None:
    for prompt in ("the Grey heron", "a grey mouse", 'an OR "quoted" col:umn* (one) -two'):
        generate(client, prompt)

    found = {
        words: prompts(client, f"/history/search?q={words}")
        for words in ("grey", "grey heron", '"quoted"', "col:umn*", "OR (one", "hero", "'")
    }

    assert found["grey"] == ["a grey mouse", "the Grey heron"]
    assert found["grey heron"] == ["the Grey heron"]
    assert found["hero"] == []
    assert found['"quoted"'] == found["OR (one"] == ['an OR "quoted" col:umn* (one) -two']
    assert client.get("/history/search?q=").status_code == 422
    assert client.get("/history/search", params={"q": " "}).status_code == 422


def test_pages_cover_everything_once(client: TestClient) -> None:
    for number in range(7):
        generate(client, f"number {number}")
    seen: list[str] = []
    after = ""
    while True:
        page = client.get(f"/history?limit=3{after}").json()
        seen += [kept["prompt"] for kept in page["entries"]]
        if not page["has_more"]:
            break
        after = f"&after={page['entries'][-1]['id']}"

    assert seen == [f"number {number}" for number in reversed(range(7))]


def test_it_is_exported_and_deleted_with_its_words(client: TestClient) -> None:
    for prompt in ("one 🦀\nline", "two lines", "three lines"):
        generate(client, prompt)
    exported = client.get("/history/export")
    lines = [json.loads(line) for line in exported.text.splitlines()]

    assert exported.headers["content-type"].startswith("application/jsonl")
    assert [line["prompt"] for line in lines] == ["one 🦀\nline", "two lines", "three lines"]
    assert client.delete(f"/history/{lines[1]['id']}").status_code == 204
    assert client.delete(f"/history/{lines[1]['id']}").status_code == 404
    assert prompts(client, "/history/search?q=lines") == ["three lines"]
    assert client.delete("/history").json() == {"deleted": 2}
    assert prompts(client) == prompts(client, "/history/search?q=three") == []
    assert client.get("/usage").json()["requests"] == 3


def test_a_server_can_be_told_to_keep_none(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, history=False)
    with connected(FakeModels(), settings) as client:
        generate(client, "once")

        assert prompts(client) == []
        assert client.get("/usage").json()["requests"] == 1


async def test_what_is_old_enough_is_forgotten(tmp_path: Path) -> None:
    with connected(FakeModels(), Settings(data_dir=tmp_path)) as client:
        generate(client, "old")
        generate(client, "new")
        old = client.get("/history").json()["entries"][1]["id"]
        services = client.app.state.services  # type: ignore[attr-defined]

        async def age() -> None:
            async with services.lasting.storage.writing() as connection:
                await connection.exec_driver_sql(
                    f"UPDATE history SET created_at = created_at - 91 * 86400 WHERE id = '{old}'"
                )
            await services.records.history.tidy()

        assert client.portal is not None
        client.portal.call(age)

        assert prompts(client) == ["new"]


def test_nobody_finds_or_deletes_what_is_anothers(tmp_path: Path) -> None:
    with asking_server(tmp_path) as server:
        bob, cleo, ada = (server.bearer(name) for name in ("bob", "cleo", "ada"))
        generate(server.client, "heron", headers=bob)
        (kept,) = server.client.get("/history", headers=bob).json()["entries"]

        for other in (cleo, ada):
            assert_sees_nothing(server, other, kept["id"])
        assert server.client.delete("/history", headers=cleo).json() == {"deleted": 0}
        assert server.client.get(f"/history/{kept['id']}", headers=bob).status_code == 200


def assert_sees_nothing(server: Server, bearer: dict[str, str], kept_id: str) -> None:
    client = server.client
    assert client.get(f"/history/{kept_id}", headers=bearer).status_code == 404
    assert client.delete(f"/history/{kept_id}", headers=bearer).status_code == 404
    assert prompts(client, **bearer) == []
    assert prompts(client, "/history/search?q=heron", **bearer) == []
    assert prompts(client, f"/history?after={kept_id}&order=asc", **bearer) == []
    assert client.get("/history/export", headers=bearer).text == ""
