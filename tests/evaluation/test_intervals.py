"""Bootstrap intervals and paired tests: against known distributions, and by hand."""

import math

import numpy as np
import pytest

from penstock.evaluation.intervals import Statistics, difference, interval


def mean(sums: Statistics) -> float:
    return float(sums[0] / sums[1])


def rows(values: list[float]) -> Statistics:
    return np.asarray([(value, 1.0) for value in values])


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(3).normal(5, 2, 400)

    found = interval(rows(values.tolist()), mean, num_resamples=4000)

    half = 1.96 * values.std() / math.sqrt(len(values))
    assert found is not None
    assert found.low == pytest.approx(values.mean() - half, abs=0.05)
    assert found.high == pytest.approx(values.mean() + half, abs=0.05)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    samples = [draw.exponential(1.0, 60) for _ in range(200)]

    found = [
        interval(rows(s.tolist()), mean, num_resamples=200, seed=n) for n, s in enumerate(samples)
    ]

    covered = sum(i is not None and i.low <= 1.0 <= i.high for i in found)
    assert 174 <= covered <= 199  # 95 % of 200, less what skew and few rows take


def test_nothing_is_said_of_how_sure_one_row_is() -> None:
    assert interval(rows([1.0]), mean) is None
    assert difference(rows([1.0]), rows([2.0]), mean).p_value is None


def test_pairs_show_what_the_spread_of_rows_would_hide() -> None:
    draw = np.random.default_rng(1)
    before = draw.normal(0, 10, 50)
    after = before + 0.5 + draw.normal(0, 0.2, 50)

    found = difference(rows(before.tolist()), rows(after.tolist()), mean)

    assert found.value == pytest.approx(0.5, abs=0.1)
    assert found.interval is not None and 0.4 < found.interval.low < found.interval.high < 0.6
    assert found.p_value == pytest.approx(1 / 1001)


def test_where_nothing_changed_nothing_is_found_more_often_than_chance() -> None:
    draw = np.random.default_rng(5)
    found = [
        difference(rows(draw.normal(0, 1, 20).tolist()), rows(draw.normal(0, 1, 20).tolist()), mean,
                   num_resamples=200, seed=n).p_value
        for n in range(200)
    ]  # fmt: skip

    assert sum(p is not None and p < 0.05 for p in found) <= 20


def test_a_p_value_by_hand() -> None:
    """Two rows of the same sign: of the four ways to swap, two differ as much."""
    found = difference(rows([0, 0]), rows([1, 1]), mean, num_resamples=4000)

    assert found.p_value == pytest.approx(0.5, abs=0.03)
