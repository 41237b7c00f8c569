"""Counts what a download has brought, and tells how far and how fast it is."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadProgress:
    """How far a download is."""

    file_name: str
    num_bytes: int
    total_bytes: int
    bytes_per_second: float


Progress = Callable[[DownloadProgress], None]


@dataclass(slots=True)
class Meter:
    """Counts the bytes of all files together. Owned by one download."""

    total: int
    done: int  # what was here before counts
    progress: Progress | None
    received: int = 0
    started: float = field(default_factory=time.monotonic)

    def receive(self, file_name: str, num_bytes: int) -> None:
        """Count bytes as they arrive, negative when some must come again."""
        self.done += num_bytes
        self.received += max(num_bytes, 0)
        if self.progress is None:
            return
        seconds = max(time.monotonic() - self.started, 1e-3)
        self.progress(
            DownloadProgress(
                file_name=file_name,
                num_bytes=self.done,
                total_bytes=self.total,
                bytes_per_second=self.received / seconds,
            )
        )
