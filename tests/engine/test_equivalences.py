"""What makes an engine trustworthy: the same request gives the same text, whatever goes on around.

Greedy and beam tokens are compared as they are. The models are random and spread out, so two top
logits closer than rounding are not met.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.decoding.parameters import defaults
from penstock.decoding.strategies import STRATEGIES
from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.model.drafts import with_draft
from penstock.model.loading import LoadedModel
from penstock.types import NEUTRAL, DecodingParams, FinishReason, GenerationRequest
from tests.drafting import drafting_like
from tests.engine.driving import Result, run_all, run_alone
from tests.tiny_gpt2 import VOCAB_SIZE, tiny_model
from tests.tiny_t5 import tiny_t5

TINY = tiny_model(7)
MODELS = {"gpt2": TINY.model, "t5": tiny_t5(7).model}
MODELS = {name: with_draft(model, drafting_like(model)) for name, model in MODELS.items()}
SHORT = tiny_model(7, store=torch.bfloat16).model
SHORT = with_draft(SHORT, drafting_like(SHORT))
ROOMY = EngineConfig(num_blocks=400)

every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
few_examples = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
prompts = st.lists(st.integers(1, VOCAB_SIZE - 1), min_size=1, max_size=40).map(tuple)
decoding_params = st.builds(
    DecodingParams,
    temperature=st.sampled_from([0.0, 0.3, 0.8, 1.0, 1.7]),
    top_k=st.sampled_from([0, 1, 5, 50, 300]),
    top_p=st.sampled_from([0.0, 0.5, 0.95, 1.0]),
    num_beams=st.integers(1, 5),
    length_penalty=st.sampled_from([-1.0, 0.0, 1.0, 2.0]),
    early_stopping=st.booleans(),
    diversity_penalty=st.sampled_from([0.0, 0.5, 3.0]),
    penalty_alpha=st.sampled_from([0.0, 0.3, 0.6, 1.0]),
    num_beam_groups=st.integers(1, 5),
    num_candidates=st.integers(1, 4),
    force_words=st.sampled_from([(), ((("e"),),), (((8, 9, 10),), ("he", (12,)), ("o",))]),
    repetition_penalty=st.sampled_from([1.0, 1.3]),
    no_repeat_ngram_size=st.sampled_from([0, 2, 3]),
    frequency_penalty=st.sampled_from([0.0, 0.0, 0.7]),
    guidance_scale=st.sampled_from([1.0, 1.0, 1.0, 0.5, 2.5]),
    logit_bias=st.sampled_from([(), ((5, 3.0),)]),
    bad_words=st.sampled_from([(), ("e", (7, 8))]),
    topic_words=st.sampled_from([(), (), ("he", " so", (7, 8))]),
    dry_multiplier=st.sampled_from([0.0, 0.0, 0.8]),
    min_p=st.sampled_from([0.0, 0.0, 0.1]),
    xtc_probability=st.sampled_from([0.0, 0.0, 0.5]),
    mirostat=st.sampled_from([0, 0, 1, 2]),
    watermark_delta=st.sampled_from([0.0, 0.0, 3.0]),
    processor_order=st.sampled_from([(), ("top_p", "temperature")]),
    draft_num_tokens=st.integers(0, 6),
)


@st.composite
def generation_requests(draw: st.DrawFn) -> GenerationRequest:
    strategy = draw(st.sampled_from(list(STRATEGIES)))
    params = draw(decoding_params)
    if strategy == "contrastive_search":
        params = replace(params, top_k=draw(st.integers(1, 5)))
    if strategy == "dola":
        layers = st.sampled_from([None, "low", "high", (0,), (0, 1)])
        params = replace(params, dola_layers=draw(layers))
    if params.guidance_scale != 1:
        negative = st.sampled_from([None, (9,), "do not", tuple(range(50, 90))])
        params = replace(params, negative_prompt=draw(negative))
    most = STRATEGIES[strategy].max_texts(params) or 4
    return GenerationRequest(
        request_id="r",
        prompt=draw(prompts),
        model="tiny",
        strategy=strategy,
        params=params,
        max_new_tokens=draw(st.integers(1, 24)),
        num_sequences=draw(st.integers(1, most)),
        stop=draw(st.sampled_from([(), ("e",), ("\x07", "th"), ("é",)])),
        seed=draw(st.integers(0, 2**63 - 1)),
        logprobs=draw(st.sampled_from([None, 0, 2])),
    )


def _numbered(requests: Sequence[GenerationRequest]) -> list[GenerationRequest]:
    return [replace(r, request_id=str(i)) for i, r in enumerate(requests)]


def _essence(result: Result) -> object:
    """What a client got: tokens, texts and reasons. Scores may differ in their last bits."""
    return [
        (s.index, s.token_ids, s.text, s.finish_reason)
        for s in sorted(result.sequences.values(), key=lambda s: s.index)
    ]


@every_model
@few_examples
@given(st.lists(generation_requests(), min_size=2, max_size=6), st.integers(0, 3))
def test_batched_is_alone(
    model: LoadedModel, requests: list[GenerationRequest], arrive_every: int
) -> None:
    requests = _numbered(requests)

    together = run_all(model, requests, ROOMY, arrive_every=arrive_every)

    alone = [run_alone(model, request, ROOMY) for request in requests]
    assert [_essence(r) for r in together] == [_essence(r) for r in alone]


WAYS: list[tuple[str, dict[str, Any]]] = [
    ("greedy", {"repetition_penalty": 1.2, "no_repeat_ngram_size": 3}),
    ("greedy", {"json_schema": '{"type": "array", "items": {"type": "integer"}, "maxItems": 5}'}),
    ("sampling", {"temperature": 1.2, "frequency_penalty": 0.6, "guidance_scale": 1.5}),
    ("sampling", {"mirostat": 2, "mirostat_tau": 4.0}),
    ("sampling", {"xtc_probability": 0.5, "dry_multiplier": 0.8, "min_p": 0.02}),
    ("sampling", {"watermark_delta": 3.0, "processor_order": ("top_p", "temperature")}),
    ("sampling", {"regex": "( [a-z]+)*", "dynatemp_range": 0.5}),
    ("top_k", {"top_k": 9, "bad_words": ("e",)}),
    ("beam_search", {"num_beams": 4, "guidance_scale": 2.0, "negative_prompt": "away"}),
    ("beam_search", {"num_beams": 3, "choice": ("one", "two", "three")}),
    ("beam_sampling", {"num_beams": 3, "temperature": 1.1}),
    ("diverse_beam_search", {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.7}),
    ("best_of_n", {"num_candidates": 3, "top_h": 0.5}),
    ("prompt_lookup", {"prompt_lookup_num_tokens": 5, "temperature": 0.0}),
    ("prompt_lookup", {"prompt_lookup_num_tokens": 3, "temperature": 0.9}),
    ("contrastive_search", {"top_k": 4, "penalty_alpha": 0.6}),
]


NUM_AT_ONCE = 32


def _ways() -> list[GenerationRequest]:
    """Those above, every strategy there is as its catalog suggests it, and some of them again."""
    suggested = [
        (name, {n: v for n, v in defaults(s.parameters).items() if n in NEUTRAL})
        for name, s in STRATEGIES.items()
    ]
    return [
        GenerationRequest(
            request_id=str(number),
            prompt=tuple(range(60, 75 + number % 4)) * 2,
            model="tiny",
            strategy=strategy,
            params=DecodingParams(**params),
            max_new_tokens=14 + number % 5,
            min_new_tokens=9,
            seed=number,
            trace=2 if number % 4 == 0 else None,
            beam_tree=number % 2 == 0,
        )
        for number, (strategy, params) in enumerate(([*WAYS, *suggested] * 2)[:NUM_AT_ONCE])
    ]


@cache
def _ways_alone(model_id: str) -> list[object]:
    (model,) = (model for model in MODELS.values() if model.model_id == model_id)
    return [_essence(run_alone(model, request, ROOMY)) for request in _ways()]


@every_model
@pytest.mark.parametrize(
    "config",
    [ROOMY, EngineConfig(num_blocks=60, block_size=8, max_batch_tokens=64)],
    ids=["roomy", "cramped"],
)
def test_each_among_thirty_one_others_is_as_alone(model: LoadedModel, config: EngineConfig) -> None:
    requests = _ways()

    together = run_all(model, requests, config)

    assert len(requests) == NUM_AT_ONCE and {r.strategy for r in requests} == STRATEGIES.keys()
    assert [_essence(r) for r in together] == _ways_alone(model.model_id)
    assert all(result.finished and result.finished.error is None for result in together)


@every_model
@pytest.mark.parametrize("num_steps", [1, 4])
def test_each_after_a_preemption_is_as_alone(model: LoadedModel, num_steps: int) -> None:
    preempted = set()
    for request, alone in zip(_ways(), _ways_alone(model.model_id), strict=True):
        again = _run_preempted(model, request, num_steps)

        if again is not None:
            assert _essence(again) == alone, request
            preempted.add(request.strategy)
    assert preempted == STRATEGIES.keys()


def _run_preempted(model: LoadedModel, request: GenerationRequest, num_steps: int) -> Result | None:
    """Give up all the request's blocks after so many steps, as if another had needed them.

    `None` if it has ended before.
    """
    engine = Engine(model, ROOMY)
    engine.add(prepare(request, model))
    outputs = [output for _ in range(num_steps) for output in engine.step()]
    if not engine.has_work:
        return None
    scheduler, waiting = engine._scheduler, engine._scheduler._waiting
    reserve, running = engine._blocks.reserve, scheduler.num_running

    def refuse_while_running(sequence: Sequence[int], num_tokens: int) -> bool:
        return scheduler.num_running < running and reserve(sequence, num_tokens)

    with (
        patch.object(engine._blocks, "reserve", refuse_while_running),
        patch.object(waiting, "put_back", wraps=waiting.put_back) as put_back,
    ):
        outputs += engine.step()
    assert put_back.call_count == 1
    while engine.has_work:
        outputs += engine.step()
    assert engine.stats().num_free_blocks == engine.stats().num_blocks
    result = Result()
    for output in outputs:
        result.take(output)
    return result


@every_model
@few_examples
@given(generation_requests(), st.integers(1, 16))
def test_a_chunked_prompt_is_a_whole_prompt(
    model: LoadedModel, request: GenerationRequest, budget: int
) -> None:
    chunked = run_alone(model, request, EngineConfig(num_blocks=400, max_batch_tokens=budget))

    assert _essence(chunked) == _essence(run_alone(model, request, ROOMY))


@every_model
@few_examples
@given(st.lists(generation_requests(), min_size=2, max_size=5))
def test_preempted_is_undisturbed(model: LoadedModel, requests: list[GenerationRequest]) -> None:
    requests = _numbered(requests)
    cramped = EngineConfig(num_blocks=32, block_size=16, max_batch_tokens=32)

    together = run_all(model, requests, cramped)

    alone = [run_alone(model, request, ROOMY) for request in requests]
    assert [_essence(r) for r in together] == [_essence(r) for r in alone]


@few_examples
@given(st.lists(generation_requests(), min_size=2, max_size=4))
def test_in_short_numbers_batched_chunked_and_preempted_is_alone(
    requests: list[GenerationRequest],
) -> None:
    """Weights, keys and values are rounded, and each time to the same."""
    requests = _numbered(requests)
    cramped = EngineConfig(num_blocks=32, block_size=16, max_batch_tokens=32)

    together = run_all(SHORT, requests, cramped)

    alone = [run_alone(SHORT, request, ROOMY) for request in requests]
    assert [_essence(r) for r in together] == [_essence(r) for r in alone]


@every_model
@few_examples
@given(generation_requests())
def test_streamed_is_not_streamed(model: LoadedModel, request: GenerationRequest) -> None:
    result = run_alone(model, request, ROOMY)

    for index, sequence in result.sequences.items():
        pieces = result.pieces.get(index, [])
        assert "".join(p.text for p in pieces) == sequence.text
        assert [t for p in pieces for t in p.token_ids] == list(sequence.token_ids)
        assert [x for p in pieces for x in p.logprobs] == list(sequence.logprobs)
        assert not any(stop in sequence.text for stop in request.stop)
        for piece in pieces:
            piece.text.encode()  # never half a character


@every_model
@few_examples
@given(generation_requests())
def test_a_replay_is_the_first_run(model: LoadedModel, request: GenerationRequest) -> None:
    first, again = (run_alone(model, request, ROOMY) for _ in range(2))

    assert (again.started, again.pieces, again.sequences) == (
        first.started,
        first.pieces,
        first.sequences,
    )


@every_model
@few_examples
@given(prompts, st.integers(1, 30), st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0]), st.booleans())
def test_a_beam_of_one_is_greedy(
    model: LoadedModel,
    prompt: tuple[int, ...],
    max_new_tokens: int,
    length_penalty: float,
    early_stopping: bool,
) -> None:
    beam = GenerationRequest(
        request_id="r",
        prompt=prompt,
        model="tiny",
        strategy="beam_search",
        params=DecodingParams(
            num_beams=1, length_penalty=length_penalty, early_stopping=early_stopping
        ),
        max_new_tokens=max_new_tokens,
    )
    greedy = GenerationRequest(
        request_id="r",
        prompt=prompt,
        model="tiny",
        strategy="greedy",
        max_new_tokens=max_new_tokens,
    )

    assert run_alone(model, beam).token_ids == run_alone(model, greedy).token_ids


@every_model
@few_examples
@given(st.lists(generation_requests(), min_size=1, max_size=5), st.data())
def test_cancelled_requests_leave_no_block_behind(
    model: LoadedModel, requests: list[GenerationRequest], data: st.DataObject
) -> None:
    requests = _numbered(requests)
    engine = Engine(model, ROOMY)
    results = {request.request_id: Result() for request in requests}
    for request in requests:
        engine.add(prepare(request, model))

    victims = data.draw(st.sets(st.sampled_from([r.request_id for r in requests])))
    for _ in range(data.draw(st.integers(0, 5))):
        for output in engine.step():
            results[output.request_id].take(output)
    for request_id in victims:
        engine.cancel(request_id)
    for output in engine.step():  # one step is enough
        results[output.request_id].take(output)

    assert all(results[request_id].finished for request_id in victims)
    while engine.has_work:
        for output in engine.step():
            results[output.request_id].take(output)
    assert engine.stats().num_free_blocks == engine.stats().num_blocks
    for request in requests:
        reasons = [s.finish_reason for s in results[request.request_id].sequences.values()]
        assert len(reasons) == request.num_sequences
        if request.request_id not in victims:
            assert FinishReason.CANCELLED not in reasons


@few_examples
@given(st.integers(0, 1000), st.data())
def test_a_text_ends_just_before_its_stop_string(seed: int, data: st.DataObject) -> None:
    whole = _sample(seed, ())
    characters = st.sampled_from(re.findall("[^\ufffd]+", whole) or ["never"])
    run = data.draw(characters)
    start = data.draw(st.integers(0, len(run) - 1))
    stop = run[start : start + data.draw(st.integers(1, 5))]

    assert _sample(seed, (stop,)) == whole.split(stop)[0]


def _sample(seed: int, stop: tuple[str, ...]) -> str:
    request = GenerationRequest(
        request_id="r",
        prompt="Once upon a time",
        model="tiny",
        strategy="sampling",
        params=DecodingParams(temperature=0.7),
        max_new_tokens=100,
        stop=stop,
        seed=seed,
    )
    return run_alone(TINY.model, request).texts[0]
