"""How executors hear of jobs. What they hear is a hint; the rows are the truth."""

from typing import Protocol


class Dispatch(Protocol):
    """Tells who does jobs that there is one, or that one should be cancelled.

    An executor in this process is one. Lives on the event loop; nothing here may wait.
    """

    def start(self) -> None:
        """Begin. Starting twice is harmless."""

    async def stop(self) -> None:
        """End. Stopping twice is harmless."""

    def submitted(self, job_id: str) -> None:
        """A job waits."""

    def cancel(self, job_id: str) -> None:
        """A job should be cancelled; its row says so already."""


class Elsewhere:
    """For a server whose jobs other processes do, which look at the rows by themselves."""

    def start(self) -> None:
        """Nothing is done here."""

    async def stop(self) -> None:
        """Nothing was begun here."""

    def submitted(self, job_id: str) -> None:
        """They find it."""

    def cancel(self, job_id: str) -> None:
        """They see it when they renew their claim."""
