"""When things happened to a request. Times are seconds of a clock that is passed in."""

from dataclasses import dataclass

from penstock.types import Timings


@dataclass(slots=True)
class Stopwatch:
    """Marks the moments of one request; each is kept the first time, the last token every time."""

    submitted_at: float
    planned_at: float | None = None
    first_token_at: float | None = None
    last_token_at: float | None = None

    def mark_planned(self, now: float) -> None:
        if self.planned_at is None:
            self.planned_at = now

    def mark_token(self, now: float) -> None:
        if self.first_token_at is None:
            self.first_token_at = now
        self.last_token_at = now

    def timings(self) -> Timings:
        """The moments as durations; a moment that never came gives 0."""
        return Timings(
            queue_seconds=_between(self.submitted_at, self.planned_at),
            prompt_seconds=_between(self.planned_at, self.first_token_at),
            first_token_seconds=_between(self.submitted_at, self.first_token_at),
            generation_seconds=_between(self.first_token_at, self.last_token_at),
        )


def _between(start: float | None, end: float | None) -> float:
    return 0.0 if start is None or end is None else end - start
