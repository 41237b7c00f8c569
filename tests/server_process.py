"""A server in a process of its own, for tests that need a real one.

It chooses its port itself and tells it, so that no two servers can be taken for each other.
"""

import contextlib
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

START_SECONDS = 120  # so many only where the machine is busy with other things


@dataclass(frozen=True)
class ServerProcess:
    """A server that is ready, where it listens, and the file it logs to."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path


@contextlib.contextmanager
def running_server(
    penstock: Sequence[str | Path],
    *options: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[ServerProcess]:
    """Run `penstock serve` in `folder` until the end of the block; killed if it still runs then."""
    log = folder / "server.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*penstock, "serve", "--port", "0", *options],
            cwd=folder,
            env=os.environ
            | {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "data")}
            | (environment or {}),
            stdout=file,
            stderr=file,
        )
    try:
        yield ServerProcess(process, _address_when_ready(process, log), log)
    finally:
        process.kill()
        process.wait()


def _address_when_ready(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        told = re.search(r"^Penstock is at (\S+)$", log.read_text(), flags=re.M)
        if told is not None and _is_ready(told[1]):
            return told[1]
        time.sleep(0.05)
    pytest.fail(f"The server did not become ready.\n{log.read_text()}")


def _is_ready(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
    except OSError:
        return False
    return True
