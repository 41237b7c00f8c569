"""The best of several texts is the likeliest of those that sampling writes with the same seed."""

from dataclasses import replace

import pytest
import torch

from penstock.types import DecodingParams, GenerationRequest
from tests.engine.driving import run_alone
from tests.tiny_gpt2 import tiny_model

TINY = tiny_model(4)
PROMPT = tuple(range(40, 50))


def _request(seed: int, **params: float) -> GenerationRequest:
    return GenerationRequest(
        request_id="r",
        prompt=PROMPT,
        model="tiny",
        strategy="best_of_n",
        params=DecodingParams(**{"temperature": 1.3, "top_p": 0.95, "num_candidates": 6} | params),
        max_new_tokens=20,
        seed=seed,
        stop=("e", "a", "s", "t"),  # so that texts end at different lengths
    )


def _mean_logprob(token_ids: list[int]) -> float:
    """The mean of the model's own log-probabilities, from transformers' logits."""
    with torch.inference_mode():
        logits = TINY.reference(torch.tensor([[*PROMPT, *token_ids]])).logits[0]
    logprobs = logits.log_softmax(dim=-1)[len(PROMPT) - 1 : -1]
    return float(logprobs[range(len(token_ids)), token_ids].mean())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("params", [{}, {"repetition_penalty": 1.5, "top_k": 9}], ids=str)
def test_the_best_are_those_with_the_greatest_mean_logprob(
    seed: int, params: dict[str, float]
) -> None:
    request = replace(_request(seed, **params), num_sequences=3)
    sampled = run_alone(TINY.model, replace(request, strategy="sampling", num_sequences=6))

    best = run_alone(TINY.model, request)

    expected = sorted(sampled.token_ids, key=_mean_logprob, reverse=True)[:3]
    assert best.token_ids == expected
    scores = [best.sequences[index].score for index in range(3)]
    assert scores == pytest.approx([_mean_logprob(t) for t in expected], abs=1e-4)


def test_at_temperature_zero_all_agree_and_the_text_streams_as_it_is_written() -> None:
    result = run_alone(TINY.model, replace(_request(0, temperature=0.0), stop=()))

    greedy = replace(_request(0), strategy="greedy", params=DecodingParams(), stop=())
    assert result.token_ids == run_alone(TINY.model, greedy).token_ids
    assert len(result.pieces[0]) == len(result.token_ids[0])


def test_scores_are_given_to_the_client_only_where_logprobs_were_asked_for() -> None:
    without = run_alone(TINY.model, _request(1))
    with_them = run_alone(TINY.model, replace(_request(1), logprobs=0))

    assert without.sequences[0].logprobs == ()
    mean = sum(x.chosen.logprob for x in with_them.sequences[0].logprobs) / len(
        with_them.sequences[0].token_ids
    )
    assert with_them.sequences[0].score == pytest.approx(mean, abs=1e-5)
