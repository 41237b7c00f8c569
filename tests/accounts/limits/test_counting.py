"""Counting, in memory and on the real Redis: exact under a crowd, given back in time."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from penstock.accounts.limits.counting import STREAM_SECONDS, Counts, MemoryCounts, Share
from penstock.accounts.limits.redis_counts import RedisCounts
from tests.scale.brokers import REDIS, connected

NOON = 1_800_000_000.0 // 86_400 * 86_400 + 43_200


@dataclass
class Servers:
    """Two servers that count together, where they can, and their clock."""

    one: Counts
    other: Counts
    now: list[float]
    name: str

    def share(
        self, amount: int = 1, *, most: int = 10, seconds: int = 60, lease: str = ""
    ) -> Share:
        name = f"{self.name} {seconds}"
        return Share(name=name, seconds=seconds, most=most, amount=amount, lease=lease)


@pytest.fixture(params=["memory", "redis"])
async def servers(request: pytest.FixtureRequest) -> AsyncIterator[Servers]:
    now = [NOON]
    clock: Callable[[], float] = lambda: now[0]  # noqa: E731
    name = f"test:{uuid.uuid4().hex}"
    if request.param == "memory":
        counts = MemoryCounts(clock)
        yield Servers(counts, counts, now, name)
        return
    with connected() as client:
        one, other = RedisCounts(REDIS, clock=clock), RedisCounts(REDIS, clock=clock)
        yield Servers(one, other, now, name)
        await one.close()
        await other.close()
        for key in client.scan_iter(f"penstock:limit:{name}*"):
            client.delete(key)


async def settled(counts: Counts) -> None:
    """What is told without waiting has been told."""
    if isinstance(counts, RedisCounts):
        while counts._telling:
            await asyncio.gather(*counts._telling)


async def test_of_fifty_at_once_on_two_servers_as_many_get_in_as_may(servers: Servers) -> None:
    asked = [
        (servers.one if number % 2 else servers.other).take([servers.share(3, most=50)])
        for number in range(50)
    ]

    counts = await asyncio.gather(*asked)

    assert sum(count.refused is None for count in counts) == 16
    assert (await servers.one.read([servers.share(most=50)])).used == (48,)


async def test_all_of_several_limits_are_taken_of_or_none(servers: Servers) -> None:
    minute, day = servers.share(8), servers.share(8, most=12, seconds=86_400)
    await servers.one.take([minute, day])
    servers.now[0] += 60  # the minute is another, the day is not

    refused = await servers.other.take([minute, day])

    assert (refused.refused, refused.used) == (1, (0, 8))
    assert (await servers.one.read([minute, day])).used == (0, 8)


@pytest.mark.parametrize("seconds", [60, 86_400])
async def test_what_was_taken_is_given_back_when_its_time_is_over(
    servers: Servers, seconds: int
) -> None:
    share = servers.share(10, seconds=seconds)
    servers.now[0] = (NOON // seconds + 1) * seconds - 0.001  # the last moment
    assert (await servers.one.take([share])).refused is None
    assert (await servers.one.take([share])).refused == 0
    servers.now[0] += 0.002

    assert (await servers.other.take([share])).refused is None


async def test_a_clock_that_is_set_back_grants_nothing_twice(servers: Servers) -> None:
    share = servers.share(10, seconds=86_400)
    assert (await servers.one.take([share])).refused is None
    servers.now[0] -= 3600

    assert (await servers.one.take([share])).refused == 0


async def test_what_was_not_used_is_given_back_in_its_own_minute(servers: Servers) -> None:
    share = servers.share(10)
    count = await servers.one.take([share])
    servers.now[0] += 60
    await servers.one.take([servers.share(4)])

    servers.one.correct(share, count.index(share), -7)
    await settled(servers.one)

    assert (await servers.other.read([share])).used == (4,), "it was given back to another minute"
    servers.now[0] -= 60
    assert (await servers.other.read([share])).used == (3,)


async def test_what_was_used_beyond_what_was_taken_counts(servers: Servers) -> None:
    share = servers.share(2)
    count = await servers.one.take([share])
    servers.one.correct(share, count.index(share), 8)
    await settled(servers.one)

    assert (await servers.other.take([servers.share(1)])).refused == 0


async def test_a_place_is_held_until_it_is_left_or_forgotten(servers: Servers) -> None:
    def place(lease: str) -> Share:
        return servers.share(1, most=2, seconds=0, lease=lease)

    await servers.one.take([place("a")])
    await servers.other.take([place("b")])
    assert (await servers.one.take([place("c")])).refused == 0

    servers.one.leave(place("a"))
    servers.one.leave(place("a"))
    await settled(servers.one)
    assert (await servers.other.take([place("d")])).refused is None
    assert (await servers.one.take([place("e")])).refused == 0

    servers.now[0] += STREAM_SECONDS + 1
    assert (await servers.one.take([place("f")])).refused is None


async def test_without_its_redis_a_server_counts_for_itself() -> None:
    counts = RedisCounts("redis://127.0.0.1:1/0", clock=lambda: NOON)
    share = Share(name="x", seconds=60, most=2, amount=1)

    refused = [(await counts.take([share])).refused for _ in range(3)]

    assert refused == [None, None, 0]
    await counts.close()
