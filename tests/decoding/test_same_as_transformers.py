"""Greedy and beam search write the very tokens that transformers' `generate` writes."""

import os
import random

import pytest

from penstock.types import DecodingParams, GenerationRequest
from tests.engine.driving import run_alone
from tests.tiny_gpt2 import VOCAB_SIZE, reference_generate, tiny_model

NUM_MODELS = int(os.environ.get("PENSTOCK_STRATEGY_CASES", "10"))  # `make stress` has a hundred


def _case(seed: int) -> tuple[tuple[int, ...], int, random.Random]:
    rng = random.Random(seed)
    prompt = tuple(rng.randrange(1, VOCAB_SIZE) for _ in range(rng.randrange(1, 24)))
    return prompt, rng.randrange(1, 32), rng


@pytest.mark.parametrize("seed", range(NUM_MODELS))
def test_greedy_is_token_identical(seed: int) -> None:
    tiny = tiny_model(seed)
    prompt, max_new_tokens, _ = _case(seed)
    request = GenerationRequest(
        request_id="r",
        prompt=prompt,
        model="tiny",
        strategy="greedy",
        max_new_tokens=max_new_tokens,
    )

    result = run_alone(tiny.model, request)

    assert result.token_ids == reference_generate(tiny, prompt, max_new_tokens)


@pytest.mark.parametrize("seed", range(NUM_MODELS))
def test_beam_search_is_token_identical(seed: int) -> None:
    tiny = tiny_model(seed)
    prompt, max_new_tokens, rng = _case(seed)
    num_beams = 1 + seed % 10
    num_sequences = rng.randint(1, min(num_beams, 8))
    length_penalty = rng.choice([-1.0, 0.0, 0.6, 1.0, 2.0])
    early_stopping = rng.random() < 0.5
    request = GenerationRequest(
        request_id="r",
        prompt=prompt,
        model="tiny",
        strategy="beam_search",
        params=DecodingParams(
            num_beams=num_beams, length_penalty=length_penalty, early_stopping=early_stopping
        ),
        max_new_tokens=max_new_tokens,
        num_sequences=num_sequences,
    )

    result = run_alone(tiny.model, request)

    options = {} if num_beams == 1 else {"length_penalty": length_penalty}
    if num_beams > 1:
        options |= {"early_stopping": early_stopping, "num_return_sequences": num_sequences}
    expected = reference_generate(tiny, prompt, max_new_tokens, num_beams=num_beams, **options)
    assert result.token_ids == expected


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("num_beams", [1, 4])
def test_penalties_mean_what_they_mean_in_transformers(seed: int, num_beams: int) -> None:
    tiny = tiny_model(seed)
    prompt, max_new_tokens, rng = _case(seed + 1000)
    options = {
        "repetition_penalty": rng.choice([0.8, 1.2, 1.5]),
        "no_repeat_ngram_size": rng.choice([0, 1, 2, 3]),
    }
    min_new_tokens = rng.randint(0, max_new_tokens)
    request = GenerationRequest(
        request_id="r",
        prompt=prompt,
        model="tiny",
        strategy="greedy" if num_beams == 1 else "beam_search",
        params=DecodingParams(num_beams=num_beams, **options),
        max_new_tokens=max_new_tokens,
        min_new_tokens=min_new_tokens,
    )

    result = run_alone(tiny.model, request)

    expected = reference_generate(
        tiny,
        prompt,
        max_new_tokens,
        num_beams=num_beams,
        min_new_tokens=min_new_tokens or None,
        **options,
    )
    assert result.token_ids == expected
