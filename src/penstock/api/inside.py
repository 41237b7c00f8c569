"""Asks this application from inside, through all that a client's request passes through."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message

from penstock.api.gate import INSIDE_OWNER
from penstock.jobs.batches.asking import Ask
from penstock.jobs.batches.results import Answer


def asker_of(app: ASGIApp) -> Ask:
    """A way to post JSON to a path of the application, on an owner's behalf, and get its answer."""

    async def ask(owner: str, path: str, body: bytes) -> Answer:
        parts: list[bytes] = []
        start: MutableMapping[str, Any] = {}
        unsent = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if unsent:
                return unsent.pop()
            return await _never()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.append(message.get("body", b""))

        await app(_scope(owner, path, len(body)), receive, send)
        headers = Headers(raw=start["headers"])
        return Answer(start["status"], headers["x-request-id"], json.loads(b"".join(parts)))

    return ask


async def _never() -> Message:
    """Who asks from inside does not leave; a request that is not wanted any more is cancelled."""
    await asyncio.Event().wait()
    raise AssertionError


def _scope(owner: str, path: str, num_bytes: int) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"content-length", str(num_bytes).encode()),
        ],
        "client": None,
        "server": ("localhost", None),
        "state": {INSIDE_OWNER: owner},
    }
