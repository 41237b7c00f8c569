"""What a person sees while a model trains: a live line on a terminal, plain lines elsewhere.

Knows numbers only, no tensors. Everything goes to stderr.
"""

import statistics
import time
from collections import deque
from dataclasses import dataclass

from rich.console import Console


class StepClock:
    """Measures steps by their median, so that a paused process does not look slow."""

    def __init__(self) -> None:
        self._durations: deque[float] = deque(maxlen=40)
        self._last = time.monotonic()

    def start(self) -> None:
        """Begin a step."""
        self._last = time.monotonic()

    def stop(self) -> None:
        """End a step."""
        self._durations.append(time.monotonic() - self._last)

    @property
    def seconds_per_step(self) -> float:
        return statistics.median(self._durations) if self._durations else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """The numbers of one moment of a run."""

    step: int
    max_steps: int
    loss: float
    rate: float
    tokens_per_second: float
    seconds_left: float

    def line(self) -> str:
        """Return the one-line form."""
        return (
            f"step {self.step}/{self.max_steps}  loss {self.loss:.3f}  "
            f"rate {self.rate:.2f}  {self.tokens_per_second:,.0f} tokens/s  "
            f"{clock_time(self.seconds_left)} left"
        )


def clock_time(seconds: float) -> str:
    """Return a time as h:mm:ss."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{left:02d}"


def spoken_time(seconds: float) -> str:
    """Return a time as a person says it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


class Reporter:
    """Shows reports and news on stderr. Owns the live line, if there is one."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._status = self._console.status("Preparing") if self._console.is_terminal else None

    def __enter__(self) -> "Reporter":
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def report(self, report: StepReport) -> None:
        """Show the present step: in place on a terminal, as a line elsewhere."""
        if self._status:
            self._status.update(report.line())
        else:
            self.say(report.line())

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(text, markup=False)
