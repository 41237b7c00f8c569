"""A contender seen from the outside: starts its process, hands it loads, takes its answers."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.load import About, Load, Run, about_from, run_from, to_line

ROOT = Path(__file__).parents[1]
OWN_INTERPRETER = Path(sys.executable)


# Threads that spin for a core that others have stand still on a busy machine: rivals get a fair go.
PATIENT = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}


class ContenderFailed(Exception):
    """The contender's process ended or said something else than an answer."""


class ContenderProcess:
    """Owns the process, which loads its model while others do; `close` ends it."""

    def __init__(self, name: str, folder: Path, interpreter: Path = OWN_INTERPRETER) -> None:
        self.name = name
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115  # open as long as the process
        self._process = subprocess.Popen(  # noqa: S603  # our own module
            [interpreter, "-m", "benchmarks.contenders", name, str(folder)],
            cwd=ROOT,
            env={**os.environ, **PATIENT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )

    def wait_until_loaded(self) -> About:
        return about_from(self._next_line())

    def run(self, load: Load) -> Run:
        assert self._process.stdin is not None
        self._process.stdin.write(to_line(load) + "\n")
        self._process.stdin.flush()
        return run_from(self._next_line())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._complaints.close()

    def _next_line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._complaints.seek(0)
            raise ContenderFailed(f"{self.name} ended early:\n{self._complaints.read()[-2000:]}")
        return line
