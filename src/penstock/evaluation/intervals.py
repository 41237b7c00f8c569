"""How sure a figure is: bootstrap intervals, and paired tests of two models on the same rows.

A figure is an aggregate of sums over rows, so a resample is a product of counts and statistics.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
NUM_RESAMPLES = 1000
Statistics = NDArray[np.float64]  # (num_rows, num_sums)
Aggregate = Callable[[Statistics], float]  # sums (num_sums,) → the figure


@dataclass(frozen=True, slots=True)
class Interval:
    """The figure lies between these, as far as another draw of such rows would tell."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """After less before. `p_value`: how often it comes as large if the models are alike."""

    value: float
    interval: Interval | None
    p_value: float | None


def interval(
    statistics: Statistics,
    aggregate: Aggregate,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """The percentile bootstrap (Efron 1979) over rows. None for fewer than two."""
    if len(statistics) < 2:
        return None
    sums = _counts(len(statistics), num_resamples, seed) @ statistics
    return _percentiles([aggregate(row) for row in sums])


def difference(
    before: Statistics,
    after: Statistics,
    aggregate: Aggregate,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Difference:
    """How the figure changed on the same rows, resampled in pairs (Koehn 2004).

    The p-value is that of approximate randomisation, two-sided (Noreen 1989).
    """
    value = aggregate(after.sum(0)) - aggregate(before.sum(0))
    if len(before) < 2:
        return Difference(value, None, None)
    counts = _counts(len(before), num_resamples, seed)
    resampled = [
        aggregate(a) - aggregate(b) for a, b in zip(counts @ after, counts @ before, strict=True)
    ]
    return Difference(
        value,
        _percentiles(resampled),
        _p_value(before, after, aggregate, abs(value), num_resamples, seed),
    )


def _p_value(
    before: Statistics,
    after: Statistics,
    aggregate: Aggregate,
    value: float,
    num_shuffles: int,
    seed: int,
) -> float:
    """The share of shuffles, in which each row changes sides or not, that differ as much."""
    swaps = np.random.default_rng(seed + 1).integers(0, 2, (num_shuffles, len(before)))
    moved = swaps.astype(np.float64) @ (after - before)
    firsts, seconds = before.sum(0) + moved, after.sum(0) - moved
    found = sum(
        abs(aggregate(second) - aggregate(first)) >= value - 1e-12
        for first, second in zip(firsts, seconds, strict=True)
    )
    return (int(found) + 1) / (num_shuffles + 1)


def _counts(num_rows: int, num_resamples: int, seed: int) -> Statistics:
    """(num_resamples, num_rows): how often each row is drawn, with replacement."""
    draw = np.random.default_rng(seed)
    return draw.multinomial(num_rows, [1 / num_rows] * num_rows, num_resamples).astype(np.float64)


def _percentiles(values: list[float]) -> Interval | None:
    finite = [value for value in values if np.isfinite(value)]
    if not finite:
        return None
    low, high = np.percentile(finite, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return Interval(float(low), float(high))
