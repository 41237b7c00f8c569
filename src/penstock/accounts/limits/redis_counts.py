"""Counts what is taken of limits in a Redis, for all servers that share it.

While Redis does not answer, each server counts for itself: limits are then as many times as wide as
there are servers, and nobody waits for it.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from penstock.accounts.limits.counting import STREAM_SECONDS, Count, MemoryCounts, Share
from penstock.storage.optional_redis import OptionalRedis, RedisAway

if TYPE_CHECKING:
    from redis.asyncio import Redis

PREFIX = "penstock:limit:"
# Redis runs a script as one step and goes by one clock, its own. For each limit: its name, its
# length in seconds, the most, the amount and the lease. Answers the time, the place of the first
# that does not suffice (0: none), and what was used of each before.
TAKE = """
local clock = redis.call('TIME')
local now = tonumber(ARGV[1])
if not now then now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000 end
local takes, lease_seconds = ARGV[2] == '1', tonumber(ARGV[3])
local used, keys, refused = {}, {}, 0
for place = 1, #KEYS do
  local at = 4 + (place - 1) * 4
  local seconds = tonumber(ARGV[at])
  local key = KEYS[place]
  if seconds > 0 then
    key = key .. ':' .. string.format('%d', math.floor(now / seconds))
    used[place] = tonumber(redis.call('GET', key) or '0')
  else
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    used[place] = redis.call('ZCARD', key)
  end
  keys[place] = key
  if refused == 0 and used[place] + tonumber(ARGV[at + 2]) > tonumber(ARGV[at + 1]) then
    refused = place
  end
end
if takes and refused == 0 then
  for place = 1, #KEYS do
    local at = 4 + (place - 1) * 4
    local seconds = tonumber(ARGV[at])
    if seconds > 0 then
      redis.call('INCRBY', keys[place], ARGV[at + 2])
      redis.call('EXPIRE', keys[place], 2 * seconds)
    else
      redis.call('ZADD', keys[place], now + lease_seconds, ARGV[at + 3])
      redis.call('EXPIRE', keys[place], lease_seconds)
    end
  end
end
return {tostring(now), refused, unpack(used)}
"""
CORRECT = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  if redis.call('INCRBY', KEYS[1], ARGV[1]) < 0 then redis.call('SET', KEYS[1], 0, 'KEEPTTL') end
end
return 0
"""


class RedisCounts:
    """The counts of all servers that name the same Redis. `clock` stands in for Redis's own."""

    def __init__(self, url: str, *, clock: Callable[[], float] | None = None) -> None:
        self._redis = OptionalRedis(url, setting="limits_url")
        self._clock = clock
        self._own = MemoryCounts(clock or time.time)
        self._telling: set[asyncio.Task[None]] = set()
        self._id = uuid.uuid4().hex  # leases of several servers have the same names

    async def take(self, shares: Sequence[Share]) -> Count:
        """Take all of these, or none where one of them is more than is left."""
        count = await self._run(shares, takes=True)
        return await self._own.take(shares) if count is None else count

    async def read(self, shares: Sequence[Share]) -> Count:
        """How these stand."""
        count = await self._run(shares, takes=False)
        return await self._own.read(shares) if count is None else count

    def correct(self, share: Share, index: int, difference: int) -> None:
        """Nothing where that span of time is over and forgotten."""
        self._own.correct(share, index, difference)
        key = f"{PREFIX}{share.name}:{index}"
        self._tell(lambda client: client.eval(CORRECT, 1, key, difference))

    def leave(self, share: Share) -> None:
        """End a lease."""
        self._own.leave(share)
        self._tell(lambda client: client.zrem(PREFIX + share.name, self._lease(share)))

    async def close(self) -> None:
        """Wait for what is being told, and close its connections."""
        await asyncio.gather(*self._telling)
        await self._redis.close()

    async def _run(self, shares: Sequence[Share], *, takes: bool) -> Count | None:
        """What Redis says; none while it is done without."""
        keys = [PREFIX + share.name for share in shares]
        now = "" if self._clock is None else str(self._clock())
        arguments: list[Any] = [now, int(takes), STREAM_SECONDS]
        for share in shares:
            arguments += [share.seconds, share.most, share.amount, self._lease(share)]
        try:
            told, refused, *used = await self._redis.ask(
                lambda redis: redis.eval(TAKE, len(keys), *keys, *arguments)
            )
        except RedisAway:
            return None
        place = refused - 1 if takes and refused else None
        return Count(used=tuple(map(int, used)), now=float(told), refused=place)

    def _tell(self, question: "Callable[[Redis], Awaitable[Any]]") -> None:
        if self._redis.is_resting:
            return
        task = asyncio.get_running_loop().create_task(self._told(question))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _told(self, question: "Callable[[Redis], Awaitable[Any]]") -> None:
        with contextlib.suppress(RedisAway):
            await self._redis.ask(question)

    def _lease(self, share: Share) -> str:
        return f"{self._id}:{share.lease}"
