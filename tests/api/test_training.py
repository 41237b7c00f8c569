"""Training runs over HTTP: asked, followed, fetched, cancelled, resumed, refused, and served."""

import fcntl
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from penstock.jobs.trainings.folders import RunFolder
from penstock.registry.tuning import LOCK, carry_out
from penstock.settings import Settings
from tests.api.conftest import connected
from tests.api.test_training_kills import PENSTOCK, assert_never_stopped
from tests.api.training_runs import RECIPE, ended, has_begun, started, waited, write_stories
from tests.fakes import FakeModels
from tests.server_process import running_server

LONG = {"max_steps": 100_000, "eval_steps": 100_000}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a data set."""
    folder = tmp_path_factory.mktemp("data")
    write_stories(folder)
    return folder


@pytest.fixture(scope="module")
def trainer(data_dir: Path) -> Iterator[TestClient]:
    """A client of a server that trains, the one before which was killed in the middle of a run."""
    environment = {"PENSTOCK_DATA_DIR": str(data_dir), "PENSTOCK_THREADS": "1"}
    limits = {"PENSTOCK_LIMITS__LEASE_SECONDS": "1"}
    with running_server(
        PENSTOCK, "--no-browser", folder=data_dir, environment=environment | limits
    ) as server:
        with httpx2.Client(base_url=server.url, timeout=60) as client:
            folder = data_dir / "runs" / started(client, serve_as="small-stories")["id"]
            while not RunFolder(folder).events():
                assert server.process.poll() is None
                time.sleep(0.01)
        server.process.kill()
    with (folder / LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # its process has noticed, and saved
    assert 0 < json.loads((folder / "run.json").read_text())["step"] < RECIPE["max_steps"]
    with connected(FakeModels(), Settings(data_dir=data_dir)) as client:
        yield client


@pytest.fixture(scope="module")
def finished(trainer: TestClient) -> dict[str, Any]:
    """A run that a server before this one began and left to it."""
    (run,) = trainer.get("/training/runs").json()["data"]
    run = ended(trainer, run)
    assert run["state"] == "succeeded", run
    return run


def test_a_run_trains_and_its_model_is_served(
    trainer: TestClient, finished: dict[str, Any], data_dir: Path
) -> None:
    progress = finished["progress"]

    assert finished["model"] == "small-stories@1"
    assert (progress["step"], progress["max_steps"]) == (120, 120)
    assert 0 < progress["validation_loss"] < 6 and progress["seconds_left"] is None
    assert {"report.html", "loss.png", "log.jsonl", "model/model.safetensors"} <= set(
        finished["artefacts"]
    )
    lineage = json.loads((data_dir / "tuned" / "small-stories" / "versions.json").read_text())
    assert lineage["history"] == [1]
    assert trainer.get("/training/runs").json()["data"][0]["id"] == finished["id"]
    assert trainer.get(f"/jobs/{finished['id']}").json()["kind"] == "training"


def test_its_events_have_loss_rate_and_time_left(
    trainer: TestClient, finished: dict[str, Any]
) -> None:
    lines = trainer.get(f"/training/runs/{finished['id']}/events").text.split("\n\n")

    events = [json.loads(x.removeprefix("data: ")) for x in lines if x.startswith("data: {")]
    steps = [event for event in events if event["event"] == "train"]
    assert [event["step"] for event in steps] == list(range(10, 121, 10))
    assert all({"loss", "learning_rate", "tokens_per_second"} <= event.keys() for event in steps)
    assert steps[0]["seconds_left"] > 0 and steps[-1]["seconds_left"] == 0
    assert {"validation", "sample", "score"} <= {event["event"] for event in events}
    assert (events[-1]["event"], events[-1]["state"]) == ("run", "succeeded")


def test_artefacts_are_files_to_keep_and_nothing_else_is_given(
    trainer: TestClient, finished: dict[str, Any]
) -> None:
    path = f"/training/runs/{finished['id']}/artefacts"

    report = trainer.get(f"{path}/report.html")
    for name in ("asked.json", "data/0.txt", "../x", "model/../asked.json"):
        assert trainer.get(f"{path}/{name}").status_code == 404

    assert report.headers["content-disposition"].startswith("attachment")
    assert "small" in report.text


def test_a_run_is_cancelled_within_a_step_and_keeps_what_it_learnt(
    trainer: TestClient, data_dir: Path
) -> None:
    run = waited(trainer, started(trainer, **LONG), has_begun)

    trainer.post(f"/training/runs/{run['id']}/cancel", json={})
    run = ended(trainer, run)

    assert run["state"] == "cancelled" and run["progress"]["step"] < 100_000
    record = json.loads((data_dir / "runs" / run["id"] / "run.json").read_text())
    assert record["status"] == "stopped"
    assert list((data_dir / "runs" / run["id"]).glob(f"checkpoint-*{record['step']}"))


def test_the_run_that_was_left_ended_like_one_that_never_stopped(
    finished: dict[str, Any], data_dir: Path, tmp_path: Path
) -> None:
    assert_never_stopped(data_dir / "runs" / finished["id"], tmp_path)


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"data": [{"path": "/etc/passwd"}]}, 422, "recipe.data.0"),
    ({"data": [{"dataset": "stories", "path": "x.txt"}]}, 422, "recipe.data.0"),
    ({"data": [{"dataset": "../stories"}]}, 422, "recipe.data.0.dataset"),
    ({"data": [{"file": "file-1"}]}, 404, "There is no file"),
    ({"data": [{"file": 7}]}, 422, "recipe.data.0.file"),
    ({"data": "stories"}, 422, "recipe.data"),
    ({"validation": {"path": "x"}}, 422, "recipe.validation"),
    ({"output_dir": "/tmp/x"}, 422, "recipe.output_dir"),
    ({"tokenizer": "/tmp/x"}, 422, "recipe.tokenizer"),
    ({"max_stepz": 3}, 422, "Did you mean max_steps?"),
    ({"learning_rate": -1}, 422, "learning_rate"),
    ({"initial_model": "/etc", "model": {}}, 404, "There is no model"),
]


@pytest.mark.parametrize(("changes", "status", "message"), REFUSED)
def test_what_cannot_be_trained_is_refused_at_once(
    trainer: TestClient, changes: dict[str, Any], status: int, message: str
) -> None:
    recipe = {"data": [{"dataset": "stories"}]} | RECIPE | changes
    response = trainer.post("/training/runs", json={"recipe": recipe})

    assert (response.status_code, message in response.text) == (status, True), response.text


def test_a_name_that_is_another_models_is_refused(trainer: TestClient) -> None:
    recipe = {"data": [{"dataset": "stories"}]} | RECIPE
    for name in ("gpt2", "../x"):
        refused = trainer.post("/training/runs", json={"recipe": recipe, "serve_as": name})
        assert refused.status_code == 422, refused.text


def test_bad_data_end_a_run_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "good"}\n{"text": 7}\n')
    recipe = RECIPE | {"data": [{"path": str(tmp_path / "a.jsonl")}], "threads": 1}
    recipe["output_dir"] = str(tmp_path)
    RunFolder(tmp_path).ask({"recipe": recipe, "serve_as": None, "nice": 0})

    assert carry_out(tmp_path) == 0

    outcome = RunFolder(tmp_path).outcome()
    assert outcome is not None and outcome.problem is not None
    assert outcome.problem["code"] == "invalid_recipe"
    assert "a.jsonl, line 2" in outcome.problem["message"]


def test_only_who_may_change_models_may_train(tmp_path: Path) -> None:
    with connected(FakeModels(), Settings(model_changes="off", data_dir=tmp_path)) as client:
        assert client.post("/training/runs", json={"recipe": {}}).status_code == 403
        assert client.get("/training/runs").json() == {"data": [], "has_more": False}
        assert client.get("/training/runs/job_1").status_code == 404
