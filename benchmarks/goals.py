"""The goals a run is held against, and what it reached. Pure: results in, outcomes out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from statistics import median

from benchmarks.contenders import CONTENDERS
from benchmarks.measure import Turn
from benchmarks.results import Results

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


ONE_STREAM = Goal(title="1 stream over the best rival of this width", target=1.5, unit="x")
BANDWIDTH = Goal(title="1 stream's share of the memory bandwidth", target=0.75, unit="")
STAGGERED = Goal(
    title="16 staggered streams over the best rival's 16 at once", target=1.4, unit="x"
)
OVER_HTTP = Goal(
    title="16 streams over HTTP over the best rival's bare engine", target=2.5, unit="x"
)
HTTP_COST = Goal(title="16 streams over HTTP over our bare engine", target=0.95, unit="x")
PREFILL = Goal(title="512 prompt tokens over the best rival of this width", target=1, unit="x")
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
            entry = CONTENDERS[name]
            if entry.is_ours:
                values = _server_values if entry.is_server else _engine_values
                found += [
                    Outcome(goal=goal, model=results.model_id, contender=name, value=value)
                    for goal, value in values(results, name)
                    if not isnan(value)
                ]
    return found


def _engine_values(results: Results, name: str) -> Iterator[tuple[Goal, float]]:
    width = CONTENDERS[name].width
    if rival := results.best_rival("one", width):
        yield ONE_STREAM, results.decode_ratio(Turn("one", name), Turn("one", rival))
    share = results.bandwidth_share(name)
    if share is not None:
        yield BANDWIDTH, share
    if rival := results.best_reader("prefill", width):
        yield PREFILL, results.prompt_ratio(Turn("prefill", name), Turn("prefill", rival))
    if results.has("staggered", name):
        yield from _staggered_values(results, name)


def _staggered_values(results: Results, name: str) -> Iterator[tuple[Goal, float]]:
    staggered, one = Turn("staggered", name), Turn("one", name)
    if rival := results.best_rival("together", CONTENDERS[name].width):
        yield STAGGERED, results.decode_ratio(staggered, Turn("together", rival))
    yield GROWTH, results.decode_ratio(staggered, one)
    if results.has("newcomer", name):
        newcomer = results.figures("newcomer", name)
        step_seconds = results.figures("one", name).gap_p50
        yield NEWCOMER, newcomer.last_arrival_first_token / step_seconds


def _server_values(results: Results, name: str) -> Iterator[tuple[Goal, float]]:
    width, together = CONTENDERS[name].width, Turn("together", name)
    if rival := results.best_rival("together", width):
        yield OVER_HTTP, results.decode_ratio(together, Turn("together", rival))
    bare = f"penstock-{width}"
    if results.has("together", name) and results.has("together", bare):
        yield HTTP_COST, results.decode_ratio(together, Turn("together", bare))
    if results.is_built_in and width == "float32":
        yield READY, median(start.ready_seconds for start in results.starts)
        peak = results.peak_bytes(name)
        if peak is not None:
            yield MEMORY, peak / MEGABYTE
