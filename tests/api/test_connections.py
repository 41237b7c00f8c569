"""Clients that dawdle, send too much before they ask, or come too many: on real sockets."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator

import pytest

from penstock.api.connections import ConnectionLimits, guarded
from tests.api.conftest import Live, listening
from tests.fakes import FakeEngine, FakeModels

PATIENCE = 1.0
LIMITS = ConnectionLimits(
    max_connections=40,
    max_header_bytes=2048,
    header_seconds=PATIENCE,
    body_seconds=PATIENCE,
    slowest_bytes_per_second=200,
)
HEAD = b"POST /generate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.fixture
async def guarded_server() -> AsyncIterator[Live]:
    models = FakeModels(lambda: FakeEngine(step_seconds=0.02))
    async with listening(models, http=guarded(LIMITS)) as live:
        yield live


async def _answer(live: Live, *pieces: bytes, pause: float = 0.0) -> tuple[bytes, float]:
    """All that comes back until the server closes, and after how long it has."""
    reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
    started = time.monotonic()

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)

    sending = asyncio.create_task(send())
    async with asyncio.timeout(20):
        answer = await reader.read()
    seconds = time.monotonic() - started
    sending.cancel()
    writer.close()
    return answer, seconds


def _problem(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]["message"]


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n", HEAD + b"Content-Length: 50\r\n\r\n{"],
    ids=["nothing", "half of its headers", "the first byte of its body"],
)
async def test_a_client_that_stops_sending_is_told_so_and_let_go(
    guarded_server: Live, sent: bytes
) -> None:
    answer, seconds = await _answer(guarded_server, sent)

    status, message = _problem(answer)
    assert status == 408
    assert "did not arrive in time" in message
    assert seconds >= PATIENCE * 0.9


async def test_bytes_sent_one_by_one_do_not_hold_the_headers_open(guarded_server: Live) -> None:
    """A slow loris sends something all the time; the time runs from its first byte."""
    head = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: " + b"a" * 200
    answer, seconds = await _answer(
        guarded_server, *(head[i : i + 1] for i in range(len(head))), pause=0.02
    )

    assert _problem(answer)[0] == 408
    assert seconds < 20


async def test_a_body_may_take_the_time_its_size_earns(guarded_server: Live) -> None:
    """2,000 bytes in pieces, each earning a second more: slower than the patience."""
    prompt = json.dumps({"prompt": "there was " * 180, "max_new_tokens": 2}).encode()
    head = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(prompt)
    step = len(prompt) // 8
    pieces = [prompt[i : i + step] for i in range(0, len(prompt), step)]

    answer, seconds = await _answer(guarded_server, head, *pieces, pause=0.15)

    assert seconds > PATIENCE
    assert answer.startswith(b"HTTP/1.1 200"), answer[:300]


@pytest.mark.parametrize("header", [b"X-Large: " + b"a" * 5000, b"X-A: b\r\n" * 600])
async def test_headers_beyond_their_size_are_refused(guarded_server: Live, header: bytes) -> None:
    answer, _ = await _answer(guarded_server, b"GET /livez HTTP/1.1\r\n" + header + b"\r\n\r\n")

    assert _problem(answer)[0] == 431


async def test_what_is_not_http_is_answered_in_the_apis_form(guarded_server: Live) -> None:
    answer, _ = await _answer(
        guarded_server, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"
    )

    assert _problem(answer)[0] == 400


async def test_connections_beyond_the_limit_are_turned_away_and_others_served(
    guarded_server: Live,
) -> None:
    """The flood holds what it got for as long as the patience lasts, and no longer."""
    await guarded_server.http.aclose()
    flood = [
        await asyncio.open_connection("127.0.0.1", guarded_server.port)
        for _ in range(LIMITS.max_connections)
    ]
    await asyncio.sleep(0.05)

    turned_away, _ = await _answer(guarded_server, b"")
    assert _problem(turned_away)[0] == 503
    assert b"Retry-After: 1" in turned_away

    await asyncio.gather(*(reader.read() for reader, _ in flood))
    for _, writer in flood:
        writer.close()
    await asyncio.sleep(0.1)
    asked = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    assert (await _answer(guarded_server, asked))[0].startswith(b"HTTP/1.1 200")


async def test_a_long_answer_is_not_cut_short(guarded_server: Live) -> None:
    """The patience is for the asking: a stream that takes longer than it is left alone."""
    body = json.dumps({"prompt": "there was", "max_new_tokens": 120, "stream": True}).encode()
    head = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)

    answer, seconds = await _answer(guarded_server, head + body)

    assert seconds > PATIENCE * 2
    assert answer.count(b"data:") >= 120
    assert b"[DONE]" in answer
