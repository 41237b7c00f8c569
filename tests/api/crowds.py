"""A server process over the fake engine, what it holds, and many clients on raw sockets."""

import asyncio
import contextlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY

IS_STRESS = "PENSTOCK_STRESS_STREAMS" in os.environ
POOL = 8  # threads and connections that are kept for whoever comes next, clients being many or few
WAIT_SECONDS = 30.0  # for what comes soon; so long only where the machine is busy
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    files: int
    threads: int
    mib: float

    @classmethod
    def by(cls, pid: int) -> "Held":
        status = Path(f"/proc/{pid}/status").read_text()
        (threads,) = re.findall(r"Threads:\s+(\d+)", status)
        (kib,) = re.findall(r"VmRSS:\s+(\d+)", status)
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return cls(files, int(threads), int(kib) / 1024)


@dataclass(frozen=True)
class Crowded:
    """The process of a server, and where it listens and logs."""

    process: "subprocess.Popen[str]"
    port: int
    log: Path

    @property
    def held(self) -> Held:
        return Held.by(self.process.pid)

    def get(self, path: str) -> str:
        url = f"http://127.0.0.1:{self.port}{path}"
        return str(urllib.request.urlopen(url, timeout=WAIT_SECONDS).read().decode())

    def is_ready(self) -> bool:
        with contextlib.suppress(urllib.error.HTTPError):
            return "ready" in self.get("/readyz")
        return False

    def gauge(self, name: str) -> float:
        """The sum of a metric over its labels."""
        found = re.findall(rf"^penstock_{name}(?:\{{.*\}})? (\S+)$", self.get("/metrics"), re.M)
        return sum(map(float, found))

    async def idle(self, within_seconds: float = WAIT_SECONDS) -> float:
        """Wait until nothing is under way; how long that took."""
        started = time.monotonic()
        while await asyncio.to_thread(self._is_busy):
            assert time.monotonic() < started + within_seconds, "something stays under way"
            await asyncio.sleep(0.02)
        return time.monotonic() - started

    async def let_go(self, before: Held) -> Held:
        """What is held once connections have gone: neither a file nor a thread for each client."""
        deadline = time.monotonic() + WAIT_SECONDS
        while (now := self.held).files > before.files + POOL or now.threads > before.threads + POOL:
            assert time.monotonic() < deadline, (before, now)
            await asyncio.sleep(0.05)
        return now

    def _is_busy(self) -> bool:
        return bool(self.gauge("texts_under_way") or self.gauge("engine_running"))


@contextlib.contextmanager
def crowded(
    folder: Path, *, started_by: Sequence[str] = (), **environment: str
) -> Iterator[Crowded]:
    """A server over the fake engine, ready; its command may be another command's arguments."""
    log = folder / "server.log"
    variables = {
        **os.environ,
        "PENSTOCK_PORT": "0",
        "PENSTOCK_DATA_DIR": str(folder),
        "PENSTOCK_CACHE_MIB": "0",
        **environment,
    }
    with log.open("w") as file:
        process = subprocess.Popen(
            [*started_by, sys.executable, "-m", "tests.api.fake_server"],
            cwd=REPOSITORY,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline().rpartition(":")[2])
        server = Crowded(process, port, log)
        while not server.is_ready():
            assert process.poll() is None, log.read_text()
            time.sleep(0.02)
        yield server
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@dataclass(frozen=True)
class Answer:
    """What came back, and how long its headers took."""

    head: str
    body: str
    header_seconds: float

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    @property
    def text(self) -> str:
        """The text that a whole stream brought."""
        assert "data: [DONE]" in self.body[-40:], self.body[-500:]
        lines = [line for line in self.body.splitlines() if line.startswith('data: {"')]
        events = [json.loads(line.removeprefix("data: ")) for line in lines]
        return str(events[-1]["sequences"][0]["text"])


def request_bytes(body: dict[str, Any], *, path: str = "/generate") -> bytes:
    """A request as it goes over the wire."""
    content = json.dumps(body).encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    ).encode() + content


async def ask(port: int, body: dict[str, Any], begun: asyncio.Semaphore | None = None) -> Answer:
    """The whole answer. `begun` is released once its headers are here."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer):
        started = time.monotonic()
        writer.write(request_bytes(body))
        head = await reader.readuntil(b"\r\n\r\n")
        seconds = time.monotonic() - started
        if begun is not None:
            begun.release()
        rest = await reader.read()
    return Answer(head.decode(), rest.decode(), seconds)


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a client does that is gone."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of them is."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
