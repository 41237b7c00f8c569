"""Adapters over HTTP: chosen per request, listed, loaded, unloaded, in a worker process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from penstock.api.app import create_app
from penstock.api.building import build_services, loading_options
from penstock.model.adapter_folder import adapter_digest
from penstock.serving.launching import ProcessLauncher
from penstock.serving.local_models import LocalModels
from penstock.settings import Settings
from tests.api.conftest import connected
from tests.api.real_server import EDGE
from tests.fakes import FakeModels
from tests.model.folders import tiny_config, write_model
from tests.model.lora_folders import write_lora

BODY = {"prompt": "Once", "strategy": "greedy", "max_new_tokens": 12, "seed": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with one adapter, beside a model and another adapter."""
    folder = tmp_path_factory.mktemp("data")
    model = write_model(folder / "tiny", tiny_config(n_embd=32, n_positions=64))
    changes = {"base_model_name_or_path": "/home/someone/tiny"}
    write_lora(folder / "adapters" / "placed", model, ("c_attn", "c_fc"), seed=1, changes=changes)
    write_lora(folder / "elsewhere" / "named", model, ("c_proj",), seed=2)
    write_lora(folder / "adapters" / "broken", model, ("c_proj",), changes={"use_dora": True})
    write_lora(folder / "other" / "placed", model, ("c_proj",), seed=3)
    return folder


@pytest.fixture(scope="module")
def worker(folder: Path) -> Iterator[TestClient]:
    """A client of a server whose model runs in a worker process."""
    settings = Settings(
        cache_mib=0,
        model=str(folder / "tiny"),
        data_dir=folder,
        adapters=(str(folder / "elsewhere" / "named"),),
        threads=1,
        model_changes="on",
    )
    source = LocalModels(settings.preload, loading_options(settings))
    app = create_app(build_services(settings, source, ProcessLauncher(source)), EDGE)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def generated(client: TestClient, **fields: object) -> dict[str, Any]:
    response = client.post("/generate", json=BODY | fields)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def error_of(response: Any) -> tuple[int, str, str]:
    error = response.json()["error"]
    return response.status_code, error["code"], error["param"]


def loaded(client: TestClient) -> dict[str, list[str]]:
    adapters = client.get("/adapters").json()["adapters"]
    return {a["name"]: [where["digest"] for where in a["loaded"]] for a in adapters}


def test_each_request_says_which_and_the_receipt_tells_them_apart(worker: TestClient) -> None:
    answers = [generated(worker, adapter=name) for name in (None, "placed", "named", "placed")]

    texts = [answer["sequences"][0]["text"] for answer in answers]
    receipts = [answer["receipt"] for answer in answers]
    named = [answer.get("adapter") for answer in answers]
    assert named == [None, "placed", "named", "placed"]
    assert (texts[1], receipts[1]) == (texts[3], receipts[3])
    assert len(set(texts)) == len(set(receipts)) == 3


def test_columns_of_a_comparison_may_have_different_ones(worker: TestClient) -> None:
    columns = [{}, {"adapter": "placed"}, {"adapter": "named"}, {"adapter": "none"}]

    answer = worker.post("/compare", json=BODY | {"columns": columns}).json()["columns"]

    alone = [generated(worker, **c)["sequences"][0]["text"] for c in columns[:3]]
    assert [column["sequences"][0]["text"] for column in answer[:3]] == alone
    assert answer[3]["error"]["code"] == "adapter_not_found"


def test_openais_routes_take_it_as_a_field_of_ours(worker: TestClient) -> None:
    body = {"model": "tiny", "prompt": "Once", "max_tokens": 12, "temperature": 0}

    texts = [
        worker.post("/v1/completions", json=body | more).json()["choices"][0]["text"]
        for more in ({}, {"adapter": "placed"})
    ]

    assert texts == [
        generated(worker, adapter=name)["sequences"][0]["text"] for name in (None, "placed")
    ]
    refused = worker.post("/v1/completions", json=body | {"adapter": "none"})
    assert error_of(refused) == (404, "adapter_not_found", "adapter")


def test_embeddings_are_those_of_the_model_with_the_adapter(worker: TestClient) -> None:
    def embedded(route: str, **more: object) -> list[float]:
        body = {"model": "tiny", "input": "Once upon", **more}
        answer = worker.post(route, json=body).json()
        vector = answer["embeddings"][0] if "embeddings" in answer else answer["data"][0]
        values: list[float] = vector if isinstance(vector, list) else vector["embedding"]
        return values

    base = embedded("/v1/embeddings")
    adapted = embedded("/v1/embeddings", adapter="placed")

    assert adapted != pytest.approx(base, abs=1e-3)
    assert embedded("/v1/embeddings", adapter="named") not in (base, adapted)
    assert embedded("/v1/embeddings") == base
    assert embedded("/api/embed", options={"adapter": "placed", "num_thread": 1}) == adapted
    former = {"model": "tiny", "prompt": "Once upon", "options": {"adapter": "placed"}}
    assert worker.post("/api/embeddings", json=former).json()["embedding"] == adapted


def test_the_lab_looks_at_the_model_with_the_adapter(worker: TestClient) -> None:
    answer = generated(worker, adapter="placed", logprobs=0)
    written = answer["sequences"][0]
    text = {"text": "Once upon a time", "keep_alive": "1h"}
    scored = worker.post("/lab/score", json=text | {"adapter": "placed"}).json()
    unadapted = worker.post("/lab/score", json=text).json()
    last = scored["tokens"][-1]
    prefix = "".join(token["token"] for token in scored["tokens"][:-1])
    asked = {"prompt": prefix, "adapter": "placed", "named_tokens": [last["token_id"]]}
    next_token = worker.post("/lab/next-token", json=asked).json()
    branch = {"receipt": answer["receipt"], "position": 4}
    branched = worker.post("/lab/branch", json=branch).json()

    assert scored["logprob"] != pytest.approx(unadapted["logprob"], abs=0.01)
    assert next_token["named"][0]["logprob"] == pytest.approx(last["logprob"], abs=1e-4)
    assert branched["branch"]["kept"] + branched["sequences"][0]["text"] == written["text"]
    assert branched["adapter"] == "placed"


CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}
QUESTIONS: dict[str, dict[str, object]] = {
    "/v1/completions": {"model": "tiny", "prompt": "x", "adapter": "none"},
    "/v1/chat/completions": CHAT | {"adapter": "none"},
    "/v1/responses": {"model": "tiny", "input": "x", "adapter": "none"},
    "/v1/messages": CHAT | {"max_tokens": 3, "adapter": "none"},
    "/api/generate": {"model": "tiny", "prompt": "x", "options": {"adapter": "none"}},
    "/api/chat": CHAT | {"options": {"adapter": "none"}},
    "/v1/embeddings": {"model": "tiny", "input": "x", "adapter": "none"},
    "/api/embed": {"model": "tiny", "input": "x", "options": {"adapter": "none"}},
    "/api/embeddings": {"model": "tiny", "prompt": "x", "options": {"adapter": "none"}},
    "/lab/next-token": {"prompt": "x", "adapter": "none"},
    "/lab/score": {"text": "x", "adapter": "none"},
}


@pytest.mark.parametrize("route", QUESTIONS)
def test_every_dialect_passes_the_name_on(worker: TestClient, route: str) -> None:
    response = worker.post(route, json=QUESTIONS[route])

    assert response.status_code == 404
    known = "There are broken, named, penstock-tiny-chat, placed."
    assert f"There is no adapter 'none'. {known}" in response.text


def test_it_is_loaded_on_first_use_and_unloaded_when_asked(
    worker: TestClient, folder: Path
) -> None:
    digest = adapter_digest(folder / "adapters" / "placed")
    for name in ("placed", "named"):
        worker.post(f"/adapters/{name}/unload")
    before = loaded(worker)
    assert not any(before.values())

    generated(worker, adapter="placed")
    on_first_use = loaded(worker)
    asked_for = worker.post("/adapters/named/load").json()
    unloaded = worker.post("/adapters/placed/unload", json={"model": "tiny"}).json()

    assert on_first_use == before | {"placed": [digest]}
    assert asked_for["loaded"][0]["model"] == "tiny"
    assert asked_for["loaded"][0]["memory_bytes"] > 0
    assert (asked_for["base_model"], asked_for["rank"]) == ("someone/base", 3)
    assert unloaded["loaded"] == []
    assert list(filter(None, loaded(worker).values())) == [[asked_for["loaded"][0]["digest"]]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", (404, "adapter_not_found", "adapter")),
        ("../other/placed", (404, "adapter_not_found", "adapter")),
        ("broken", (400, "unsupported_adapter", "adapter")),
        ("", (422, "invalid_parameter", "adapter")),
        (7, (422, "invalid_parameter", "adapter")),
    ],
)
def test_what_cannot_be_had_is_refused_with_its_field(
    worker: TestClient, name: object, expected: tuple[int, str, str]
) -> None:
    assert error_of(worker.post("/generate", json=BODY | {"adapter": name})) == expected


def test_the_list_tells_what_is_wrong_with_one(worker: TestClient) -> None:
    adapters = {a["name"]: a for a in worker.get("/adapters").json()["adapters"]}

    assert "use_dora=True is not supported" in adapters["broken"]["error"]
    assert adapters["placed"]["error"] is None
    assert (adapters["placed"]["models"], adapters["named"]["models"]) == (["tiny"], None)
    assert error_of(worker.post("/adapters/broken/load"))[1] == "unsupported_adapter"


@pytest.mark.parametrize("path", ["load", "unload"])
def test_only_who_may_change_models_may_load_and_unload(path: str, tmp_path: Path) -> None:
    with connected(FakeModels(), Settings(model_changes="off", data_dir=tmp_path)) as client:
        assert client.post(f"/adapters/a/{path}").status_code == 403
        (shipped,) = client.get("/adapters").json()["adapters"]
        assert shipped["name"] == "penstock-tiny-chat"
