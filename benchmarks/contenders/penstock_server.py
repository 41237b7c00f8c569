"""Our server, as its clients see it: prompts as text over HTTP, tokens as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter

from benchmarks.contenders.interface import Width
from benchmarks.load import About, Load, Stream
from benchmarks.server_process import ServerProcess

EVENT = b"data: "
LAST = b"[DONE]"


class PenstockServer:
    """A server process with one model; one connection per stream."""

    def __init__(self, folder: Path, width: Width) -> None:
        self._server = ServerProcess(str(folder), {"PENSTOCK_ENGINE__DTYPE": width})
        try:
            self._start = self._server.wait_until_ready()
        except Exception:
            self._server.close()
            raise

    def about(self) -> About:
        return About(detail="server-sent events, one connection per stream", weight_bytes=None)

    def run(self, load: Load) -> list[Stream]:
        return asyncio.run(_run(self._server.port, load))

    def peak_bytes(self) -> int | None:
        return self._server.peak_bytes()

    def close(self) -> None:
        self._server.close()


class FirstStream:
    """How far the first stream has come, for those who wait to arrive."""

    def __init__(self) -> None:
        self._num_written = 0
        self._moved = asyncio.Condition()

    async def advance(self, num_tokens: int) -> None:
        async with self._moved:
            self._num_written += num_tokens
            self._moved.notify_all()

    async def has_written(self, num_tokens: int) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._num_written >= num_tokens)


async def _run(port: int, load: Load) -> list[Stream]:
    first = FirstStream()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_stream(port, load, index, first))
            for index in range(len(load.prompts))
        ]
    return [task.result() for task in tasks]


async def _stream(port: int, load: Load, index: int, first: FirstStream) -> Stream:
    await first.has_written(load.arrivals[index])
    moments: list[float] = []
    token_ids: list[int] = []
    submitted = perf_counter()
    async for payload in _events(port, _body(load, index)):
        now = perf_counter()
        event = json.loads(payload)
        if "error" in event:
            raise RuntimeError(f"The server answered: {event['error']}")
        if event["event"] == "token":
            moments += [now] * len(event["token_ids"])
            token_ids += event["token_ids"]
            if index == 0:
                await first.advance(len(event["token_ids"]))
    return Stream(submitted=submitted, moments=tuple(moments), token_ids=tuple(token_ids))


def _body(load: Load, index: int) -> bytes:
    asked = {
        "prompt": load.prompts[index].text,
        "strategy": "greedy",
        "max_new_tokens": load.new_tokens,
        "min_new_tokens": load.new_tokens,
        "stream": True,
    }
    return json.dumps(asked).encode()


async def _events(port: int, body: bytes) -> AsyncIterator[bytes]:
    """The payloads of an event stream until its last. A client this plain leaves us the cores."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            b"POST /generate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise RuntimeError(f"The server answered: {await reader.read(2000)!r}")
        async for chunk in _chunks(reader):
            for line in chunk.splitlines():
                if line == EVENT + LAST:
                    return
                if line.startswith(EVENT):
                    yield line.removeprefix(EVENT)
    finally:
        writer.close()


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The chunks of a chunked body; the server puts whole events into each."""
    while size := int(await reader.readline(), 16):
        chunk = await reader.readexactly(size + 2)
        yield chunk[:-2]
