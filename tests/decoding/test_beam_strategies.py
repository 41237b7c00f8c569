"""The beam strategies that transformers no longer has write what the slow definitions write."""

import itertools
import math
import random
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from penstock.decoding.processors.interface import Row
from penstock.decoding.questions import Question
from penstock.decoding.randomness import gumbels, noise_key, stream_of
from penstock.decoding.sampler import answer
from penstock.decoding.strategies.interface import DrawDistinct
from penstock.types import DecodingParams, GenerationRequest
from tests.decoding.slow_beams import (
    Group,
    Rules,
    Scored,
    Text,
    extensions,
    grow,
    next_logprobs,
)
from tests.engine.driving import run_alone
from tests.tiny_gpt2 import VOCAB_SIZE, TinyModel, reference_generate, tiny_model

NUM_MODELS = 12


def _case(seed: int) -> tuple[TinyModel, Text, Rules, random.Random]:
    rng = random.Random(seed)
    prompt = tuple(rng.randrange(1, VOCAB_SIZE) for _ in range(rng.randrange(1, 12)))
    rules = Rules(
        max_new_tokens=rng.randrange(1, 14),
        length_penalty=rng.choice([-1.0, 0.0, 0.6, 1.0, 2.0]),
        early_stopping=rng.random() < 0.5,
    )
    return tiny_model(seed), prompt, rules, rng


def _request(strategy: str, prompt: Text, rules: Rules, **params: float) -> GenerationRequest:
    return GenerationRequest(
        request_id="r",
        prompt=prompt,
        model="tiny",
        strategy=strategy,
        params=DecodingParams(
            length_penalty=rules.length_penalty, early_stopping=rules.early_stopping, **params
        ),
        max_new_tokens=rules.max_new_tokens,
        seed=7,
    )


@pytest.mark.parametrize("seed", range(NUM_MODELS))
def test_the_slow_definition_of_beam_search_is_that_of_transformers(seed: int) -> None:
    tiny, prompt, rules, rng = _case(seed)
    num_beams = rng.randint(2, 5)

    def rank(group: Group, chosen: Sequence[int]) -> Scored:
        return sorted(extensions(tiny, prompt, group), reverse=True)

    texts = grow([Group(num_beams)], rank, rules, 1)

    assert texts == reference_generate(
        tiny,
        prompt,
        rules.max_new_tokens,
        num_beams=num_beams,
        length_penalty=rules.length_penalty,
        early_stopping=rules.early_stopping,
    )


def _gumbel(seed: int, text: Text, token_id: int) -> float:
    """The random number of one token, worked out with Python's own integers."""
    stream = zlib.crc32(b"".join(t.to_bytes(4, "little") for t in text))
    mask = 2**64 - 1
    z = ((noise_key(seed, stream, len(text)) ^ token_id) + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    z ^= z >> 31
    return -math.log(-math.log(((z >> 11) + 0.5) / 2**53))


def _warped(tiny: TinyModel, prompt: Text, text: Text, params: DecodingParams) -> list[float]:
    """Log-probabilities as transformers' warpers leave them, with beams and an end token."""
    scores = next_logprobs(tiny, prompt, text)[None]
    scores = TemperatureLogitsWarper(params.temperature)(None, scores)
    scores = TopKLogitsWarper(params.top_k, min_tokens_to_keep=2)(None, scores)
    scores = TopPLogitsWarper(params.top_p, min_tokens_to_keep=2)(None, scores)
    return scores[0].tolist()


@pytest.mark.parametrize("seed", range(NUM_MODELS))
def test_beam_sampling_is_the_slow_definition(seed: int) -> None:
    tiny, prompt, rules, rng = _case(seed)
    num_beams, num_texts = rng.randint(2, 5), rng.randint(1, 2)
    request = _request(
        "beam_sampling",
        prompt,
        rules,
        num_beams=num_beams,
        temperature=rng.choice([0.5, 1.0, 1.6]),
        top_k=rng.choice([1, 20, 257]),
        top_p=rng.choice([0.5, 0.95, 1.0]),
    )

    def rank(group: Group, chosen: Sequence[int]) -> Scored:
        keyed = [
            (
                score + logprob + _gumbel(7, text, token_id),
                score + logprob,
                (*text, token_id),
            )
            for score, text in group.running
            for token_id, logprob in enumerate(_warped(tiny, prompt, text, request.params))
            if logprob > -math.inf
        ]
        return [(score, text) for _, score, text in sorted(keyed, reverse=True)]

    result = run_alone(tiny.model, replace(request, num_sequences=num_texts))

    expected = grow([Group(num_beams)], rank, rules, num_texts)
    assert result.token_ids[: len(expected)] == expected


@pytest.mark.parametrize("seed", range(5))
def test_beam_sampling_at_temperature_zero_is_beam_search(seed: int) -> None:
    tiny, prompt, rules, _ = _case(seed)
    request = _request("beam_sampling", prompt, rules, num_beams=3, temperature=0.0, top_k=2)

    search = replace(request, strategy="beam_search")
    assert run_alone(tiny.model, request).token_ids == run_alone(tiny.model, search).token_ids


def test_beam_sampling_writes_other_texts_with_other_seeds() -> None:
    tiny, prompt, rules, _ = _case(3)
    request = _request("beam_sampling", prompt, replace(rules, max_new_tokens=12), num_beams=3)

    texts = {run_alone(tiny.model, replace(request, seed=s)).texts[0] for s in range(8)}

    assert len(texts) > 4


@pytest.mark.parametrize("seed", range(NUM_MODELS))
def test_diverse_beam_search_is_the_slow_definition(seed: int) -> None:
    tiny, prompt, rules, rng = _case(seed + 100)
    num_groups, rest = rng.randint(1, 4), rng.randint(0, 1)
    num_beams = num_groups * rng.randint(1, 2) + (rest if num_groups > 1 else 0)
    penalty = rng.choice([0.0, 0.4, 1.5, 20.0])
    num_texts = rng.randint(1, num_beams)
    size, num_larger = divmod(num_beams, num_groups)

    def rank(group: Group, chosen: Sequence[int]) -> Scored:
        costs = Counter(chosen)
        found = extensions(tiny, prompt, group)
        return sorted(((s - penalty * costs[t[-1]], t) for s, t in found), reverse=True)

    result = run_alone(
        tiny.model,
        replace(
            _request(
                "diverse_beam_search",
                prompt,
                rules,
                num_beams=num_beams,
                num_beam_groups=num_groups,
                diversity_penalty=penalty,
            ),
            num_sequences=num_texts,
        ),
    )

    groups = [Group(size + (index < num_larger)) for index in range(num_groups)]
    assert result.token_ids == grow(groups, rank, rules, num_texts)


def test_a_great_diversity_penalty_gives_every_group_its_own_words() -> None:
    tiny, prompt, _, _ = _case(2)
    request = replace(
        _request(
            "diverse_beam_search",
            prompt,
            Rules(max_new_tokens=6),
            num_beams=4,
            num_beam_groups=4,
            diversity_penalty=50.0,
        ),
        num_sequences=4,
    )

    texts = run_alone(tiny.model, request).token_ids

    assert all(len(set(column)) == 4 for column in zip(*texts, strict=True))


def test_more_texts_than_can_be_written_repeat_the_best() -> None:
    tiny, prompt, _, _ = _case(1)
    request = replace(
        _request("beam_sampling", prompt, Rules(max_new_tokens=1), num_beams=4, top_k=1),
        num_sequences=4,
    )

    token_ids = run_alone(tiny.model, request).token_ids

    assert token_ids[0] != token_ids[1]  # no filter leaves a beam fewer than two ways to go on
    assert token_ids[2:] == token_ids[:2]


def test_distinct_draws_follow_the_distribution_of_drawing_without_replacement() -> None:
    probs = [0.5, 0.25, 0.15, 0.1]
    row = Row(
        params=DecodingParams(),
        token_ids=(1,),
        num_generated=0,
        min_new_tokens=0,
        eos_token_ids=frozenset(),
    )
    num_draws = 20_000
    questions = [
        Question(row=row, need=DrawDistinct(2), noise_key=noise_key(3, 0, position))
        for position in range(num_draws)
    ]

    answers = answer(torch.tensor([probs]).log().repeat(num_draws, 1), questions)

    counts = Counter(a.token_ids for a in answers)
    chi_square = 0.0
    for first, second in itertools.permutations(range(4), 2):
        expected = num_draws * probs[first] * probs[second] / (1 - probs[first])
        chi_square += (counts[first, second] - expected) ** 2 / expected
    assert chi_square < 11 + 4 * 22**0.5  # 12 outcomes, four standard deviations


def test_noise_belongs_to_its_seed_text_and_token() -> None:
    texts: list[Text] = [(), (4,), (4, 5), (5, 4)]
    keys = [noise_key(s, stream_of(t), len(t)) for s in (0, 1, 2**63 - 1) for t in texts]

    numbers = gumbels(keys, 300)

    assert numbers.shape == (12, 300)
    assert len(set(numbers.flatten().tolist())) == numbers.size
    assert numbers[2, 7] == pytest.approx(_gumbel(0, (4, 5), 7), abs=1e-12)
