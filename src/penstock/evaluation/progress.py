"""How far an evaluation is, how fast it goes and how long it still takes; and how it is stopped."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from penstock.errors import EvaluationCancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where one stage of an evaluation stands."""

    stage: str
    num_done: int
    num_total: int
    num_tokens: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        return self.num_tokens / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """None until something is done."""
        if not self.num_done:
            return None
        return self.seconds / self.num_done * (self.num_total - self.num_done)


Watch = Callable[[Progress], None]
IsCancelled = Callable[[], bool]


class Watcher:
    """Counts what is done in a stage, tells of it, and raises when the evaluation is cancelled."""

    def __init__(
        self,
        watch: Watch = lambda progress: None,
        is_cancelled: IsCancelled = lambda: False,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watch = watch
        self._is_cancelled = is_cancelled
        self._clock = clock
        self._stage, self._num_total = "", 0
        self._num_done = self._num_tokens = 0
        self._since = 0.0

    def begin(self, stage: str, num_total: int) -> None:
        """A stage with so many things to do begins."""
        self._stage, self._num_total = stage, num_total
        self._num_done = self._num_tokens = 0
        self._since = self._clock()
        self.done(0, 0)

    def done(self, num_done: int, num_tokens: int) -> None:
        """So many more are done."""
        if self._is_cancelled():
            raise EvaluationCancelled(
                f"The evaluation was cancelled while {self._stage}.", "Start it again if you like."
            )
        self._num_done += num_done
        self._num_tokens += num_tokens
        self._watch(
            Progress(
                stage=self._stage,
                num_done=self._num_done,
                num_total=self._num_total,
                num_tokens=self._num_tokens,
                seconds=self._clock() - self._since,
            )
        )
