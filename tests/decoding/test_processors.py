"""Each rule of decoding, on a handful of tokens, by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from penstock.decoding.processors import CHAIN, ordered, process
from penstock.decoding.processors.endings import MinNewTokens
from penstock.decoding.processors.filters import TopK, TopP
from penstock.decoding.processors.penalties import NoRepeatNgram, RepetitionPenalty
from tests.decoding.rows import make_row

NEGATIVE_INFINITY = float("-inf")


def _kept(logits: Tensor) -> list[int]:
    return logits[0].isfinite().nonzero().flatten().tolist()


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(0.0, [0]), (0.05, [0]), (0.5, [0]), (0.51, [0, 1]), (0.8, [0, 1]), (0.99, [0, 1, 2])],
)
def test_top_p_keeps_the_smallest_sufficient_set(top_p: float, kept: list[int]) -> None:
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()

    assert _kept(TopP()(logits, [make_row(top_p=top_p)])) == kept


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.sampled_from([0.0, 0.3, 0.8, 0.97]))
def test_of_equal_tokens_top_p_keeps_the_first(scores: list[int], top_p: float) -> None:
    logits = torch.tensor([scores, scores]).float()
    order = sorted(range(len(scores)), key=lambda i: -scores[i])  # stable: equal ones stay in order
    probs = logits[0, order].softmax(dim=-1)
    before = (probs.cumsum(dim=-1) - probs).tolist()

    kept = _kept(TopP()(logits, [make_row(top_p=top_p)] * 2))

    fitting = [i for i, mass in zip(order, before, strict=True) if mass < top_p]
    assert kept == sorted(fitting or order[:1])


@pytest.mark.parametrize(
    ("top_k", "kept"),
    [(1, [2]), (2, [0, 2, 3]), (3, [0, 2, 3]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3])],
)
def test_top_k_keeps_the_likeliest_and_what_ties_with_the_last(top_k: int, kept: list[int]) -> None:
    logits = torch.tensor([[1.0, 0.5, 2.0, 1.0]])

    assert _kept(TopK()(logits, [make_row(top_k=top_k)])) == kept


def test_repetition_penalty_pushes_down_on_both_sides_of_zero() -> None:
    logits = torch.tensor([[1.0, -1.0, 3.0]])

    result = RepetitionPenalty()(logits, [make_row((0, 1, 1), repetition_penalty=2.0)])

    assert result.tolist() == [[0.5, -2.0, 3.0]]


@pytest.mark.parametrize(
    ("size", "forbidden"), [(1, {5, 6, 7}), (2, {6, 7}), (3, {7}), (4, set()), (9, set())]
)
def test_a_repeated_ngram_cannot_be_completed(size: int, forbidden: set[int]) -> None:
    row = make_row((6, 5, 7, 5, 6, 6, 5), no_repeat_ngram_size=size)

    result = NoRepeatNgram()(torch.zeros(1, 9), [row])

    assert set(range(9)) - set(_kept(result)) == forbidden


def test_the_text_cannot_end_before_its_shortest_length() -> None:
    processor = MinNewTokens()
    too_short, long_enough = make_row((5,), min_new_tokens=2), make_row((5, 5), min_new_tokens=2)

    assert processor.is_active(too_short)
    assert not processor.is_active(long_enough)
    assert _kept(processor(torch.zeros(1, 3), [too_short])) == [1, 2]


@given(st.lists(st.sampled_from([0.5, 1.0, 1.5]), min_size=1, max_size=5), st.randoms())
def test_a_row_is_processed_the_same_in_any_batch(temperatures, rng) -> None:
    rows = [
        make_row((1, 2, 3), temperature=t, top_k=rng.choice([0, 3]), top_p=rng.choice([0.6, 1.0]))
        for t in temperatures
    ]
    logits = torch.randn(len(rows), 20, generator=torch.Generator().manual_seed(rng.randrange(99)))
    before = logits.clone()

    together = process(logits, rows, CHAIN)

    alone = [process(logits[i : i + 1], [row], CHAIN) for i, row in enumerate(rows)]
    assert torch.equal(together, torch.cat(alone))
    assert torch.equal(logits, before), "processors never edit their input"


def test_frequency_and_presence_penalty_are_openais() -> None:
    row = make_row((4, 1, 1, 2), num_generated=3, frequency_penalty=0.5, presence_penalty=0.25)

    result = process(torch.zeros(1, 5), [row])

    assert result.tolist() == [[0.0, -1.25, -0.75, 0.0, 0.0]]  # the prompt's 4 does not count


def test_a_token_bias_is_added_to_its_token() -> None:
    result = process(torch.ones(2, 3), [make_row(logit_bias=((1, 2.5), (2, -100.0))), make_row()])

    assert result.tolist() == [[1.0, 3.5, -99.0], [1.0, 1.0, 1.0]]


def test_the_named_steps_run_in_the_order_asked_and_the_others_keep_their_places() -> None:
    names = [processor.name for processor in ordered(("top_p", "repetition_penalty", "top_k"))]
    default = [processor.name for processor in CHAIN]

    swapped = {"repetition_penalty": "top_p", "top_k": "repetition_penalty", "top_p": "top_k"}
    assert names == [swapped.get(name, name) for name in default]
    assert ordered(()) == CHAIN


def test_the_order_of_the_steps_matters_and_is_the_rows_own() -> None:
    logits = torch.tensor([[0.6, 0.3, 0.1]]).log().repeat(3, 1)
    rows = [
        make_row(temperature=2.0, top_p=0.85),
        make_row(temperature=2.0, top_p=0.85, processor_order=("top_p", "temperature")),
        make_row(temperature=2.0, top_p=0.85, processor_order=("temperature", "top_p")),
    ]

    result = process(logits, rows)

    assert result.isfinite().sum(dim=-1).tolist() == [3, 2, 3]


def test_what_is_neutral_runs_nothing() -> None:
    logits = torch.zeros(1, 3)

    assert process(logits, [make_row((1, 2))]) is logits
