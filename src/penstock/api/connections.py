"""Connections that cannot be held open for nothing: uvicorn's protocol, with bounds on the asking.

A client has so long to send its headers and so long for its body, by a pace that any line keeps;
headers have a size and the server a number of connections. Answers may take their time.
"""

import asyncio
import json
from dataclasses import dataclass
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from penstock.api.errors import problem

REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}
MESSAGES = {
    400: "That is not a well-formed HTTP request.",
    408: "The request did not arrive in time. Send it without pauses.",
    431: "The headers of the request are too large. Send less in them.",
    503: "The server holds as many connections as it can. Try again in a moment.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What a client may take up before it has asked for anything."""

    max_connections: int = 1024
    max_header_bytes: int = 16 * 2**10
    header_seconds: float = 10
    body_seconds: float = 30  # on top of what the body takes at the slowest pace
    slowest_bytes_per_second: int = 16 * 2**10
    linger_seconds: float = 2  # for a refused client to read why


class GuardedConnection(HttpToolsProtocol):
    """One connection. Closes it, saying why, once its client goes beyond the limits."""

    def __init__(self, *arguments: Any, limits: ConnectionLimits, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None
        self._num_header_bytes = 0
        self._num_body_bytes = 0
        self._body_since = 0.0
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for headers, unless there is no room for another connection."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.max_connections:
            self._refuse(503)
            return
        self._wait(self._limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on unless the connection is being given up."""
        if not (self._refused or self.transport.is_closing()):
            super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins: its headers have their time from now."""
        super().on_message_begin()
        self._num_header_bytes = 0
        self._wait(self._limits.header_seconds)

    def on_url(self, url: bytes) -> None:
        """Count it among the headers."""
        self._count_header(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count it."""
        self._count_header(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The body has its time from now."""
        self._num_body_bytes = 0
        self._body_since = self.loop.time()
        self._wait(self._limits.body_seconds)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """What has come earns time for what is to come."""
        self._num_body_bytes += len(body)
        earned = self._num_body_bytes / self._limits.slowest_bytes_per_second
        until = self._body_since + self._limits.body_seconds + earned
        self._wait(until - self.loop.time())
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of the request is here."""
        self._stop_waiting()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What could not be parsed is answered in the API's own form."""
        too_large = self._num_header_bytes > self._limits.max_header_bytes
        self._refuse(431 if too_large else 400)

    def _count_header(self, num_bytes: int) -> None:
        self._num_header_bytes += num_bytes
        if self._num_header_bytes > self._limits.max_header_bytes:
            raise ValueError("too large")  # the parser stops, and `send_400_response` says why

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(max(0.0, seconds), self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self.cycle is not None and self.cycle.response_started:
            self.transport.close()  # an answer is on its way already; it cannot be taken back
            return
        self._refuse(408)

    def _refuse(self, status: int) -> None:
        """Say why; then hear the client out for a moment, or a reset would overtake the answer.

        Not where there are too many connections: those are let go of at once.
        """
        self._refused = True
        self._stop_waiting()
        body = json.dumps(problem(status, MESSAGES[status])).encode()
        again = "Retry-After: 1\r\n" if status == 503 else ""
        head = (
            f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{again}Connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        if status == 503:
            self.transport.close()
            return
        self.transport.write_eof()
        self._timer = self.loop.call_later(self._limits.linger_seconds, self.transport.close)


def guarded(limits: ConnectionLimits) -> Any:
    """A maker of connections with these limits, as uvicorn calls it."""
    return partial(GuardedConnection, limits=limits)
