"""Contrastive search writes what its definition says, worked out slowly on transformers' model."""

import random
from dataclasses import replace

import pytest
import torch

from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.errors import InvalidParameter
from penstock.model.hidden_cache import HiddenCache
from penstock.types import DecodingParams, GenerationRequest
from tests.decoding.slow_searches import contrastive_search
from tests.engine.driving import run_alone
from tests.tiny_gpt2 import VOCAB_SIZE, TinyModel, loaded, tiny_model


def _request(prompt: tuple[int, ...], top_k: int, alpha: float) -> GenerationRequest:
    return GenerationRequest(
        request_id="r",
        prompt=prompt,
        model="tiny",
        strategy="contrastive_search",
        params=DecodingParams(top_k=top_k, penalty_alpha=alpha),
        max_new_tokens=14,
    )


@pytest.mark.parametrize("seed", range(8))
def test_contrastive_search_is_the_slow_definition(seed: int) -> None:
    rng = random.Random(seed)
    tiny = tiny_model(seed)
    prompt = tuple(rng.randrange(1, VOCAB_SIZE) for _ in range(rng.randint(1, 25)))
    top_k, alpha = rng.randint(1, 5), rng.choice([0.2, 0.6, 0.9])

    result = run_alone(tiny.model, _request(prompt, top_k, alpha))

    assert result.token_ids == [contrastive_search(tiny, prompt, top_k, alpha)]


def test_without_a_penalty_it_is_greedy_search() -> None:
    tiny = tiny_model(3)
    request = _request((5, 6, 7), 4, 0.0)

    greedy = replace(request, strategy="greedy", params=DecodingParams())
    assert run_alone(tiny.model, request).token_ids == run_alone(tiny.model, greedy).token_ids


def test_what_is_forbidden_is_not_tried() -> None:
    tiny = tiny_model(3)
    request = _request((5, 6, 7), 5, 1.0)  # with 1, only how new a token is counts
    all_but_two = tuple(i for i in range(VOCAB_SIZE) if i not in (30, 31))
    params = replace(request.params, suppress_tokens=all_but_two)

    (token_ids,) = run_alone(tiny.model, replace(request, params=params)).token_ids

    assert set(token_ids) <= {30, 31}


@pytest.mark.parametrize("top_k", [0, 17])
def test_a_number_of_candidates_that_cannot_be_tried_is_refused(top_k: int) -> None:
    with pytest.raises(InvalidParameter) as raised:
        prepare(_request((5,), top_k, 0.6), tiny_model().model)

    assert str(raised.value) == (
        f"top_k={top_k} is out of range for contrastive search, which computes each of so many "
        "tokens. Use 1 to 16."
    )


class Silent:
    """A family that tells logits and nothing else."""

    def __init__(self, tiny: TinyModel) -> None:
        for name in ("context_length", "vocab_size", "num_parameters", "num_bytes", "cache_shape"):
            setattr(self, name, getattr(tiny.model.family, name))


def test_a_model_that_does_not_tell_its_hidden_states_is_refused_by_name() -> None:
    model = loaded(Silent(tiny_model()), "silent")
    engine = Engine(model)

    with pytest.raises(InvalidParameter, match="silent does not tell its hidden states") as raised:
        engine.add(prepare(_request((5,), 4, 0.6), model))

    assert raised.value.param == "strategy"
    assert not engine.has_work


def test_likeness_is_the_greatest_cosine_with_what_came_before() -> None:
    cache = HiddenCache(num_blocks=4, block_size=2)
    states = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0], [5.0, 0.0]])
    cache.keep(states, torch.tensor([6, 7, 2, 0]))
    cache.copy_blocks([(1, 2)])
    tables = torch.tensor([[3, 2], [0, 0]], dtype=torch.int32)

    likeness = cache.likeness(tables, torch.tensor([3, 1], dtype=torch.int32))

    assert likeness.tolist() == pytest.approx([0.5**0.5, float("-inf")])
