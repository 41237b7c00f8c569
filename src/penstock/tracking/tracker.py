"""Trackers that are not ours, behind one small interface; each is imported when it is chosen.

None of them may stop a run: the run's own log is the truth, they get a copy of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from penstock.errors import RecipeError


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """What a tracker is told of a run when it begins."""

    name: str
    project: str
    folder: Path
    config: Mapping[str, Any]
    step: int  # above 0 where a run continues


class Tracker(Protocol):
    """Takes the events of one run. Lives until `finish`."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Take some numbers of a step."""

    def sample(self, step: int, prompt: str, text: str) -> None:
        """Take a text that the model wrote."""

    def finish(self) -> None:
        """Write what is left and let go."""


def _wandb(run: TrackedRun) -> Tracker:
    from penstock.tracking.wandb_tracker import WandbTracker

    return WandbTracker(run)


def _tensorboard(run: TrackedRun) -> Tracker:
    from penstock.tracking.tensorboard_tracker import TensorboardTracker

    return TensorboardTracker(run)


def _trackio(run: TrackedRun) -> Tracker:
    from penstock.tracking.trackio_tracker import TrackioTracker

    return TrackioTracker(run)


EXTRAS: Mapping[str, str] = {"trackio": "trackio"}  # of pip's; those of the others is `track`
TRACKERS: Mapping[str, Callable[[TrackedRun], Tracker]] = {
    "wandb": _wandb,
    "tensorboard": _tensorboard,
    "trackio": _trackio,
}


def start_trackers(names: Sequence[str], run: TrackedRun) -> list[Tracker]:
    """Start those that are named; one that is not installed is refused by name."""
    for name in names:
        if find_spec(name) is None:
            extra = EXTRAS.get(name, "track")
            raise RecipeError(
                f"The tracker {name} is not installed.",
                f'Install it: pip install "penstock[{extra}]"; or take it out of `trackers`.',
                param="trackers",
            )
    return [TRACKERS[name](run) for name in names]


class Trackers:
    """All trackers of a run. One that fails is left out from then on, and said so."""

    def __init__(
        self, trackers: Sequence[Tracker] = (), complain: Callable[[str], None] = lambda _: None
    ) -> None:
        self._trackers = list(trackers)
        self._complain = complain

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Give each the numbers of a step."""
        self._each(lambda tracker: tracker.log(step, values))

    def sample(self, step: int, prompt: str, text: str) -> None:
        """Give each a text that the model wrote."""
        self._each(lambda tracker: tracker.sample(step, prompt, text))

    def finish(self) -> None:
        """Let go of all."""
        self._each(lambda tracker: tracker.finish())

    def _each(self, tell: Callable[[Tracker], None]) -> None:
        for tracker in list(self._trackers):
            try:
                tell(tracker)
            except Exception as error:  # a stranger's code: hours of training go on
                self._trackers.remove(tracker)
                self._complain(
                    f"{type(tracker).__name__} failed and is left out from here on ({error})."
                )
