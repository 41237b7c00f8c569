"""Counts what is taken of limits, in the memory of this process.

Several limits are taken of together or not at all. Lives on the event loop; knows no user.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

STREAM_SECONDS = 900  # what is under way for longer is taken to have been forgotten by a crash
MAX_NAMES = 10_000  # before what is over is looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """So much of one limit. Of what has no span of time, a lease of this name is taken."""

    name: str
    seconds: int
    most: int
    amount: int
    lease: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How the limits stand, in the order they were asked for, before anything is taken."""

    used: tuple[int, ...]
    now: float
    refused: int | None = None  # the place of the first that does not suffice

    def index(self, share: Share) -> int:
        """Which of the limit's spans of time it is."""
        return math.floor(self.now / share.seconds)


class Counts(Protocol):
    """Where what is taken is counted."""

    async def take(self, shares: Sequence[Share]) -> Count:
        """Take all of these, or none where one of them is more than is left."""

    async def read(self, shares: Sequence[Share]) -> Count:
        """How these stand."""

    def correct(self, share: Share, index: int, difference: int) -> None:
        """So much more was used than was taken in that span of time, or less. Never waits."""

    def leave(self, share: Share) -> None:
        """End a lease. Never waits."""

    async def close(self) -> None:
        """Let go of what it holds."""


class MemoryCounts:
    """The counts of one process, gone with it. Nothing in it waits, so all of it is atomic."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._used: dict[tuple[str, int], int] = {}
        self._ends: dict[tuple[str, int], float] = {}
        self._leases: dict[str, dict[str, float]] = {}

    async def take(self, shares: Sequence[Share]) -> Count:
        """Take all of these, or none where one of them is more than is left."""
        count = await self.read(shares)
        for place, (share, used) in enumerate(zip(shares, count.used, strict=True)):
            if used + share.amount > share.most:
                return Count(used=count.used, now=count.now, refused=place)
        for share in shares:
            if share.seconds:
                self._add(share, count.index(share), share.amount)
            else:
                leases = self._leases.setdefault(share.name, {})
                leases[share.lease] = count.now + STREAM_SECONDS
        return count

    async def read(self, shares: Sequence[Share]) -> Count:
        """How these stand."""
        now = self._clock()
        self._forget(now)
        count = Count(used=(), now=now)
        used = tuple(
            self._used.get((share.name, count.index(share)), 0)
            if share.seconds
            else sum(ends > now for ends in self._leases.get(share.name, {}).values())
            for share in shares
        )
        return Count(used=used, now=now)

    def correct(self, share: Share, index: int, difference: int) -> None:
        """Nothing where that span of time is over and forgotten."""
        if (share.name, index) in self._used:
            self._add(share, index, difference)

    def leave(self, share: Share) -> None:
        """End a lease."""
        leases = self._leases.get(share.name, {})
        leases.pop(share.lease, None)
        if not leases:
            self._leases.pop(share.name, None)

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _add(self, share: Share, index: int, amount: int) -> None:
        place = (share.name, index)
        self._used[place] = max(0, self._used.get(place, 0) + amount)
        self._ends[place] = (index + 1) * share.seconds

    def _forget(self, now: float) -> None:
        if len(self._used) < MAX_NAMES:
            return
        for place in [place for place, end in self._ends.items() if end < now]:
            del self._used[place], self._ends[place]
