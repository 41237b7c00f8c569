"""Server-sent events: one `data:` line per event, pings in silence, and an end for every client.

Knows nothing of what the events mean. Whatever way the response ends, `on_close` runs.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from penstock.api.disconnect import disconnected
from penstock.api.errors import error_body
from penstock.errors import PenstockError

logger = logging.getLogger(__name__)

EVENT_STREAM = "text/event-stream"
PING_SECONDS = 10.0
STALL_SECONDS = 30.0
PING = b": ping\n\n"
DONE = b"data: [DONE]\n\n"
Event = Mapping[str, Any]
_TO_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def encode(event: Event) -> bytes:
    """One event on the wire."""
    return f"data: {_TO_JSON(event)}\n\n".encode("utf-8", "replace")


def encode_named(event: Event) -> bytes:
    """One event under the name of its own `type`."""
    return f"event: {event['type']}\n".encode() + encode(event)


def encode_line(event: Event) -> bytes:
    """One event as a line of JSON."""
    return f"{_TO_JSON(event)}\n".encode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How a dialect puts its events on the wire."""

    media_type: str = EVENT_STREAM
    encode: Callable[[Event], bytes] = encode
    present_error: Callable[[Exception], Event] = error_body
    ping: bytes | None = PING
    end: bytes = DONE


OPENAI_FRAMING = Framing()
Responses = dict[int | str, dict[str, Any]]


def streamed(media_type: str = EVENT_STREAM) -> Responses:
    """How a route describes that its answer may come as a stream."""
    return {200: {"content": {media_type: {}}}}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a stream may be silent before a ping, and a reader take before it is given up."""

    ping_seconds: float = PING_SECONDS
    stall_seconds: float = STALL_SECONDS

    @property
    def tick_seconds(self) -> float:
        """How often to look."""
        return min(self.ping_seconds, self.stall_seconds) / 10


class EventStream(Response):
    """Sends each batch of events as it comes, in one piece.

    An error in the middle is sent as an event and ends the stream without its end. A client that
    leaves or does not read ends it too. `on_close` runs however it ends.
    """

    def __init__(
        self,
        batches: AsyncIterator[Iterable[Event]],
        on_close: Callable[[], None],
        *,
        framing: Framing = OPENAI_FRAMING,
        patience: Patience = Patience(),
    ) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(headers=headers, media_type=framing.media_type)
        del self.headers["content-length"]
        self._framing = framing
        self._batches = batches
        self._on_close = on_close
        self._patience = patience
        self._sending_since: float | None = None
        self._sent_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send_all(send))
        others = [
            asyncio.create_task(disconnected(receive)),
            asyncio.create_task(self._watch(send)),
        ]
        try:
            await asyncio.wait([sending, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._on_close()
            for task in (sending, *others):
                task.cancel()
            await asyncio.gather(sending, *others, return_exceptions=True)
        if not sending.cancelled():
            sending.result()

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        self._sent_at = time.monotonic()
        async for chunk in self._chunks():
            await self._send_chunk(send, chunk)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_chunk(self, send: Send, chunk: bytes) -> None:
        self._sending_since = time.monotonic()
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        self._sending_since = None
        self._sent_at = time.monotonic()

    async def _chunks(self) -> AsyncIterator[bytes]:
        try:
            async for batch in self._batches:
                yield b"".join(map(self._framing.encode, batch))
        except PenstockError as error:
            yield self._framing.encode(self._framing.present_error(error))
        except Exception as error:
            logger.exception("A stream failed.")
            yield self._framing.encode(self._framing.present_error(error))
        else:
            if self._framing.end:
                yield self._framing.end

    async def _watch(self, send: Send) -> None:
        """Ping in silence; return when the reader has stalled. One timer, not one per event."""
        patience = self._patience
        while True:
            await asyncio.sleep(patience.tick_seconds)
            now = time.monotonic()
            if self._sending_since is not None:
                if now - self._sending_since > patience.stall_seconds:
                    logger.info("A reader stalled; its stream is ended.")
                    return
            elif (
                self._framing.ping is not None
                and self._sent_at
                and now - self._sent_at > patience.ping_seconds
            ):
                await self._send_chunk(send, self._framing.ping)
