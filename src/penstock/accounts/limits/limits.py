"""The limits there are, as values, and the words for them. Counts nothing."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from penstock.errors import InvalidParameter

MINUTE, DAY = 60, 86_400
MAX_LIMIT = 10**12


class Unit(StrEnum):
    """What is counted."""

    REQUESTS = "requests"
    TOKENS = "tokens"  # of prompts and of what is written
    STREAMS = "streams"  # requests under way at once


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time in which something is counted; each begins at a multiple of its length.

    Days begin at 00:00 UTC. What is under way at once has no span.
    """

    unit: Unit
    seconds: int
    words: str

    def ends_at(self, now: float) -> float:
        """When what has been taken is given back."""
        return (math.floor(now / self.seconds) + 1) * self.seconds if self.seconds else now


WINDOWS: Mapping[str, Window] = {
    "requests_per_minute": Window(Unit.REQUESTS, MINUTE, "a minute"),
    "requests_per_day": Window(Unit.REQUESTS, DAY, "a day"),
    "tokens_per_minute": Window(Unit.TOKENS, MINUTE, "a minute"),
    "tokens_per_day": Window(Unit.TOKENS, DAY, "a day"),
    "max_streams": Window(Unit.STREAMS, 0, "at once"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much somebody may take; none is no limit. The names are those of `WINDOWS`."""

    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    max_streams: int | None = None

    def __post_init__(self) -> None:
        for name in WINDOWS:
            most = getattr(self, name)
            if most is not None and not 0 <= most <= MAX_LIMIT:
                raise InvalidParameter(
                    f"{name}={most} is out of range.",
                    f"Use 0 to {MAX_LIMIT}, or none for no limit.",
                    param=name,
                )

    def set_to(self, changes: Mapping[str, int | None]) -> Self:
        """These with some of them changed."""
        return type(self)(**{**asdict(self), **changes})

    def to_plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """How one limit of somebody's stands."""

    whose: str  # "account" or "key"
    name: str
    most: int
    used: int
    now: float

    @property
    def window(self) -> Window:
        """What it counts, and over which time."""
        return WINDOWS[self.name]

    @property
    def left(self) -> int:
        """How much may still be taken."""
        return max(0, self.most - self.used)

    @property
    def reset_seconds(self) -> float:
        """Until what has been taken is given back."""
        return self.window.ends_at(self.now) - self.now

    @property
    def words(self) -> str:
        """The limit and what is left of it, for who has met it."""
        window = self.window
        if window.unit is Unit.STREAMS:
            return (
                f"Your {self.whose} may have {self.most:,} requests under way at once; "
                f"{self.left:,} more may begin now."
            )
        verb = "send" if window.unit is Unit.REQUESTS else "use"
        until = (
            "until 00:00 UTC"
            if window.seconds == DAY
            else f"for the next {math.ceil(self.reset_seconds)} s"
        )
        are = "is" if self.left == 1 else "are"
        return (
            f"Your {self.whose} may {verb} {self.most:,} {window.unit} {window.words}; "
            f"{self.left:,} {are} left {until}."
        )


def day_of(now: float) -> str:
    """The day in UTC, as 2026-01-31."""
    return time.strftime("%Y-%m-%d", time.gmtime(now))
