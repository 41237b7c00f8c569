"""A worker's way to the server: news from any thread, sent by one. Knows nothing of its meaning.

Encoding happens here and not on the engine's thread, so that it runs beside the next step.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from penstock.serving.frames import frame
from penstock.serving.messages import NEWS, Beat, Logged, News

BEAT_SECONDS = 1.0
GONE = 70  # the exit status of a worker that lost its server in the middle of a word


class Post:
    """Sends news in the order it is put, all that waits in one piece; a beat when there is none."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._waiting: SimpleQueue[News | None] = SimpleQueue()
        self.pulse: Callable[[], Beat] = Beat
        self._thread = threading.Thread(target=self._run, name="post", daemon=True)
        self._thread.start()

    def put(self, news: News) -> None:
        """From any thread: have this sent."""
        self._waiting.put(news)

    def close(self) -> None:
        """Send what waits and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        beat_at = time.monotonic()
        is_open = True
        while is_open:
            batch, is_open = self._take()
            if time.monotonic() - beat_at >= BEAT_SECONDS:
                beat_at = time.monotonic()
                batch.append(self.pulse())
            self._send(batch)

    def _take(self) -> tuple[list[News], bool]:
        """Everything that waits, after waiting a while for it; and whether more may come."""
        batch: list[News] = []
        try:
            news = self._waiting.get(timeout=BEAT_SECONDS)
            while news is not None:
                batch.append(news)
                news = self._waiting.get_nowait()
        except Empty:
            return batch, True
        return batch, False

    def _send(self, batch: list[News]) -> None:
        try:
            self._connection.sendall(b"".join(frame(NEWS.encode(news)) for news in batch))
        except OSError:
            os._exit(GONE)  # nobody hears us any more


class PostHandler(logging.Handler):
    """Sends log records to the server, which has the log."""

    def __init__(self, post: Post) -> None:
        super().__init__()
        self._post = post

    def emit(self, record: logging.LogRecord) -> None:
        """Send the record as text, its traceback included."""
        self._post.put(
            Logged(
                logger=record.name,
                level=record.levelno,
                message=self.format(record),
                request_id=getattr(record, "request_id", None),
            )
        )
