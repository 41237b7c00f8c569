"""Tells on stderr what is being measured and about how long the rest will take."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class Progress:
    """Counts planned steps; one that was seen before is expected to take as long again."""

    def __init__(self, planned: list[str]) -> None:
        self._left = list(planned)
        self._seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        rest = f", {self._seconds_left():.0f} s" if self._seconds else ""
        print(f"[{len(self._left)} left{rest}] {name}", file=sys.stderr, flush=True)
        started = perf_counter()
        yield
        self._left.remove(name)
        self._seconds[name] = perf_counter() - started

    def _seconds_left(self) -> float:
        typical = sum(self._seconds.values()) / len(self._seconds)
        return sum(self._seconds.get(name, typical) for name in self._left)
