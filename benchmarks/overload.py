"""What a server does with ten times the load it can carry: how much it still gets done, and how
quickly it refuses the rest.

Requests come at a fixed rate whether or not earlier ones were answered, each on a connection of its
own. The clients run beside the server, so on a small machine they take part of its processors; the
processor time of the server's own process, which refuses, tells what that costs by itself.

The machine's own pace wanders by a tenth or more: each round takes what can be served and what is
served under load one after the other, and the median of the rounds counts.

Usage: python -m benchmarks.overload [--times 10] [--seconds 10] [--rounds 7]
"""

import argparse
import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter
from typing import Any, TypeVar

import uvloop

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


@dataclass(frozen=True, slots=True)
class Round:
    """Requests served in a second, alone and under load; what the load came to."""

    alone: float
    loaded: float
    processor_seconds: float
    outcomes: list[Outcome]

    @property
    def goodput(self) -> float:
        """The share of what can be served that still is."""
        return self.loaded / self.alone


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overload", description=__doc__)
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=10, help="of each half of a round")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    limits = {"PENSTOCK_LIMITS__MAX_IN_FLIGHT": str(PLACES)}
    with ServerProcess(BUILT_IN_ID, limits) as server:
        server.wait_until_ready()
        uvloop.run(_closed_loop(server.port, 3))
        rounds = [_round(server, options.times, options.seconds) for _ in range(options.rounds)]
    _report(rounds)


def _round(server: ServerProcess, times: float, seconds: float) -> Round:
    """What can be served, then `times` as much at once."""
    alone = _rate(uvloop.run(_closed_loop(server.port, seconds)), seconds)
    spent = server.processor_seconds()
    outcomes = uvloop.run(_open_loop(server.port, seconds, times * alone))
    spent = server.processor_seconds() - spent
    found = Round(alone, _rate(outcomes, seconds), spent, outcomes)
    print(f"alone {alone:.2f}/s, under load {found.loaded:.2f}/s, goodput {found.goodput:.1%}")
    return found


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


def _report(rounds: list[Round]) -> None:
    outcomes = [o for r in rounds for o in r.outcomes]
    refused = [o for o in outcomes if o.status == 503]
    cuts = quantiles((1000 * o.seconds for o in refused), n=100)
    spent = 1000 * sum(r.processor_seconds for r in rounds) / len(outcomes)
    print(f"goodput: median of {len(rounds)} rounds {median(r.goodput for r in rounds):.1%}")
    print(f"refused: {len(refused)}, without Retry-After: {sum(not o.says_when for o in refused)}")
    print(f"any other status: {sum(o.status not in (200, 503) for o in outcomes)}")
    print(f"refused within: median {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms")
    print(f"the server's own processor time: {spent:.2f} ms a request")


if __name__ == "__main__":
    main()
