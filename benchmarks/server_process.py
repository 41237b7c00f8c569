"""A `penstock serve` of its own: how long until it is ready, and how much memory it takes."""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from types import MappingProxyType, TracebackType
from typing import Self

from benchmarks.memory import family_of, peak_bytes_of_family

POLL_SECONDS = 0.02
GIVE_UP_SECONDS = 120


class ServerFailed(Exception):
    """The server ended, or was not ready in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start of the server, to the first `/readyz` that says ready."""

    ready_seconds: float
    ready_bytes: int | None


class ServerProcess:
    """Owns a server with one model on a free port of this machine. Use as a context."""

    def __init__(self, model: str, variables: Mapping[str, str] = MappingProxyType({})) -> None:
        self.port = _free_port()
        self._scratch = tempfile.TemporaryDirectory(prefix="penstock-bench-")
        folder = Path(self._scratch.name)
        self._log = (folder / "log").open("w+")
        self._started = perf_counter()
        arguments = ["--port", str(self.port), "--model", model, "--no-browser"]
        self._process = subprocess.Popen(  # noqa: S603  # our own command
            [Path(sys.executable).with_name("penstock"), "serve", *arguments],
            cwd=folder,
            env={**_plain_environment(folder), **variables},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def wait_until_ready(self) -> Start:
        while not self._is_ready():
            if self._process.poll() is not None or self._seconds() > GIVE_UP_SECONDS:
                self._log.seek(0)
                raise ServerFailed(f"The server is not ready:\n{self._log.read()[-2000:]}")
            sleep(POLL_SECONDS)
        return Start(ready_seconds=self._seconds(), ready_bytes=self.peak_bytes())

    def peak_bytes(self) -> int | None:
        return peak_bytes_of_family(self._process.pid)

    def processor_seconds(self) -> float:
        """What the server's own process has taken so far, without its workers."""
        return _processor_seconds(self._process.pid)

    def family_processor_seconds(self) -> float:
        """What the server and its workers have taken so far."""
        return sum(map(_processor_seconds, family_of(self._process.pid)))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=60)
        self._log.close()
        self._scratch.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    def _seconds(self) -> float:
        return perf_counter() - self._started

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()


def measure_start(model: str) -> Start:
    """Start a server with `model`, wait until it is ready, and stop it."""
    with ServerProcess(model) as server:
        return server.wait_until_ready()


def _processor_seconds(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _plain_environment(folder: Path) -> dict[str, str]:
    """This environment without settings of Penstock, which would make runs differ.

    Rounds repeat their prompts, which the others compute each time: so nothing is kept here.
    """
    kept = {name: value for name, value in os.environ.items() if "PENSTOCK" not in name}
    own = {
        "PENSTOCK_DATA_DIR": str(folder / "data"),
        "PENSTOCK_ENGINE__PREFIX_CACHE": "false",
        "PENSTOCK_CACHE_MIB": "0",
    }
    return kept | own
