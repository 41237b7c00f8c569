"""A Redis that can be done without: whoever asks it gets an answer soon, or hears that it is away.

It knows no key. Its client is imported only where an address was given.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from penstock.errors import ConfigError

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

T = TypeVar("T")
SOCKET_SECONDS = 0.5
REST_SECONDS = 5.0  # after it did not answer it is left alone for so long


class RedisAway(Exception):
    """It does not answer now. Never reaches a client."""


class OptionalRedis:
    """One connection pool, made when it is first asked. Lives on the event loop."""

    def __init__(
        self, url: str, *, setting: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`setting` is the name of the setting that gave the address."""
        if find_spec("redis") is None:
            raise ConfigError(
                f"{setting} needs a client of Redis.",
                "Install it: pip install penstock[redis].",
                param=setting,
            )
        self._url = url
        self._setting = setting
        self._clock = clock
        self._client: Redis | None = None
        self._rests_until = 0.0

    @property
    def is_resting(self) -> bool:
        """It did not answer a moment ago, and is not asked."""
        return self._clock() < self._rests_until

    async def ask(self, question: "Callable[[Redis], Awaitable[T]]") -> T:
        """What it answers. Raises `RedisAway`, at once while it is resting."""
        from redis.exceptions import RedisError  # noqa: PLC0415  (only where it is used)

        if self.is_resting:
            raise RedisAway
        try:
            return await question(self._connected())
        except (OSError, RedisError) as error:
            logger.warning("The Redis of %s is done without for a while: %r", self._setting, error)
            self._rests_until = self._clock() + REST_SECONDS
            raise RedisAway from error

    async def close(self) -> None:
        """Close its connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _connected(self) -> "Redis":
        from redis.asyncio import Redis  # noqa: PLC0415  (only where it is used)

        if self._client is None:
            self._client = Redis.from_url(
                self._url,
                socket_timeout=SOCKET_SECONDS,
                socket_connect_timeout=SOCKET_SECONDS,
            )
        return self._client
