"""Passwords as argon2id hashes, computed beside the event loop, two at a time.

A hash costs memory and time on purpose: unlimited, signing in would be a way to exhaust the server.
"""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from penstock.errors import ServerBusy

AT_ONCE = 2
MAX_WAITING = 32
MAX_BYTES = 1024
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a hash costs: OWASP's first choice for argon2id."""

    memory_kib: int = 19 * 1024
    num_passes: int = 2


class Passwords:
    """Makes and checks hashes. Checking takes as long for a user there is not."""

    def __init__(self, cost: Cost | None = None) -> None:
        cost = cost or Cost()
        self._hasher = PasswordHasher(
            time_cost=cost.num_passes, memory_cost=cost.memory_kib, parallelism=1
        )
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        self._num_waiting = 0
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """The hash to keep, with its parameters in it. Raises `ServerBusy`."""
        return await self._do(lambda: self._hasher.hash(_prepared(password)))

    async def is_right(self, password: str, hashed: str | None) -> bool:
        """Whether it is the password of that hash; never, for none. Raises `ServerBusy`."""
        return await self._do(lambda: self._check(password, hashed))

    def is_outdated(self, hashed: str) -> bool:
        """The hash was made at another cost than is asked for now."""
        return self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        """Begin no further work."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _check(self, password: str, hashed: str | None) -> bool:
        text = _prepared(password)
        is_short = len(text) <= MAX_BYTES
        try:
            self._hasher.verify(hashed or self._nobody(), text[:MAX_BYTES])
        except (VerificationError, InvalidHashError):
            return False
        return hashed is not None and is_short

    def _nobody(self) -> str:
        """A hash that no password fits, at the same cost as the others."""
        if self._nobodys is None:
            self._nobodys = self._hasher.hash(secrets.token_bytes(32))
        return self._nobodys

    async def _do(self, work: Callable[[], T]) -> T:
        if self._num_waiting >= MAX_WAITING:
            raise ServerBusy("Too many are signing in right now.", "Try again in a moment.")
        self._num_waiting += 1
        try:
            future = self._threads.submit(work)
        except BaseException:
            self._num_waiting -= 1
            raise
        loop = asyncio.get_running_loop()
        # Counted until the work has ended, which a caller that leaves does not wait for.
        future.add_done_callback(lambda _: _soon(loop, self._one_less))
        return await asyncio.wrap_future(future)

    def _one_less(self) -> None:
        self._num_waiting -= 1


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)


def _prepared(password: str) -> bytes:
    """One form of characters that look the same, however they were typed."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
