"""The worker process: loads one model and runs its engine for the server at the other end.

    python -m penstock.serving.worker_main FILE_DESCRIPTOR

It ends when it is told to or when the line breaks, whatever signals its terminal or its service
manager sends: the server decides when running texts have finished.
"""

import contextlib
import faulthandler
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from penstock.serving.hosting import Host, Loader
from penstock.serving.post import Post, PostHandler

RECEIVE_BYTES = 1 << 16
OOM_SCORE = "500"  # when memory runs out, a worker goes before the server does


def run(file_descriptor: int, load: Loader) -> int:
    """Serve orders until told to stop or until the server is gone; the exit status."""
    with socket.socket(fileno=file_descriptor) as connection:
        post = Post(connection)
        _log_to(post)
        host = Host(load, post)
        while not host.is_stopped and (received := _receive(connection)):
            host.receive(received)
        host.stop()
        post.close()
    return 0


def prepare_process() -> None:
    """Leave signals to the server, offer to be the first to go, and keep stdout out of the way."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    faulthandler.enable()


def end_process(status: int) -> None:
    """Leave at once: threads at work and torch's own farewell would only take time."""
    sys.stderr.flush()
    os._exit(status)


def _log_to(post: Post) -> None:
    """Send every event to the server, which decides what goes into its log."""
    handler = PostHandler(post)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(RECEIVE_BYTES)
    except OSError:
        return b""


def main() -> None:
    """What the server starts: a worker for the models of this machine."""
    prepare_process()
    from penstock.serving.local_engine import load_hosted_model  # noqa: PLC0415  # torch: seconds

    end_process(run(int(sys.argv[1]), load_hosted_model))


if __name__ == "__main__":
    main()
