"""The command as a process of its own: how quickly it answers, and how it ends on a signal."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server_process import START_SECONDS, running_server

Start = Callable[..., subprocess.Popen[str]]
PENSTOCK = [sys.executable, "-c", "from penstock.cli.main import main; main()"]
HELP_SECONDS = 0.2
END_SECONDS = 60


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a command; whatever still runs when the test ends is killed."""
    with contextlib.ExitStack() as started:

        def start(*arguments: str) -> subprocess.Popen[str]:
            if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background
                signal.signal(signal.SIGINT, signal.default_int_handler)
            process = subprocess.Popen(
                [*PENSTOCK, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=tmp_path,
                env=os.environ | {"HOME": str(tmp_path), "BROWSER": "true"},
            )
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield start


def processor_seconds(act: Callable[[], object]) -> float:
    """Processor time of processes, which a busy machine does not stretch as it does the clock."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    act()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def test_help_answers_at_once(start: Start) -> None:
    """Within a fifth of a second, or, on a slow machine, twice what its parser's import takes."""

    def bound() -> float:
        parser = [sys.executable, "-c", "import typer"]
        return max(HELP_SECONDS, 2 * processor_seconds(lambda: subprocess.run(parser, check=True)))

    # Other processes slow ours down through the caches; that it can be so quick is what counts.
    assert any(
        processor_seconds(lambda: start("--help").communicate()) < bound() for _ in range(25)
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_stops_an_idle_server_with_status_0(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running_server(PENSTOCK, folder=tmp_path, environment={"BROWSER": "true"}) as server:
        server.process.send_signal(number)

        assert server.process.wait(timeout=END_SECONDS) == 0
    assert "Traceback" not in server.log.read_text()


def test_a_port_in_use_is_a_bad_configuration(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        process = start("serve", "--no-browser", "--port", str(port))
        out, err = process.communicate(timeout=START_SECONDS)

    assert (process.returncode, out) == (3, "")
    assert err.startswith(f"penstock: Cannot listen on 127.0.0.1:{port}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_ends_a_generation_midway_without_a_trace(
    start: Start, number: signal.Signals, status: int
) -> None:
    lengths = ["--max-new-tokens", "500", "--set", "min_new_tokens=500"]
    process = start("generate", "Once", *lengths, "--set", "num_return_sequences=8")
    assert process.stdout is not None
    first = process.stdout.read(6)  # the prompt and the beginning of the text

    process.send_signal(number)
    _, err = process.communicate(timeout=END_SECONDS)

    assert first.startswith("Once")
    assert process.returncode == status
    assert "Traceback" not in err
