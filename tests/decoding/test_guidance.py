"""A negative prompt guides every strategy, with models that continue a prompt and that answer it.

That single steps and greedy texts are those of transformers is shown beside the other processors
and strategies.
"""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.errors import InvalidParameter
from penstock.types import DecodingParams, GenerationRequest
from tests.engine.driving import Result, run_alone
from tests.tiny_gpt2 import TinyModel, tiny_model
from tests.tiny_t5 import START, TinyT5, tiny_t5

PROMPT, NEGATIVE, SCALE = (40, 41, 42, 43), (90, 91), 2.5
TINY = tiny_model(3)


def _request(strategy: str = "greedy", **params: object) -> GenerationRequest:
    return GenerationRequest(
        request_id="r",
        prompt=PROMPT,
        model="tiny",
        strategy=strategy,
        params=DecodingParams(**{"guidance_scale": SCALE, "negative_prompt": NEGATIVE, **params}),
        max_new_tokens=12,
        seed=5,
    )


def _guided(tiny: TinyModel, text: list[int]) -> Tensor:
    """Log-probabilities (vocab_size,) after `text`, by the paper's formula."""
    with torch.inference_mode():
        rows = [
            tiny.reference(torch.tensor([[*before, *text]])).logits[0, -1].log_softmax(-1)
            for before in (PROMPT, NEGATIVE)
        ]
    return SCALE * (rows[0] - rows[1]) + rows[1]


def test_the_score_of_a_beam_is_the_sum_of_its_guided_scores() -> None:
    result = run_alone(TINY.model, _request("beam_search", num_beams=4, length_penalty=0.0))

    (text,) = result.token_ids
    total = sum(_guided(TINY, text[:i])[token_id].item() for i, token_id in enumerate(text))
    assert result.sequences[0].score == pytest.approx(total, abs=1e-3)


def _slow_answer(tiny: TinyT5, prompt: tuple[int, ...], negative: tuple[int, ...]) -> list[int]:
    text: list[int] = []
    for _ in range(12):
        start = torch.tensor([[START, *text]])
        with torch.inference_mode():
            given, other = (
                tiny.reference(input_ids=torch.tensor([source]), decoder_input_ids=start)
                .logits[0, -1]
                .log_softmax(-1)
                for source in (prompt, negative)
            )
        text.append(int((SCALE * (given - other) + other).argmax()))
        if text[-1] == 0:
            break
    return text


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("negative", [None, NEGATIVE])
def test_an_encoder_decoder_reads_both_prompts(seed: int, negative: tuple[int, ...] | None) -> None:
    tiny = tiny_t5(seed)

    result = run_alone(tiny.model, _request(negative_prompt=negative))

    assert result.token_ids == [_slow_answer(tiny, PROMPT, negative or PROMPT[-1:])]


def test_it_follows_a_branch_and_a_trace_shows_it() -> None:
    whole = run_alone(TINY.model, replace(_request(), trace=3))
    (text,) = whole.token_ids

    branch = run_alone(TINY.model, replace(_request(), prefix=tuple(text[:5]), max_new_tokens=7))

    assert branch.token_ids == [text[5:]]
    stages = [stage.name for stage in whole.sequences[0].logprobs[0].stages]
    assert stages == ["model", "guidance_scale"]


def test_a_prompt_that_was_read_before_counts_as_cached_not_its_shadow() -> None:
    engine = Engine(TINY.model, EngineConfig(num_blocks=64, block_size=4))
    request = replace(_request(negative_prompt=tuple(range(60, 90))), prompt=tuple(range(1, 14)))
    cached = []
    for number in range(2):
        result = Result()
        engine.add(prepare(replace(request, request_id=str(number)), TINY.model))
        while engine.has_work:
            for output in engine.step():
                result.take(output)
        assert result.finished is not None
        cached.append(result.finished.num_cached_tokens)

    assert cached == [0, 12]


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"guidance_scale": 1.0}, "does nothing at guidance_scale=1"),
        ({"negative_prompt": ()}, "has no tokens"),
        ({"negative_prompt": ""}, "has no tokens"),
        ({"negative_prompt": (257,)}, "token id 257 is not in the vocabulary"),
        ({"negative_prompt": (1,) * 117}, "Shorten it to 116 tokens"),
    ],
)
def test_what_cannot_guide_is_refused(params: dict[str, object], problem: str) -> None:
    with pytest.raises(InvalidParameter, match=problem) as caught:
        run_alone(TINY.model, _request(**params))

    assert caught.value.param == "negative_prompt"


def test_a_request_that_would_fit_without_its_shadows_is_refused_when_it_does_not() -> None:
    config = EngineConfig(num_blocks=2, block_size=8, prefix_cache=False)
    run_alone(TINY.model, _request(guidance_scale=1.0, negative_prompt=None), config)

    with pytest.raises(InvalidParameter, match="2 sequences of 16 tokens need 5 cache blocks"):
        run_alone(TINY.model, _request(), config)
