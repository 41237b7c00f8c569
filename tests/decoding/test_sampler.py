"""What is drawn follows the processed distribution, exactly and in every batch."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from penstock.decoding import sampler
from penstock.decoding.greatest import greatest
from penstock.decoding.processors import process
from penstock.decoding.processors.interface import Row
from penstock.decoding.questions import Question
from penstock.decoding.randomness import noise_key, stream_of, uniform
from penstock.decoding.sampler import answer
from penstock.decoding.strategies.interface import Argmax, Draw, DrawDistinct, Top
from penstock.types import DecodingParams


def _row(**params: Any) -> Row:
    return Row(
        params=DecodingParams(**params),
        token_ids=(1, 2),
        num_generated=1,
        min_new_tokens=0,
        eos_token_ids=frozenset(),
    )


def _draw(row: Row, *uniforms: float) -> Question:
    return Question(row=row, need=Draw(tuple(range(len(uniforms)))), uniforms=uniforms)


@pytest.mark.parametrize(
    ("u", "token_id"), [(0.0, 0), (0.49, 0), (0.51, 1), (0.79, 1), (0.81, 2), (1 - 2**-53, 2)]
)
def test_a_draw_inverts_the_cumulative_distribution(u: float, token_id: int) -> None:
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()

    assert answer(logits, [_draw(_row(), u)])[0].token_ids == (token_id,)


@pytest.mark.parametrize("u", [0.0, 1 - 2**-53])
@pytest.mark.parametrize("vocab_size", [5, 2000])
def test_a_forbidden_token_is_never_drawn(u: float, vocab_size: int) -> None:
    logits = torch.full((1, vocab_size), float("-inf"))
    logits[0, 3] = -40.0

    for row in (_row(), _row(top_p=0.9), _row(top_k=4)):
        assert answer(logits, [_draw(row, u)])[0].token_ids == (3,)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([0, 1, 5, 100, 255, 256, 300]),
    st.sampled_from([0.0, 0.3, 0.9, 0.999, 1.0]),
    st.sampled_from([0.2, 1.0, 2.0]),
    st.integers(0, 1000),
)
def test_the_quick_way_draws_what_the_whole_chain_draws(
    top_k: int, top_p: float, temperature: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, 1000, generator=generator) * 4
    row = _row(top_k=top_k, top_p=top_p, temperature=temperature)
    uniforms = tuple(uniform(seed, stream, 0) for stream in range(8))

    quick = answer(logits, [_draw(row, *uniforms)] * 4)

    whole = sampler._invert(process(logits, [row] * 4), None, [_draw(row, *uniforms)] * 4)
    assert [a.token_ids for a in quick] == [a.token_ids for a in whole]


@pytest.mark.parametrize("vocab_size", [7, 160, 1000, 1003])
@pytest.mark.parametrize("count", [1, 5, 10])
def test_the_greatest_scores_are_found_wherever_they_lie(vocab_size: int, count: int) -> None:
    count = min(count, vocab_size)
    scores = torch.stack(
        [torch.randperm(vocab_size, generator=torch.Generator().manual_seed(i)) for i in range(50)]
    ).float()

    values, token_ids = greatest(scores, count)

    assert values.tolist() == [[float(vocab_size - 1 - i) for i in range(count)]] * 50
    assert scores.gather(1, token_ids).equal(values)


def test_the_first_of_equal_scores_is_the_likeliest() -> None:
    logits = torch.tensor([[0.0, 3.0, 3.0], [2.0, 1.0, 2.0]])

    answers = answer(logits, [Question(row=_row(), need=Argmax())] * 2)

    assert [a.token_ids for a in answers] == [(1,), (0,)]


NUM_DRAWS = 10_000
WAYS_TO_DRAW: list[dict[str, Any]] = [
    {},
    {"temperature": 0.7},
    {"top_k": 10},
    {"top_p": 0.8},
    {"top_k": 20, "top_p": 0.7},
    {"min_p": 0.05},
    {"typical_p": 0.6},
    {"epsilon_cutoff": 0.003},
    {"eta_cutoff": 0.01},
    {"top_h": 0.5},
    {"top_n_sigma": 1.5},
    {"top_a": 0.2},
    {"tfs_z": 0.9},
    {"xtc_probability": 1.0, "xtc_threshold": 0.05},
    {"temperature": 1.2, "dynatemp_range": 0.6},
    {"mirostat": 1},
    {"mirostat": 2, "mirostat_tau": 3.0},
    {"watermark_delta": 2.0},
    {"temperature": 1.5, "top_p": 0.6, "processor_order": ("top_p", "temperature")},
]
KEYS: dict[str, Callable[[int], float]] = {
    "of one request's texts": lambda i: uniform(5, i, 9),
    "of many requests": lambda i: uniform(i, 0, 9),
    "along a text": lambda i: uniform(5, 0, i),
}


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("params", WAYS_TO_DRAW, ids=str)
def test_draws_follow_the_processed_distribution(params: dict[str, Any], keys: str) -> None:
    logits = torch.randn(1, 400, generator=torch.Generator().manual_seed(1)) * 2
    row = _row(**params)

    drawn = answer(logits, [_draw(row, *map(KEYS[keys], range(NUM_DRAWS)))])[0].token_ids

    probs = process(logits, [row]).softmax(-1)[0]
    assert p_value(drawn, probs) > 0.001


def test_the_first_drawn_of_several_follows_the_distribution_too() -> None:
    """As beam sampling draws: without replacement."""
    logits = torch.randn(1, 400, generator=torch.Generator().manual_seed(2)) * 2
    row = _row(temperature=1.3)
    questions = [
        Question(row=row, need=DrawDistinct(2), noise_key=noise_key(seed, stream_of([7]), 3))
        for seed in range(NUM_DRAWS)
    ]

    answers = [
        drawn
        for start in range(0, NUM_DRAWS, 1000)
        for drawn in answer(logits.expand(1000, -1), questions[start : start + 1000])
    ]

    probs = process(logits.log_softmax(-1), [row]).softmax(-1)[0]
    assert p_value([drawn.token_ids[0] for drawn in answers], probs) > 0.001
    likeliest = int(probs.argmax())
    second = [a.token_ids[1] for a in answers if a.token_ids[0] == likeliest]
    without = probs.index_fill(0, torch.tensor([likeliest]), 0)
    assert p_value(second, without / without.sum()) > 0.001


def p_value(drawn: Sequence[int], probs: Tensor) -> float:
    """Of Pearson's chi-square test; what is expected less than five times counts as one."""
    counts = torch.tensor(drawn).bincount(minlength=len(probs)).double()
    expected = probs.double() * len(drawn)
    assert counts[probs == 0].sum() == 0
    is_common = expected >= 5
    rare = torch.stack([counts[~is_common].sum(), expected[~is_common].sum()])
    counts, expected = counts[is_common], expected[is_common]
    if rare[1] >= 5:
        counts, expected = torch.cat([counts, rare[:1]]), torch.cat([expected, rare[1:]])
    chi_square = ((counts - expected) ** 2 / expected).sum()
    half_degrees = torch.tensor((len(counts) - 1) / 2, dtype=torch.float64)
    return float(torch.special.gammaincc(half_degrees, chi_square / 2))


def test_uniform_numbers_are_uniform_and_uncorrelated() -> None:
    numbers = torch.tensor(
        [[uniform(seed, 0, position) for position in range(100)] for seed in range(100)],
        dtype=torch.float64,
    )

    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 4 / (12 * 10_000) ** 0.5
    assert torch.corrcoef(numbers).fill_diagonal_(0).abs().max() < 0.5
    assert torch.corrcoef(numbers.T).fill_diagonal_(0).abs().max() < 0.5
    assert len({uniform(1, stream, 1) for stream in range(1000)}) == 1000


def test_temperature_zero_takes_the_likeliest_for_every_stream() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0]])

    assert answer(logits, [_draw(_row(temperature=0.0), 0.1, 0.9)])[0].token_ids == (1, 1)


def test_needs_of_all_kinds_are_answered_in_one_batch() -> None:
    logits = torch.tensor([[0.1, 0.7, 0.2]]).log().repeat(4, 1)
    questions = [
        Question(row=_row(), need=Argmax(), num_logprobs=2),
        _draw(_row(), 0.05),
        Question(row=_row(), need=Top(2)),
        Question(row=_row(), need=Top(9)),
    ]

    argmax, draw, top, all_of_them = answer(logits, questions)

    assert (argmax.token_ids, draw.token_ids) == ((1,), (0,))
    assert (top.token_ids, all_of_them.token_ids) == ((1, 2), (1, 2, 0))
    assert top.logprobs == pytest.approx([-0.3567, -1.6094], abs=1e-4)
    assert argmax.report is not None
    assert argmax.report.chosen == pytest.approx([-0.3567], abs=1e-4)
    assert [token_id for token_id, _ in argmax.report.top] == [1, 2]
    assert draw.report is None
