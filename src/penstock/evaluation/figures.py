"""A figure: one number about a model, with what it was made of, so that two can be compared."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from penstock.evaluation.intervals import Aggregate, Statistics, interval
from penstock.evaluation.references import BLEU, CHRF

Better = Literal["lower", "higher", "neither"]
MAX_LOG = 700.0  # of a perplexity; more cannot be written


def _ratio(sums: Statistics) -> float:
    return float(sums[0] / sums[1]) if sums[1] else math.nan


def _exp_ratio(sums: Statistics) -> float:
    return math.exp(min(_ratio(sums), MAX_LOG))


AGGREGATES: Mapping[str, Aggregate] = {
    "ratio": _ratio,  # of the first sum to the second
    "exp_ratio": _exp_ratio,  # its exponential
    "bleu": BLEU.score,
    "chrf": CHRF.score,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`value` with the interval it lies in at 95 %; `problem` says why there is no value.

    `rows` and `statistics` are what it was made of: sums over rows, as `aggregate` takes them.
    """

    name: str
    label: str
    unit: str
    better: Better
    value: float | None
    low: float | None = None
    high: float | None = None
    signature: str = ""
    problem: str = ""
    aggregate: str = "ratio"
    rows: tuple[int, ...] = ()
    statistics: tuple[tuple[float, ...], ...] = ()

    @property
    def sums(self) -> Statistics:
        """(num_rows, num_sums)."""
        return np.asarray(self.statistics, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a figure is called and how it is read."""

    name: str
    label: str
    unit: str
    better: Better
    aggregate: str = "ratio"


def figure(kind: Kind, statistics: Mapping[int, Sequence[float]], *, signature: str = "") -> Figure:
    """The figure of these statistics by row."""
    if not statistics:
        return without_value(kind, "No row of the data has what this needs.")
    rows = tuple(sorted(statistics))
    made = tuple(tuple(float(s) for s in statistics[row]) for row in rows)
    sums = np.asarray(made, dtype=np.float64)
    aggregate = AGGREGATES[kind.aggregate]
    value = aggregate(sums.sum(0))
    if not math.isfinite(value):
        return without_value(kind, "The model finds some of it impossible.")
    found = interval(sums, aggregate)
    return Figure(
        name=kind.name,
        label=kind.label,
        unit=kind.unit,
        better=kind.better,
        value=value,
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        signature=signature,
        aggregate=kind.aggregate,
        rows=rows,
        statistics=made,
    )


def mean(kind: Kind, values: Mapping[int, float | None], *, signature: str = "") -> Figure:
    """The mean over rows; those without a value do not count."""
    counted = {row: (value, 1.0) for row, value in values.items() if value is not None}
    return figure(kind, counted, signature=signature)


def single(kind: Kind, value: float) -> Figure:
    """A figure that is no mean of rows."""
    return Figure(name=kind.name, label=kind.label, unit=kind.unit, better=kind.better, value=value)


def without_value(kind: Kind, problem: str) -> Figure:
    """A figure that cannot be told, and why."""
    return Figure(
        name=kind.name,
        label=kind.label,
        unit=kind.unit,
        better=kind.better,
        value=None,
        problem=problem,
    )
