"""The goals a run is held against, and what it reached. Pure: results in, outcomes out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.contenders import CONTENDERS
from benchmarks.results import Results

OVER_HTTP = "penstock-http"
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A number to reach: at least, or at most, `target`."""

    title: str
    target: float
    unit: str
    is_upper_limit: bool = False

    def __str__(self) -> str:
        return f"{'≤' if self.is_upper_limit else '≥'} {self.target:g} {self.unit}"

    def is_met_by(self, value: float) -> bool:
        return value <= self.target if self.is_upper_limit else value >= self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one contender reached on one model."""

    goal: Goal
    model: str
    contender: str
    value: float

    @property
    def is_met(self) -> bool:
        return self.goal.is_met_by(self.value)


ONE_STREAM = Goal(title="1 stream over the best rival", target=1.3, unit="x")
STAGGERED = Goal(
    title="16 staggered streams over the best rival's 16 at once", target=1.4, unit="x"
)
GROWTH = Goal(title="16 staggered streams over 1 stream", target=8, unit="x")
NEWCOMER = Goal(
    title="First token while 15 run, in decode steps of an idle engine",
    target=3,
    unit="steps",
    is_upper_limit=True,
)
READY = Goal(title="Server ready after its start", target=3, unit="s", is_upper_limit=True)
MEMORY = Goal(
    title="Peak memory of the server with 16 streams", target=700, unit="MB", is_upper_limit=True
)


def outcomes(all_results: Sequence[Results]) -> list[Outcome]:
    """Every goal that this run can speak of, for every model and every form of our engine."""
    found: list[Outcome] = []
    for results in all_results:
        for name in results.contenders:
            if CONTENDERS[name].is_ours and name != OVER_HTTP:
                found += _engine_outcomes(results, name)
        if results.is_built_in:
            found += _server_outcomes(results)
    return found


def _engine_outcomes(results: Results, name: str) -> Iterator[Outcome]:
    one, staggered = results.figures("one", name), results.figures("staggered", name)
    newcomer = results.figures("newcomer", name)
    values = [
        (GROWTH, staggered.decode_rate / one.decode_rate),
        (NEWCOMER, newcomer.last_arrival_first_token / one.gap_p50),
    ]
    rivals = results.best_rival_rate("one"), results.best_rival_rate("together")
    if rivals[0] is not None and rivals[1] is not None:
        values.append((ONE_STREAM, one.decode_rate / rivals[0]))
        values.append((STAGGERED, staggered.decode_rate / rivals[1]))
    for goal, value in values:
        yield Outcome(goal=goal, model=results.model_id, contender=name, value=value)


def _server_outcomes(results: Results) -> Iterator[Outcome]:
    seconds = median(start.ready_seconds for start in results.starts)
    yield Outcome(goal=READY, model=results.model_id, contender=OVER_HTTP, value=seconds)
    peak = results.peak_bytes(OVER_HTTP) if OVER_HTTP in results.contenders else None
    if peak is not None:
        value = peak / MEGABYTE
        yield Outcome(goal=MEMORY, model=results.model_id, contender=OVER_HTTP, value=value)
