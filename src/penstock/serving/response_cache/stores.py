"""Where answers are kept: the memory of this process, or a Redis that several servers share."""

import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from penstock.storage.optional_redis import OptionalRedis, RedisAway

PREFIX = "penstock:answer:"
SECONDS_KEPT = 24 * 3600
ENTRY_BYTES = 200  # about what a key and the table take beside an answer


class AnswerStore(Protocol):
    """Keeps bytes for a while. Never raises for trouble of its own: then there is nothing."""

    async def get(self, key: str) -> bytes | None:
        """What was put, if it is still there."""

    async def put(self, key: str, answer: bytes) -> None:
        """Keep it for a while."""

    async def close(self) -> None:
        """Let go of what it holds."""


class Nothing:
    """Keeps nothing."""

    async def get(self, key: str) -> bytes | None:
        """Nothing."""
        return None

    async def put(self, key: str, answer: bytes) -> None:
        """It is gone."""

    async def close(self) -> None:
        """There is nothing to let go of."""


class MemoryStore:
    """At most so many bytes; what was not asked for the longest goes first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, bytes] = OrderedDict()
        self.num_bytes = 0

    async def get(self, key: str) -> bytes | None:
        """What was put, if it is still there; it is now the last to go."""
        if key in self._entries:
            self._entries.move_to_end(key)
        return self._entries.get(key)

    async def put(self, key: str, answer: bytes) -> None:
        """Keep it, unless it alone is too large."""
        if len(answer) + ENTRY_BYTES > self._max_bytes:
            return
        if key in self._entries:
            self._remove(key)
        self._entries[key] = answer
        self.num_bytes += len(answer) + ENTRY_BYTES
        while self.num_bytes > self._max_bytes:
            self._remove(next(iter(self._entries)))

    async def close(self) -> None:
        """Forget all."""
        self._entries.clear()
        self.num_bytes = 0

    def _remove(self, key: str) -> None:
        self.num_bytes -= len(self._entries.pop(key)) + ENTRY_BYTES


class RedisStore:
    """A Redis, for a day. One that does not answer is done without."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = OptionalRedis(url, setting="cache_url", clock=clock)

    async def get(self, key: str) -> bytes | None:
        """What was put by any server, if it is still there."""
        try:
            found: bytes | None = await self._redis.ask(lambda redis: redis.get(PREFIX + key))
        except RedisAway:
            return None
        return found

    async def put(self, key: str, answer: bytes) -> None:
        """Keep it for all servers."""
        with contextlib.suppress(RedisAway):
            await self._redis.ask(lambda redis: redis.set(PREFIX + key, answer, ex=SECONDS_KEPT))

    async def close(self) -> None:
        """Close its connections."""
        await self._redis.close()


def answer_store(url: str | None, max_bytes: int) -> AnswerStore:
    """The Redis where there is one, else so much memory, else nothing."""
    if url is not None:
        return RedisStore(url)
    return MemoryStore(max_bytes) if max_bytes else Nothing()
