"""An encoder-decoder writes the very tokens that transformers' `generate` writes."""

import random

import pytest

from penstock.types import DecodingParams, GenerationRequest
from tests.engine.driving import run_alone
from tests.tiny_t5 import reference_answer, tiny_t5

MAX_BYTE = 256


def _case(seed: int) -> tuple[tuple[int, ...], int, random.Random]:
    rng = random.Random(seed)
    prompt = tuple(rng.randrange(1, MAX_BYTE) for _ in range(rng.randrange(1, 50)))
    return prompt, rng.randrange(1, 28), rng


def _request(prompt: tuple[int, ...], max_new_tokens: int, **more: object) -> GenerationRequest:
    return GenerationRequest(
        request_id="r", prompt=prompt, model="tiny-t5", max_new_tokens=max_new_tokens, **more
    )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("num_beams", [1, 2, 3, 4, 5])
def test_greedy_and_beams_are_token_identical(seed: int, num_beams: int) -> None:
    tiny = tiny_t5(seed, is_gated=seed % 2 == 1)
    prompt, max_new_tokens, rng = _case(seed)
    options = {"length_penalty": rng.choice([-1.0, 0.6, 1.0]), "early_stopping": seed % 3 == 0}
    params = DecodingParams(num_beams=num_beams, **(options if num_beams > 1 else {}))
    strategy = "greedy" if num_beams == 1 else "beam_search"

    result = run_alone(
        tiny.model,
        _request(prompt, max_new_tokens, strategy=strategy, params=params, num_sequences=num_beams),
    )

    if num_beams > 1:
        options |= {"num_beams": num_beams, "num_return_sequences": num_beams}
    expected = reference_answer(tiny, prompt, max_new_tokens, **(options if num_beams > 1 else {}))
    assert result.token_ids == expected


OPTIONS: list[dict[str, object]] = [
    {"encoder_repetition_penalty": 1.6},
    {"encoder_repetition_penalty": 0.5},
    {"encoder_no_repeat_ngram_size": 1},
    {"encoder_no_repeat_ngram_size": 2},
    {"repetition_penalty": 1.4},
    {"no_repeat_ngram_size": 2},
    {"forced_bos_token_id": 7, "forced_eos_token_id": 9},
    {"min_length": 9},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("num_beams", [1, 3])
def test_what_counts_the_prompt_counts_as_in_transformers(
    options: dict[str, object], num_beams: int
) -> None:
    for seed in range(3):
        tiny = tiny_t5(seed)
        prompt, _, _ = _case(seed + 100)
        prompt = prompt[:30] * 4  # all of its runs of tokens repeat
        params = DecodingParams(num_beams=num_beams, **options)
        strategy = "greedy" if num_beams == 1 else "beam_search"

        result = run_alone(tiny.model, _request(prompt, 16, strategy=strategy, params=params))

        assert result.token_ids == reference_answer(
            tiny, prompt, 16, num_beams=num_beams, **options
        )
