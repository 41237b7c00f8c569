"""What is being fetched from the hub, and who follows it. Lives on the event loop; knows no HTTP.

Each download has a thread. All who ask for one model follow the same download, and when the last of
them has left it stops: what has arrived stays, and the next download goes on from there.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from penstock.errors import ModelUnavailable, PenstockError, ShuttingDown
from penstock.model.hub_progress import DownloadProgress, Progress
from penstock.serving.daemon import on_daemon_thread

__all__ = ["DownloadProgress", "Downloads", "Following"]

logger = logging.getLogger(__name__)

REPORT_SECONDS = 0.25  # between two reports of one download
Fetch = Callable[[str, Progress], None]


class _Stopped(Exception):
    """Nobody waits for the download any more."""


class Following:
    """One client's view of a download. Whoever holds it must `close` it."""

    def __init__(self, leave: Callable[["Following"], None]) -> None:
        self._leave = leave
        self._news = asyncio.Event()
        self._progress: DownloadProgress | None = None
        self._error: PenstockError | None = None
        self._has_ended = False

    async def next(self) -> DownloadProgress | None:
        """How far it is, waiting until it is further; None once all is here.

        Raises what the download failed with.
        """
        await self._news.wait()
        if self._progress is not None:
            progress, self._progress = self._progress, None
            if not self._has_ended:
                self._news.clear()
            return progress
        if self._error is not None:
            raise self._error
        return None

    def close(self) -> None:
        """Leave. Closing twice is harmless."""
        self._leave(self)

    def show(self, progress: DownloadProgress) -> None:
        """Take the newest progress; one that was not read yet is replaced."""
        self._progress = progress
        self._news.set()

    def end(self, error: PenstockError | None) -> None:
        """There is nothing more to come."""
        self._error = error
        self._has_ended = True
        self._news.set()


class _Download:
    """A running download. `report` is called on its thread, all else on the event loop."""

    def __init__(self, model_id: str) -> None:
        self.model_id = model_id
        self.followers: set[Following] = set()
        self.progress: DownloadProgress | None = None
        self.must_stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._newest: DownloadProgress | None = None
        self._reported_at = 0.0

    def report(self, progress: DownloadProgress) -> None:
        """Pass progress on, now and then. Raises `_Stopped` when nobody wants it any more."""
        if self.must_stop.is_set():
            raise _Stopped
        self._newest = progress
        now = time.monotonic()
        if now - self._reported_at >= REPORT_SECONDS:
            self._reported_at = now
            self._loop.call_soon_threadsafe(self._show, progress)

    def end(self, error: PenstockError | None) -> None:
        """Tell every follower the last progress and how it ended."""
        if self._newest is not None:
            self._show(self._newest)
        for follower in self.followers:
            follower.end(error)

    def _show(self, progress: DownloadProgress) -> None:
        self.progress = progress
        for follower in self.followers:
            follower.show(progress)


class Downloads:
    """Owns the downloads that run, and knows why the last one of a model failed."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._running: dict[str, _Download] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: dict[str, str] = {}

    def __contains__(self, model_id: str) -> bool:
        return model_id in self._running

    def progress(self, model_id: str) -> DownloadProgress | None:
        """How far a model's download is, if one runs and has begun."""
        download = self._running.get(model_id)
        return None if download is None else download.progress

    def error(self, model_id: str) -> str | None:
        """Why the last download of a model failed, if it did."""
        return self._errors.get(model_id)

    def follow(self, model_id: str) -> Following:
        """Fetch a model, or join who fetches it already."""
        download = self._running.get(model_id) or self._start(model_id)
        following = Following(lambda leaving: self._leave(download, leaving))
        download.followers.add(following)
        if download.progress is not None:
            following.show(download.progress)
        return following

    async def close(self) -> None:
        """Stop every download. A thread that waits for the network is left behind."""
        for download in self._running.values():
            download.must_stop.set()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, model_id: str) -> _Download:
        download = _Download(model_id)
        self._errors.pop(model_id, None)
        self._running[model_id] = download
        task = asyncio.create_task(self._run(download), name=f"download-{model_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return download

    async def _run(self, download: _Download) -> None:
        model_id = download.model_id
        error: PenstockError | None = None
        try:
            await on_daemon_thread(
                lambda: self._fetch(model_id, download.report), name=f"download-{model_id}"
            )
            logger.info("Model %s is on this machine.", model_id)
        except asyncio.CancelledError:
            download.end(
                ShuttingDown("The server is shutting down.", "Start the download again later.")
            )
            raise
        except _Stopped:
            logger.info("The download of %s was stopped.", model_id)
        except Exception as failure:
            error = _as_own(failure, model_id)
            logger.warning("Model %s was not fetched: %s", model_id, error)
        if self._running.get(model_id) is download:  # else its followers have left
            del self._running[model_id]
            if error is not None:
                self._errors[model_id] = str(error)
        download.end(error)

    def _leave(self, download: _Download, following: Following) -> None:
        download.followers.discard(following)
        if not download.followers and self._running.get(download.model_id) is download:
            del self._running[download.model_id]
            download.must_stop.set()


def _as_own(failure: Exception, model_id: str) -> PenstockError:
    """What a client is told of a download that failed; the unforeseen is in the log."""
    if isinstance(failure, PenstockError):
        return failure
    logger.error("Fetching %s failed.", model_id, exc_info=failure)
    return ModelUnavailable(
        f"{model_id} could not be fetched: {str(failure) or type(failure).__name__}.",
        "The server's log has the details.",
        param="model",
    )
