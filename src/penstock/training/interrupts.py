"""SIGINT and SIGTERM as a wish that a run notices between two steps. Knows no training."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(Exception):
    """A signal asked the run to stop; everything done so far is saved."""

    def __init__(self, signal_number: int, step: int) -> None:
        super().__init__(f"Stopped after step {step}; the run is saved.")
        self.exit_code = 128 + signal_number


@contextmanager
def caught_signals() -> Iterator[list[int]]:
    """Collect the signals instead of dying of them; a second one of a kind kills as usual."""
    caught: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        caught.append(number)
        signal.signal(number, signal.SIG_DFL)

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, action in previous.items():
            signal.signal(number, action)
