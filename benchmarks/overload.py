"""What a server does with ten times the load it can carry: how much it still gets done, and how
quickly it refuses the rest.

Requests come at a fixed rate whether or not earlier ones were answered, each on a connection of its
own. The clients run beside the server, so on a small machine they take part of its processors; the
processor time of the server's own process, which refuses, tells what that costs by itself.

Usage: python -m benchmarks.overload [--times 10] [--seconds 20]
"""

import argparse
import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from statistics import quantiles
from time import perf_counter
from typing import Any, TypeVar

from benchmarks.models import BUILT_IN_ID
from benchmarks.server_process import ServerProcess

T = TypeVar("T")
PLACES = 8
NEW_TOKENS = 128


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request: its status, how long it took, whether it was told when to come back."""

    status: int
    seconds: float
    says_when: bool
    finished_at: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overload", description=__doc__)
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    limits = {"PENSTOCK_LIMITS__MAX_IN_FLIGHT": str(PLACES)}
    with ServerProcess(BUILT_IN_ID, limits) as server:
        server.wait_until_ready()
        asyncio.run(_closed_loop(server.port, 3))
        alone = asyncio.run(_closed_loop(server.port, options.seconds))
        rate = options.times * _rate(alone, options.seconds)
        before = server.processor_seconds()
        under_load = asyncio.run(_open_loop(server.port, options.seconds, rate))
        spent = server.processor_seconds() - before
    _report(alone, under_load, options.seconds, rate)
    print(f"the server's own processor time: {1000 * spent / len(under_load):.2f} ms a request")


async def _closed_loop(port: int, seconds: float) -> list[Outcome]:
    """As many clients as there are places, each sending when it was answered."""
    end = perf_counter() + seconds

    async def client(number: int) -> list[Outcome]:
        outcomes = []
        while perf_counter() < end:
            outcomes.append(await _ask(port, number))
        return outcomes

    return [o for outcomes in await _together(client, PLACES) for o in outcomes]


async def _open_loop(port: int, seconds: float, rate: float) -> list[Outcome]:
    """Requests at a fixed rate, each at its own time."""
    start = perf_counter()

    async def client(number: int) -> Outcome:
        await asyncio.sleep(start + number / rate - perf_counter())
        return await _ask(port, number)

    return await _together(client, int(rate * seconds))


async def _together(client: Callable[[int], Coroutine[Any, Any, T]], count: int) -> list[T]:
    return await asyncio.gather(*map(client, range(count)))


async def _ask(port: int, number: int) -> Outcome:
    prompt = f"Story number {number}. Once upon a time"
    body = {"prompt": prompt, "max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS}
    payload = json.dumps(body).encode()
    started = perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /generate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(payload), payload)
    )
    answer = await reader.read()
    now = perf_counter()
    writer.close()
    head = answer.partition(b"\r\n\r\n")[0].lower()
    return Outcome(int(head.split(b" ", 2)[1]), now - started, b"\r\nretry-after:" in head, now)


def _rate(outcomes: list[Outcome], seconds: float) -> float:
    """Requests that were served in a second, counting those that came back within the time."""
    begin = min(o.finished_at - o.seconds for o in outcomes)
    return sum(o.status == 200 and o.finished_at <= begin + seconds for o in outcomes) / seconds


def _report(alone: list[Outcome], loaded: list[Outcome], seconds: float, rate: float) -> None:
    refused = [o for o in loaded if o.status == 503]
    others = [o for o in loaded if o.status not in (200, 503)]
    before, after = _rate(alone, seconds), _rate(loaded, seconds)
    print(f"served alone: {before:.2f} requests/s of {NEW_TOKENS} tokens, {PLACES} at a time")
    print(f"offered: {rate:.1f}/s for {seconds:.0f} s; served: {after:.2f}/s")
    print(f"goodput: {after / before:.1%}")
    print(f"refused: {len(refused)}, without Retry-After: {sum(not o.says_when for o in refused)}")
    print(f"any other status: {len(others)}")
    cuts = quantiles((1000 * o.seconds for o in refused), n=100)
    print(f"refused within: median {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms")


if __name__ == "__main__":
    main()
