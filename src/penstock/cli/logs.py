"""Sets up logging for the server: one line per event on stderr, with its request id if it has one.

Words for a terminal, JSON for everything else. Knows no prompts and no texts; nobody logs those.
Should a secret get into an event all the same, it does not get out of it.
"""

import json
import logging
import re
import sys
import time
from enum import StrEnum

NOISY = (
    *("httpx", "httpx2", "huggingface_hub", "filelock", "urllib3", "matplotlib"),
    *("celery", "kombu", "amqp", "redis"),
)
FORMAT = "%(asctime)s %(levelname)s %(name)s%(request)s %(message)s"
CONTROL_CHARACTERS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
SECRET = re.compile(
    r"(?P<scheme>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"
    r"|\b(?:hf_|sk-|tg_|ts_|tr_|wandb_)[\w-]{8,}"
    r"|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",
    re.IGNORECASE,
)


class LogLevel(StrEnum):
    """How much is logged, in the words of the standard library."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """What an event's line looks like."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


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
        return redacted(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        """The event's line, its control characters made visible."""
        return super().formatMessage(record).translate(CONTROL_CHARACTERS)


class JsonFormatter(OneLineFormatter):
    """An event as one JSON object on one line, its traceback inside."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger and message; request id and traceback where there are any."""
        event = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        request_id = getattr(record, "request_id", None)
        if request_id:
            event["request_id"] = str(request_id)
        if record.exc_info:
            event["traceback"] = redacted(self.formatException(record.exc_info))
        return json.dumps(event)


def redacted(text: str) -> str:
    """The text without what looks like a key, a token or a password in a URL."""
    return SECRET.sub(lambda found: (found["scheme"] or "") + "[redacted]", text)


def set_up_logging(level: LogLevel, form: LogFormat = LogFormat.AUTO) -> None:
    """Send the events of Penstock and of the server under it to stderr."""
    if form is LogFormat.AUTO:
        form = LogFormat.TEXT if sys.stderr.isatty() else LogFormat.JSON
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form is LogFormat.JSON else OneLineFormatter(FORMAT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
