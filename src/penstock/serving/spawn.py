"""Starts a worker process and holds its end of the line. Imports nothing slow, on purpose.

The process is started before the server has read its settings, so that torch is imported on
another core meanwhile. It waits to be told what to load, and ends when the line is closed: a server
that is killed leaves no workers behind.
"""

import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

WORKER = (sys.executable, "-P", "-m", "penstock.serving.worker_main")


@dataclass(frozen=True, slots=True)
class WorkerChild:
    """A worker process and the socket to it. Whoever holds it must `kill` or adopt it."""

    process: "subprocess.Popen[bytes]"
    connection: socket.socket

    def kill(self) -> None:
        """End the process now and take leave of it."""
        self.connection.close()
        self.process.kill()
        self.process.wait()


def spawn_worker(command: Sequence[str] = WORKER) -> WorkerChild:
    """Start a worker process. Ctrl+C in the terminal does not reach it: the server drains first."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(  # noqa: S603  (our own module, by our own interpreter)
            [*command, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
    return WorkerChild(process, ours)
