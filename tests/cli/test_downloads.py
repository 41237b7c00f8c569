"""A server that is told to stop while it fetches a model."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.api.reading import events_of
from tests.model.folders import tiny_config, write_model
from tests.model.hub_server import FakeHub, serving
from tests.server_process import ServerProcess, running_server

PENSTOCK = [sys.executable, "-c", "from penstock.cli.main import main; main()"]
REPO = "someone/tiny"
END_SECONDS = 60
ROUNDS = range(10 if "PENSTOCK_STRESS_STREAMS" in os.environ else 1)  # `make stress` has them


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a hub has of a small model."""
    folder = tmp_path_factory.mktemp("source")
    write_model(folder, tiny_config())
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def pulled(server: ServerProcess) -> Iterator[dict[str, Any]]:
    """The events of a download, as they come."""
    with httpx2.stream("POST", f"{server.url}/models/{REPO}/pull", timeout=60) as answer:
        assert answer.status_code == 200, answer.read()
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                (event,) = events_of(line + "\n\n")
                yield event


@pytest.mark.parametrize("number", ROUNDS)
def test_a_signal_during_a_download_ends_the_server_and_the_next_one_goes_on(
    tmp_path: Path, files: dict[str, bytes], number: int
) -> None:
    num_before = sum(len(files[name]) for name in files if not name.endswith(".safetensors"))
    with serving(FakeHub(REPO, files, pause_seconds=0.2)) as hub:
        home = {"HF_HOME": str(tmp_path / "hub"), "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": ""}
        environment = home | {"BROWSER": "true"}
        with running_server(PENSTOCK, folder=tmp_path, environment=environment) as server:
            events = pulled(server)
            assert any(
                event["num_bytes"] > num_before for event in events
            )  # the weights have begun

            server.process.send_signal(signal.SIGTERM)

            told = list(events)
            assert server.process.wait(timeout=END_SECONDS) == 0
        assert told[-1]["error"]["code"] == "server_is_shutting_down", told[-1]
        assert "Traceback" not in server.log.read_text()

        hub.pause_seconds = 0.0
        with running_server(PENSTOCK, folder=tmp_path, environment=environment) as server:
            *_, last = pulled(server)
        asked = [begins for path, begins, _ in hub.requests if path.endswith(".safetensors")]
    assert last["event"] == "done", last
    assert len(asked) == 2 and asked[1] is not None, "the second server began at the beginning"
