"""A server process that is told to stop: it finishes what runs, takes nothing new, and exits."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.api.reading import DONE, events_of
from tests.fakes import fake_text

EXIT_SECONDS = 30
ROUNDS = range(15 if "PENSTOCK_STRESS_STREAMS" in os.environ else 1)  # `make stress` has them


@dataclass
class Process:
    url: str
    process: "subprocess.Popen[str]"

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def exit_status(self) -> int:
        return self.process.wait(EXIT_SECONDS)

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(self.url + path, timeout=30)

    def until_ready(self, status: int, timeout_seconds: float = 30) -> httpx2.Response:
        deadline = time.monotonic() + timeout_seconds
        while (response := self.get("/readyz")).status_code != status:
            assert time.monotonic() < deadline, response.text
            time.sleep(0.02)
        return response


@contextlib.contextmanager
def served(**environment: str) -> Iterator[Process]:
    """A server process with its own settings."""
    variables = {**os.environ, "PENSTOCK_PORT": "0", **environment}
    command = [sys.executable, "-m", "tests.api.fake_server"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables)
    try:
        assert process.stdout is not None
        yield Process(process.stdout.readline().strip(), process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def streaming(server: Process, **fields: Any) -> Iterator[Iterator[str]]:
    """A stream of which the first event has been read."""
    body = {"prompt": "Once upon a time", "stream": True, **fields}
    with httpx2.stream("POST", f"{server.url}/generate", json=body, timeout=30) as response:
        lines = response.iter_lines()
        assert '"start"' in next(lines)
        yield lines


def rest(lines: Iterator[str]) -> list[Any]:
    return events_of("\n".join(["data: {}", *lines]) + "\n")[1:]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_running_texts_finish_and_new_ones_are_refused(number: signal.Signals) -> None:
    with served(FAKE_STEP_SECONDS="0.05") as server:
        server.until_ready(200)
        with streaming(server, max_new_tokens=60) as lines:
            server.signal(number)
            draining = server.until_ready(503, timeout_seconds=1)
            refused = httpx2.post(f"{server.url}/generate", json={"prompt": "x"})
            alive = server.get("/livez")
            events = rest(lines)

        assert draining.json() == {"status": "draining"}
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "2"
        assert refused.json()["error"]["code"] == "server_is_shutting_down"
        assert alive.status_code == 200
        assert events[-1] == DONE
        assert events[-2]["sequences"][0]["text"] == fake_text(60)
        assert server.exit_status() == 0


def test_a_text_that_does_not_finish_in_time_is_told_so() -> None:
    with served(FAKE_STEP_SECONDS="0.05", PENSTOCK_LIMITS__DRAIN_SECONDS="0.3") as server:
        server.until_ready(200)
        with streaming(server, max_new_tokens=500) as lines:
            server.signal(signal.SIGTERM)
            events = rest(lines)

        assert events[-1]["error"]["code"] == "server_is_shutting_down"
        assert DONE not in events
        assert server.exit_status() == 0


@pytest.mark.parametrize("number", ROUNDS)
def test_a_second_signal_stops_at_once(number: int) -> None:
    with served(FAKE_STEP_SECONDS="0.05") as server:
        server.until_ready(200)
        with (
            contextlib.suppress(httpx2.RemoteProtocolError),
            streaming(server, max_new_tokens=500) as lines,
        ):
            server.signal(signal.SIGTERM)
            server.until_ready(503)
            server.signal(signal.SIGTERM)
            list(lines)

        assert server.exit_status() == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", ROUNDS)
def test_a_signal_while_the_model_loads_does_not_wait_for_it(number: int) -> None:
    with served(FAKE_LOAD_SECONDS="600") as server:
        assert server.get("/livez").status_code == 200
        assert server.get("/readyz").json() == {"status": "loading"}

        server.signal(signal.SIGTERM)

        assert server.exit_status() == 0


def test_a_port_in_use_is_said_in_one_line() -> None:
    with served() as first:
        port = first.url.rpartition(":")[2]
        variables = {**os.environ, "PENSTOCK_PORT": port}
        command = [sys.executable, "-m", "tests.api.fake_server"]
        second = subprocess.run(
            command, env=variables, capture_output=True, text=True, check=False, timeout=30
        )

    assert second.returncode != 0
    assert (
        f"ConfigError: Cannot listen on 127.0.0.1:{port}: Address already in use. "
        "Stop what uses it, or choose another with --port or PENSTOCK_PORT."
    ) in second.stderr


def test_a_database_that_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("No database at all. " * 100)
    variables = {**os.environ, "PENSTOCK_DATABASE_URL": f"sqlite:///{file}", "PENSTOCK_PORT": "0"}

    server = subprocess.run(
        [sys.executable, "-c", "from penstock.cli.main import main; main()", "serve"],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert server.returncode == 3
    assert f"The database {file} cannot be used: file is not a database." in " ".join(
        server.stderr.split()
    )
    assert "Traceback" not in server.stderr
