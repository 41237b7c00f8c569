"""Processors that transformers lacks, against tables worked out by hand from their definitions."""

import math

import pytest
import torch
from torch import Tensor

from penstock.decoding.processors import process
from penstock.decoding.processors.dry import match_lengths
from penstock.decoding.processors.mirostat import limit
from tests.decoding.rows import make_row

HALVES = [0.5, 0.25, 0.125, 0.0625, 0.0625]  # surprises of 1, 2, 3, 4 and 4 bits


def _logits(*probs: float) -> Tensor:
    return torch.tensor([probs]).log()


def _kept(logits: Tensor) -> list[int]:
    return logits[0].isfinite().nonzero().flatten().tolist()


@pytest.mark.parametrize(
    ("top_a", "kept"),
    [(0.1, [0, 1, 2, 3, 4]), (0.3, [0, 1, 2]), (0.6, [0, 1]), (1.0, [0, 1]), (0.5, [0, 1, 2])],
)
def test_top_a_asks_for_a_share_of_the_square(top_a: float, kept: list[int]) -> None:
    """The square of 0.5 is 0.25, so 0.3 asks for 0.075, 0.6 for 0.15 and 0.5 for 0.125 itself."""
    assert _kept(process(_logits(*HALVES), [make_row(top_a=top_a)])) == kept


@pytest.mark.parametrize(
    ("n", "kept"), [(0.5, [0]), (1.0, [0]), (1.5, [0, 1]), (2.2, [0, 1, 2]), (3.5, [0, 1, 2, 3])]
)
def test_top_n_sigma_counts_deviations_below_the_best(n: float, kept: list[int]) -> None:
    """Logits 4, 2, 1, -1 have mean 1.5 and variance (6.25 + 0.25 + 0.25 + 6.25) / 4 = 3.25, so
    sigma = 1.803: the others lie 1.11, 1.66 and 2.77 deviations below the best."""
    logits = torch.tensor([[4.0, 2.0, 1.0, -1.0, float("-inf")]])

    assert _kept(process(logits, [make_row(top_n_sigma=n)])) == kept
    assert _kept(process(logits / 2, [make_row(top_n_sigma=n)])) == kept  # at any temperature


@pytest.mark.parametrize(("z", "kept"), [(0.2, [0]), (0.7, [0]), (0.76, [0, 1]), (0.99, [0, 1])])
def test_tail_free_cuts_where_the_bends_add_up(z: float, kept: list[int]) -> None:
    """Of 0.6, 0.2, 0.1, 0.1 the differences are -0.4, -0.1, 0; their differences 0.3 and 0.1;
    as shares 0.75 and 0.25, summed 0.75 and 1. The last token always goes."""
    logits = _logits(0.6, 0.2, 0.1, 0.1)

    assert _kept(process(logits, [make_row(tfs_z=z)])) == kept


@pytest.mark.parametrize(
    ("threshold", "kept"),
    [(0.1, [2, 3, 4]), (0.2, [1, 2, 3, 4]), (0.3, [0, 1, 2, 3, 4]), (0.06, [3])],
)
def test_xtc_leaves_only_the_least_of_the_top_choices(threshold: float, kept: list[int]) -> None:
    row = make_row(xtc_probability=0.5, xtc_threshold=threshold, coin=0.49)

    assert _kept(process(_logits(*HALVES), [row])) == kept


def test_xtc_happens_as_often_as_asked() -> None:
    row = make_row(xtc_probability=0.5, xtc_threshold=0.1, coin=0.5)

    assert _kept(process(_logits(*HALVES), [row])) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("probs", "exponent", "temperature"),
    [
        ([1.0, 0.0, 0.0, 0.0], 1.0, 0.5),  # sure: the coldest, 1 - 0.5
        ([0.25, 0.25, 0.25, 0.25], 1.0, 1.5),  # knows nothing: the hottest
        ([0.5, 0.5, 0.0, 0.0], 1.0, 1.5),  # nothing about the two that are left
        ([0.5, 0.25, 0.125, 0.125], 1.0, 1.375),  # 1.75 bits of 2: 0.5 + 0.875
        ([0.5, 0.25, 0.125, 0.125], 2.0, 1.265625),  # 0.5 + 0.875²
    ],
)
def test_the_dynamic_temperature_follows_the_entropy(
    probs: list[float], exponent: float, temperature: float
) -> None:
    logits = _logits(*probs)
    row = make_row(temperature=1.0, dynatemp_range=0.5, dynatemp_exponent=exponent)

    torch.testing.assert_close(process(logits, [row]), logits / temperature)


@pytest.mark.parametrize(
    ("token_ids", "breakers", "lengths"),
    [
        ([], set(), {}),
        ([5], set(), {}),
        ([5, 6, 5], set(), {6: 1}),
        ([1, 2, 3, 1, 2], set(), {3: 2}),
        ([1, 2, 3, 9, 2, 4, 1, 2], set(), {3: 2, 4: 1}),
        ([1, 2, 3, 9, 2, 3, 1, 2], set(), {3: 2}),  # the longer of two
        ([1, 2, 3, 1, 2], {1}, {3: 1}),  # no match reaches over a breaker
        ([1, 2, 3, 1, 2], {2}, {}),  # nor starts at one
        ([1, 2, 3, 1, 2], {3}, {}),  # and a breaker is never held against anybody
        ([7, 7, 7, 7], set(), {7: 3}),
    ],
)
def test_dry_finds_the_longest_repetition(
    token_ids: list[int], breakers: set[int], lengths: dict[int, int]
) -> None:
    assert match_lengths(token_ids, breakers) == lengths


def test_the_dry_penalty_grows_with_the_repetition() -> None:
    row = make_row(
        (1, 2, 3, 4, 9, 1, 2, 3),
        dry_multiplier=0.8,
        dry_base=1.75,
        dry_allowed_length=2,
        dry_sequence_breakers=(),
    )
    shorter = make_row(
        (1, 2, 3, 4, 9, 1, 2, 3), dry_multiplier=0.8, dry_penalty_last_n=6, dry_sequence_breakers=()
    )

    result = process(torch.zeros(2, 10), [row, shorter])

    assert result[0].nonzero().tolist() == [[4]]
    assert result[0, 4].item() == pytest.approx(-0.8 * 1.75)  # three match, two are free
    assert result[1].count_nonzero() == 0  # of the six latest only the 3 itself matches


@pytest.mark.parametrize(
    ("tau", "kept"),
    [(0.25, [0]), (0.5, [0]), (1.0, [0, 1]), (1.5, [0, 1, 2]), (2, [0, 1, 2, 3, 4])],
)
def test_mirostat_2_keeps_what_surprises_no_more_than_its_limit(
    tau: float, kept: list[int]
) -> None:
    """Before the first token the limit is twice the target."""
    row = make_row(mirostat=2, mirostat_tau=tau + 1e-4)

    assert _kept(process(_logits(*HALVES), [row])) == kept


def test_mirostat_corrects_its_limit_by_what_was_drawn() -> None:
    """μ = 2τ, then after each token less η times what it surprised beyond τ."""
    mu = 6.0
    for surprise in (1.0, 4.0, 5.5):
        mu -= 0.1 * (surprise - 3.0)
    row = make_row(
        (1, 2, 3), mirostat=2, mirostat_tau=3.0, mirostat_eta=0.1, total_surprise=1 + 4 + 5.5
    )

    assert limit(row) == pytest.approx(mu)


def test_mirostat_1_keeps_as_many_as_zipfs_law_says() -> None:
    """Where p(i) ~ i^-2 the estimate of the exponent is 2 and ε 1, so that
    k = √(2^μ / (1 - 1/N)): for 1000 tokens and μ = 6, √(64 / 0.999) = 8.004."""
    logits = -2 * torch.arange(1.0, 1001.0).log()[None]
    row = make_row(mirostat=1, mirostat_tau=3.0)

    assert _kept(process(logits, [row])) == list(range(8))
    assert math.floor(math.sqrt(64 / 0.999)) == 8


def test_mirostat_1_cuts_nothing_where_hardly_anything_falls() -> None:
    """p(i) ~ i^-0.001 gives k = (…)^1000, which no float holds."""
    logits = -0.001 * torch.arange(1.0, 1001.0).log()[None]
    row = make_row(mirostat=1, mirostat_tau=6.0)

    assert _kept(process(logits, [row])) == list(range(1000))
