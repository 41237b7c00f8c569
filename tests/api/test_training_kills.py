"""A run whose server, and whose own process, are killed again and again ends with the same weights.

`make stress` kills twenty times; once the server is killed in every `make test`, before the tests
of `test_training.py`.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import httpx2
import pytest

from penstock.jobs.trainings.folders import RunFolder
from penstock.registry.tuning import carry_out
from tests.api.training_runs import ENDED, ended, started, write_stories
from tests.figures import record
from tests.server_process import ServerProcess, running_server

NUM_KILLS = int(os.environ.get("PENSTOCK_STRESS_ROUNDS", "0"))
PENSTOCK = (sys.executable, "-c", "from penstock.cli.main import main; main()")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.mark.skipif(not NUM_KILLS, reason="`make stress` does it.")
def test_a_run_survives_kills_of_the_server_and_of_its_process(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    write_stories(data_dir)
    environment = {
        "PENSTOCK_DATA_DIR": str(data_dir),
        "PENSTOCK_LIMITS__LEASE_SECONDS": "1",
        "PENSTOCK_THREADS": "1",
    }
    run, steps = None, []
    for number in range(NUM_KILLS + 1):
        with running_server(
            PENSTOCK, "--no-browser", folder=tmp_path, environment=environment
        ) as server:
            with httpx2.Client(base_url=server.url, timeout=60) as client:
                if run is None:
                    run = started(client, max_steps=40 * NUM_KILLS + 200, save_steps=10)
                folder = data_dir / "runs" / run["id"]
                if number == NUM_KILLS:
                    run = ended(client, run)
                    break
            steps.append(newer_checkpoint(folder, steps[-1] if steps else -1))
            if number % 2:
                os.kill(training_process(server), signal.SIGKILL)
                steps.append(newer_checkpoint(folder, steps[-1]))
            server.process.kill()

    assert run is not None and run["state"] == "succeeded", run
    assert steps[-1] < run["progress"]["max_steps"], "the last kill came too late"
    assert_never_stopped(folder, tmp_path / "whole")
    figures = {
        "kills of the server": NUM_KILLS,
        "kills of the run's process besides": NUM_KILLS // 2,
        "steps": run["progress"]["max_steps"],
        "same weights as without": True,
    }
    record("training runs through kills", "of a server", figures)


def newer_checkpoint(folder: Path, step: int) -> int:
    """Wait for a checkpoint of a later step; its step."""
    deadline = time.monotonic() + 240
    while (found := latest_step(folder)) <= step:
        assert time.monotonic() < deadline, (RunFolder(folder).last_news(), ENDED)
        time.sleep(0.02)
    return found


def latest_step(folder: Path) -> int:
    names = [path.name.partition("-")[2] for path in folder.glob("checkpoint-*")]
    return max((int(name) for name in names if name.isdigit()), default=-1)


def training_process(server: ServerProcess) -> int:
    """The process that trains for the server."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            command = (stat.parent / "cmdline").read_bytes()
        except OSError:  # it has just ended
            continue
        if parent == server.process.pid and b"penstock.registry.tuning" in command:
            return int(stat.parent.name)
    pytest.fail("The server trains in no process.")


def assert_never_stopped(folder: Path, whole: Path) -> None:
    """The run's weights are those of one that nobody disturbed."""
    asked = json.loads((folder / "asked.json").read_text())
    asked["recipe"]["output_dir"] = str(whole)
    RunFolder(whole).ask(asked | {"serve_as": None, "nice": 0})

    assert carry_out(whole) == 0

    weights = [(path / "model" / "model.safetensors").read_bytes() for path in (whole, folder)]
    assert weights[0] == weights[1]
