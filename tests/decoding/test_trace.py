"""The trace of the chain tells what the chain does, in figures worked out by hand."""

import pytest
import torch

from penstock.decoding.processors import CHAIN, process
from penstock.decoding.processors.interface import Row
from penstock.decoding.questions import Question
from penstock.decoding.sampler import answer
from penstock.decoding.strategies.interface import Argmax, Draw
from penstock.decoding.trace import MODEL, trace_row
from penstock.types import DecodingParams

HALVES = torch.tensor([0.5, 0.25, 0.125, 0.125]).log()


def _row(params: DecodingParams, token_ids: tuple[int, ...] = ()) -> Row:
    return Row(
        params=params,
        token_ids=token_ids,
        num_generated=len(token_ids),
        min_new_tokens=0,
        eos_token_ids=frozenset(),
    )


def test_each_step_tells_what_it_kept_and_what_that_weighed() -> None:
    row = _row(DecodingParams(top_k=2, top_p=0.6))

    model, top_k, top_p = trace_row(HALVES, row, filters=True, num_candidates=2)

    assert (model.name, top_k.name, top_p.name) == (MODEL, "top_k", "top_p")
    assert (model.num_kept, model.mass_kept, model.entropy_bits) == (4, 1, pytest.approx(1.75))
    assert (top_k.num_kept, top_k.mass_kept) == (2, pytest.approx(0.75))
    assert top_k.entropy_bits == pytest.approx(0.9183, abs=1e-4)  # of two thirds and one
    assert (top_p.num_kept, top_p.mass_kept) == (1, pytest.approx(2 / 3))
    assert top_p.entropy_bits == 0
    assert [token_id for token_id, _ in model.top] == [0, 1]
    assert top_p.top == ((0, 0.0),)


def test_the_order_that_was_asked_for_is_the_order_of_the_stages() -> None:
    order = ("top_p", "temperature")
    row = _row(DecodingParams(temperature=2, top_p=0.6, processor_order=order))

    stages = trace_row(HALVES, row, filters=True, num_candidates=1)

    assert [stage.name for stage in stages] == [MODEL, *order]


def test_a_step_that_changed_nothing_has_no_stage() -> None:
    row = _row(DecodingParams(top_k=4, no_repeat_ngram_size=3), token_ids=(0,))

    stages = trace_row(HALVES, row, filters=True, num_candidates=1)

    assert [stage.name for stage in stages] == [MODEL]


def test_what_only_draws_meet_is_left_out_for_others() -> None:
    row = _row(DecodingParams(top_k=1, repetition_penalty=2), token_ids=(0,))

    stages = trace_row(HALVES, row, filters=False, num_candidates=1)

    assert [stage.name for stage in stages] == [MODEL, "repetition_penalty"]


@pytest.mark.parametrize("seed", range(20))
def test_the_last_stage_is_the_distribution_that_is_drawn_from(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(50, generator=generator) * 3
    row = _row(DecodingParams(temperature=0.7, top_k=20, top_p=0.8, repetition_penalty=1.3), (3, 7))

    last = trace_row(logits, row, filters=True, num_candidates=50)[-1]

    drawn_from = process(logits[None], [row], CHAIN).softmax(dim=-1)[0]
    expected = {i: p for i, p in enumerate(drawn_from.tolist()) if p > 0}
    traced = {i: torch.tensor(logprob).exp().item() for i, logprob in last.top}
    assert traced == pytest.approx(expected, rel=1e-4)
    assert last.num_kept == len(expected)


def test_the_sampler_traces_the_rows_that_ask_and_draws_the_same() -> None:
    row = _row(DecodingParams(top_k=2))
    need, uniforms = Draw((0,)), (0.9,)
    plain = Question(row=row, need=need, uniforms=uniforms)
    traced = Question(row=row, need=need, uniforms=uniforms, num_traced=3)
    greedy = Question(row=row, need=Argmax(), num_traced=3)

    answers = answer(HALVES.expand(3, -1).clone(), [plain, traced, greedy])

    assert answers[0].report is None
    assert answers[1].token_ids == answers[0].token_ids == (1,)
    assert answers[1].report is not None
    assert [s.name for s in answers[1].report.stages] == [MODEL, "top_k"]
    assert answers[2].report is not None
    assert [s.name for s in answers[2].report.stages] == [MODEL]
