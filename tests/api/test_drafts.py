"""A model with a draft, over HTTP, in a worker process that holds both."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from penstock.api.app import create_app
from penstock.api.building import build_services, loading_options
from penstock.serving.launching import ProcessLauncher
from penstock.serving.local_models import LocalModels
from penstock.settings import Settings
from tests.api.real_server import EDGE
from tests.model.folders import tiny_config, write_model

BODY = {"prompt": "Once", "max_new_tokens": 20, "seed": 1, "temperature": 0.9}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("models")
    large, small = folder / "large", folder / "small"
    write_model(large, tiny_config(n_embd=32, n_positions=64))
    write_model(small, tiny_config(n_embd=16, n_positions=64, n_layer=1))
    settings = Settings(
        model=str(large), threads=1, draft_models=(f"{large}={small}",), data_dir=folder
    )
    source = LocalModels(settings.preload, loading_options(settings))
    app = create_app(build_services(settings, source, ProcessLauncher(source)), EDGE)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def test_assisted_writes_what_sampling_writes_and_its_receipt_replays(client: TestClient) -> None:
    assisted, sampled = (
        client.post("/generate", json=BODY | {"strategy": strategy}).json()
        for strategy in ("assisted", "sampling")
    )

    assert assisted["strategy"] == "assisted"
    assert assisted["sequences"][0]["text"] == sampled["sequences"][0]["text"]
    replayed = client.post(f"/replay/{assisted['receipt']}").json()
    assert replayed["is_same"]


def test_a_model_tells_its_draft(client: TestClient) -> None:
    client.post("/generate", json=BODY | {"strategy": "assisted"})

    assert client.get("/models/large").json()["draft"] == "small"
    assert client.get("/models/gpt2").json()["draft"] is None


def test_a_model_without_one_says_so(client: TestClient) -> None:
    body = BODY | {"strategy": "assisted", "model": "penstock-tiny"}

    error = client.post("/generate", json=body).json()["error"]

    assert error["param"] == "strategy"
    assert "PENSTOCK_DRAFT_MODELS" in error["message"]
