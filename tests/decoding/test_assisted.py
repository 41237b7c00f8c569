"""A draft model changes how many steps a text takes, and nothing else."""

import logging
import os
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.errors import InvalidParameter, ModelUnavailable
from penstock.model.drafts import with_draft
from penstock.model.loading import LoadedModel
from penstock.types import DecodingParams, GenerationRequest
from tests.decoding.test_sampler import p_value
from tests.drafting import Unsure, drafting_like
from tests.engine.driving import Result, run_all, run_alone
from tests.engine.test_equivalences import (
    MODELS,
    ROOMY,
    TINY,
    every_model,
    few_examples,
    generation_requests,
)
from tests.tiny_gpt2 import byte_tokenizer, tiny_model
from tests.tiny_t5 import tiny_t5

NUM_DRAWS = int(os.environ.get("PENSTOCK_DRAWS", "1000"))  # `make stress` has ten thousand
REQUEST = GenerationRequest(
    request_id="r",
    prompt=(9, 8, 7, 6),
    model="tiny",
    strategy="assisted",
    params=DecodingParams(temperature=0, draft_num_tokens=4),
    max_new_tokens=40,
    seed=3,
)


def _with_noise(noise: float) -> LoadedModel:
    return with_draft(TINY.model, drafting_like(TINY.model, noise))


@every_model
@few_examples
@given(generation_requests(), st.integers(0, 12), st.booleans())
def test_what_is_written_is_what_sampling_writes(
    model: LoadedModel, request: GenerationRequest, num_drafted: int, is_greedy: bool
) -> None:
    temperature = 0.0 if is_greedy else request.params.temperature
    params = replace(
        request.params, temperature=temperature, mirostat=0, draft_num_tokens=num_drafted
    )
    request = replace(request, strategy="assisted", params=params)

    assisted = run_alone(model, request, ROOMY)

    sampled = run_alone(model, replace(request, strategy="sampling"), ROOMY)
    assert assisted.token_ids == sampled.token_ids
    assert assisted.texts == sampled.texts
    for index, one in assisted.sequences.items():
        other = sampled.sequences[index]
        assert one.finish_reason == other.finish_reason
        assert [x.chosen.logprob for x in one.logprobs] == pytest.approx(
            [x.chosen.logprob for x in other.logprobs], abs=1e-4
        )


def _run(model: LoadedModel, request: GenerationRequest, config: EngineConfig = ROOMY) -> int:
    """How many steps the request takes; it leaves nothing behind."""
    engine = Engine(model, config)
    engine.add(prepare(request, model))
    result = Result()
    while engine.has_work:
        for output in engine.step():
            result.take(output)
    greedy = replace(request, strategy="sampling")
    assert result.token_ids == run_alone(model, greedy, ROOMY).token_ids
    assert engine._drafter is not None
    assert engine._drafter.holds_nothing
    return engine.stats().num_steps


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_better_the_draft_the_fewer_the_steps(temperature: float) -> None:
    request = replace(REQUEST, params=replace(REQUEST.params, temperature=temperature))

    steps = [_run(_with_noise(noise), request) for noise in (0.0, 1.0, 50.0)]

    assert steps[0] == 9  # the prompt and its first token, then 39 tokens by five
    assert steps[0] < steps[1] < steps[2] <= 40


def test_a_draft_gives_up_where_it_has_no_room_or_no_context() -> None:
    short = replace(drafting_like(TINY.model, 0.0), context_length=20)
    tight = EngineConfig(num_blocks=400, max_batch_tokens=3)

    assert 9 < _run(with_draft(TINY.model, short), REQUEST) < 40
    assert 9 < _run(_with_noise(0.0), REQUEST, tight) < 40


def test_a_draft_that_fails_is_done_without(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Unsure):
        def forward(self, *arguments: Any) -> torch.Tensor:
            raise RuntimeError("the draft is broken")

    model = with_draft(TINY.model, replace(TINY.model, family=Failing(TINY.model.family, 0.0)))

    with caplog.at_level(logging.ERROR):
        assert _run(model, REQUEST) == 40

    assert "Drafting failed" in caplog.text


def test_several_texts_of_several_requests_are_drafted_side_by_side() -> None:
    model = MODELS["gpt2"]
    requests = [
        replace(
            REQUEST,
            request_id=str(i),
            seed=i,
            num_sequences=1 + i % 3,
            params=replace(REQUEST.params, temperature=0.9, draft_num_tokens=1 + i),
        )
        for i in range(6)
    ]

    together = run_all(model, requests, EngineConfig(num_blocks=40, max_batch_tokens=64))

    alone = [run_alone(model, replace(r, strategy="sampling"), ROOMY) for r in requests]
    assert [r.token_ids for r in together] == [r.token_ids for r in alone]


def test_draws_follow_the_models_own_distribution() -> None:
    """The second of two tokens, which was drafted, over all first ones."""
    params = DecodingParams(temperature=1.0, top_k=4, draft_num_tokens=2)
    request = replace(REQUEST, params=params, max_new_tokens=3, num_sequences=8)
    requests = [replace(request, request_id=str(i), seed=i) for i in range(max(1, NUM_DRAWS // 8))]

    results = run_all(_with_noise(2.0), requests, EngineConfig(num_blocks=1000))

    pairs = Counter(tuple(text[:2]) for result in results for text in result.token_ids)
    expected = {(a, b): p * q for a, p in _top_four(()).items() for b, q in _top_four((a,)).items()}
    assert pairs.keys() <= expected.keys()
    places = {pair: place for place, pair in enumerate(expected)}
    drawn = [places[pair] for pair in pairs.elements()]
    assert p_value(drawn, torch.tensor(list(expected.values()))) > 0.001


def _top_four(text: tuple[int, ...]) -> dict[int, float]:
    with torch.inference_mode():
        logits = TINY.reference(torch.tensor([[*REQUEST.prompt, *text]])).logits[0, -1]
    best = logits.topk(4)
    return dict(zip(best.indices.tolist(), best.values.softmax(-1).tolist(), strict=True))


def test_a_model_without_a_draft_says_what_to_do() -> None:
    with pytest.raises(InvalidParameter, match=r"without a draft model.*PENSTOCK_DRAFT_MODELS"):
        prepare(REQUEST, tiny_model(0).model)


@pytest.mark.parametrize(
    ("draft", "why"),
    [
        (replace(TINY.model, tokenizer=byte_tokenizer("<more>")), "different tokenizers"),
        (replace(tiny_t5(0).model, tokenizer=byte_tokenizer()), "answers its prompt"),
    ],
)
def test_models_that_do_not_belong_together_are_refused(draft: LoadedModel, why: str) -> None:
    with pytest.raises(ModelUnavailable, match=why):
        with_draft(TINY.model, draft)
