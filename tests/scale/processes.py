"""Processes that are killed and started again while a test goes on."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


class Restarted:
    """A process that announces one line when it is ready, and can be killed at any time."""

    def __init__(self, module: str, environment: Mapping[str, str], log: Path) -> None:
        self.module = module
        self._environment = os.environ | dict(environment)
        self._log = log.open("ab")
        self.announced = ""
        self.num_kills = 0
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        self.announced = ""
        process = subprocess.Popen(
            [sys.executable, "-m", self.module],
            cwd=REPOSITORY,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        return process

    def _listen(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        with process.stdout:
            line = process.stdout.readline().decode().strip()
            if process.poll() is None:
                self.announced = line
            process.wait()

    def kill(self) -> None:
        """`kill -9`, then another like it."""
        self._end()
        self.num_kills += 1
        self.process = self._start()

    def close(self) -> None:
        """End it for good."""
        self._end()
        self._log.close()

    def _end(self) -> None:
        self.process.kill()
        self.process.wait()
