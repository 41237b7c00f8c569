"""Counts what a download has brought, and tells how far and how fast it is."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

WINDOW_SECONDS = 10.0  # the rate is that of so long
SAMPLE_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadProgress:
    """How far a download is. The rate is that of the last ten seconds."""

    file_name: str
    num_bytes: int
    total_bytes: int
    bytes_per_second: float

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at this rate; none while nothing arrives."""
        if self.bytes_per_second <= 0:
            return None
        return (self.total_bytes - self.num_bytes) / self.bytes_per_second


Progress = Callable[[DownloadProgress], None]


@dataclass(slots=True)
class Meter:
    """Counts the bytes of all files together. Owned by one download."""

    total: int
    done: int  # what was here before counts
    progress: Progress | None
    clock: Callable[[], float] = time.monotonic
    received: int = 0
    _samples: deque[tuple[float, int]] = field(default_factory=deque)  # when, and received by then

    def receive(self, file_name: str, num_bytes: int) -> None:
        """Count bytes as they arrive, negative when some must come again; tell how far it is."""
        self.done += num_bytes
        self.received += max(num_bytes, 0)
        rate = self._rate(self.clock())
        if self.progress is not None:
            self.progress(
                DownloadProgress(
                    file_name=file_name,
                    num_bytes=self.done,
                    total_bytes=self.total,
                    bytes_per_second=rate,
                )
            )

    def _rate(self, now: float) -> float:
        """Bytes per second since the oldest sample of the window."""
        if not self._samples or now - self._samples[-1][0] >= SAMPLE_SECONDS:
            self._samples.append((now, self.received))
        while len(self._samples) > 1 and now - self._samples[1][0] >= WINDOW_SECONDS:
            self._samples.popleft()
        since, before = self._samples[0]
        return (self.received - before) / max(now - since, 1e-3)
