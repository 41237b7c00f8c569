"""The event stream by itself: pings, errors, stalled readers, and an end in every case."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from starlette.types import Message

from penstock.api.sse import PING, Event, EventStream, Patience, encode
from penstock.errors import EngineFailed


class Wire:
    """Stands for the server under the application: takes messages, and may stop taking them."""

    def __init__(self, *, reads: int = 10**9) -> None:
        self.chunks: list[bytes] = []
        self.closed = 0
        self.left = asyncio.Event()
        self._reads = reads

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self._reads <= len(self.chunks):
            await asyncio.Event().wait()
        if message["type"] == "http.response.body":
            self.chunks.append(message["body"])

    async def carry(self, batches: AsyncIterator[Iterable[Event]], **more: Any) -> None:
        stream = EventStream(batches, on_close=self._close, **more)
        await asyncio.wait_for(stream({"type": "http"}, self.receive, self.send), 5)

    def _close(self) -> None:
        self.closed += 1


async def batches_of(*batches: list[Event], error: Exception | None = None) -> Any:
    for batch in batches:
        yield batch
    if error is not None:
        raise error


async def endless() -> Any:
    while True:
        yield [{"n": 1}]
        await asyncio.sleep(0)


async def test_a_batch_is_one_chunk() -> None:
    wire = Wire()

    await wire.carry(batches_of([{"a": 1}, {"b": "é"}], [{"c": None}]))

    assert wire.chunks == [
        'data: {"a":1}\n\ndata: {"b":"é"}\n\n'.encode(),
        b'data: {"c":null}\n\n',
        b"data: [DONE]\n\n",
        b"",
    ]
    assert wire.closed == 1


async def test_silence_is_filled_with_pings() -> None:
    async def hesitant() -> Any:
        yield [{"a": 1}]
        while wire.chunks.count(PING) < 2:
            await asyncio.sleep(0.01)
        yield [{"b": 2}]

    wire = Wire()

    await wire.carry(hesitant(), patience=Patience(ping_seconds=0.02))

    assert wire.chunks[:3] == [b'data: {"a":1}\n\n', PING, PING]
    assert wire.chunks[-3:] == [b'data: {"b":2}\n\n', b"data: [DONE]\n\n", b""]


@pytest.mark.parametrize(
    ("error", "code"),
    [(EngineFailed("It broke.", "Again."), "engine_failed"), (KeyError("x"), "internal_error")],
)
async def test_an_error_is_the_last_event_and_there_is_no_done(error: Exception, code: str) -> None:
    wire = Wire()

    await wire.carry(batches_of([{"a": 1}], error=error))

    last = json.loads(wire.chunks[-2].removeprefix(b"data: "))
    assert last["error"]["code"] == code
    assert b"[DONE]" not in b"".join(wire.chunks)
    assert wire.closed == 1


async def test_a_reader_that_stalls_is_given_up() -> None:
    wire = Wire(reads=3)

    await wire.carry(endless(), patience=Patience(stall_seconds=0.05))

    assert len(wire.chunks) == 3
    assert wire.closed == 1


async def test_a_reader_that_leaves_ends_the_stream() -> None:
    wire = Wire(reads=3)
    asyncio.get_running_loop().call_later(0.05, wire.left.set)

    await wire.carry(endless())

    assert wire.closed == 1


async def test_being_cancelled_closes_too() -> None:
    wire = Wire()
    carrying = asyncio.create_task(wire.carry(endless()))
    await asyncio.sleep(0.02)

    carrying.cancel()
    await asyncio.gather(carrying, return_exceptions=True)

    assert wire.closed == 1


@pytest.mark.parametrize("text", ["a\nb\r\nc", "\u2028\u2029\x85", "data: x\n\n", "🦀", "\ufffd"])
def test_no_text_can_break_an_event_in_two(text: str) -> None:
    chunk = encode({"text": text})

    assert chunk.startswith(b"data: ") and chunk.endswith(b"\n\n")
    assert b"\n" not in chunk[:-2] and b"\r" not in chunk
    assert json.loads(chunk[6:]) == {"text": text}
