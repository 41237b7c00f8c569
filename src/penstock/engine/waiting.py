"""Tells those who wait their place and about how long it will take. Knows no scheduler."""

from collections.abc import Iterable
from typing import Protocol

from penstock.types import RequestQueued

PAUSE_SECONDS = 0.5  # between two tellings to the same request
WEIGHT_OF_LATEST = 0.3


class Waiter(Protocol):
    """Who waits."""

    @property
    def request_id(self) -> str: ...

    @property
    def has_started(self) -> bool:
        """It was under way before, and has been told so."""


class WaitingRoom:
    """Remembers what each was told, and how quickly places have moved while anybody waited."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[int, float]] = {}  # place, and when
        self._moved_at: float | None = None  # since when somebody has waited, or was taken up
        self._seconds_per_place: float | None = None

    def take_up(self, num_taken: int, now: float) -> None:
        """So many were taken up just now."""
        if num_taken and self._moved_at is not None:
            pace = (now - self._moved_at) / num_taken
            before = pace if self._seconds_per_place is None else self._seconds_per_place
            self._seconds_per_place = before + WEIGHT_OF_LATEST * (pace - before)
            self._moved_at = now

    def tell(self, waiting: Iterable[Waiter], now: float) -> list[RequestQueued]:
        """News for who is at a new place. `waiting` are all who wait, the next one first."""
        told, self._told = self._told, {}
        news: list[RequestQueued] = []
        for place, request in enumerate(waiting, 1):
            last = told.get(request.request_id)
            if last is not None and (last[0] == place or now - last[1] < PAUSE_SECONDS):
                self._told[request.request_id] = last
            elif not request.has_started:
                self._told[request.request_id] = (place, now)
                news.append(self._news(request, place))
        self._moved_at = (now if self._moved_at is None else self._moved_at) if self._told else None
        return news

    def _news(self, request: Waiter, place: int) -> RequestQueued:
        pace = self._seconds_per_place
        return RequestQueued(
            request_id=request.request_id,
            position=place,
            estimated_seconds=None if pace is None else place * pace,
        )
