"""Sets up logging for the server: one line per event on stderr, with its request id if it has one.

Knows no prompts and no texts; nobody logs those.
"""

import logging
import time
from enum import StrEnum

FORMAT = "%(asctime)s %(levelname)s %(name)s%(request)s %(message)s"
CONTROL_CHARACTERS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


class LogLevel(StrEnum):
    """How much is logged, in the words of the standard library."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class OneLineFormatter(logging.Formatter):
    """Keeps an event on its line, whatever characters came from outside; tracebacks follow it."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """The time in UTC, so that logs of several machines compare."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{seconds}.{record.msecs:03.0f}Z"

    def format(self, record: logging.LogRecord) -> str:
        """The record with the id of its request, if it carries one."""
        request_id = getattr(record, "request_id", None)
        record.request = f" [{request_id}]" if request_id else ""
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        """The event's line, its control characters made visible."""
        return super().formatMessage(record).translate(CONTROL_CHARACTERS)


def set_up_logging(level: LogLevel) -> None:
    """Send the events of Penstock and of the server under it to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLineFormatter(FORMAT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("httpx", "httpx2", "huggingface_hub", "filelock", "urllib3", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
