"""A Redis of a test's own, which can be stopped, held up and started again."""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import redis

from tests.conftest import missing


class OwnRedis:
    """Keeps its port, and nothing else, through restarts."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._folder = folder
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._process = self._start()

    def restart(self) -> None:
        """Kill it and start an empty one."""
        self.close()
        self._process = self._start()

    def hold_up(self, seconds: float) -> None:
        """Let it stand still for so long; it takes connections and answers none."""
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    def forget(self) -> None:
        """FLUSHALL."""
        with redis.Redis.from_url(self.url, socket_timeout=5) as client:
            client.flushall()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            ["redis-server", "--port", str(self._port), "--bind", "127.0.0.1", "--save", ""],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(redis.RedisError):
                with redis.Redis.from_url(self.url, socket_timeout=5) as client:
                    client.ping()
                return process
            time.sleep(0.02)
        raise AssertionError("Redis does not start")


@contextlib.contextmanager
def own_redis(folder: Path) -> Iterator[OwnRedis]:
    """One that is gone after the block, or the test is skipped."""
    if shutil.which("redis-server") is None:
        missing("redis", "redis-server is not installed.")
    server = OwnRedis(folder)
    try:
        yield server
    finally:
        server.close()
