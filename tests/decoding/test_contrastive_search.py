"""Contrastive search writes what its definition says, worked out slowly on transformers' model."""

import random
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cosine_similarity

from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.errors import InvalidParameter
from penstock.model.hidden_cache import HiddenCache
from penstock.types import DecodingParams, GenerationRequest
from tests.engine.driving import run_alone
from tests.tiny_gpt2 import EOS, VOCAB_SIZE, TinyModel, loaded, tiny_model


def _request(prompt: tuple[int, ...], top_k: int, alpha: float) -> GenerationRequest:
    return GenerationRequest(
        request_id="r",
        prompt=prompt,
        model="tiny",
        strategy="contrastive_search",
        params=DecodingParams(top_k=top_k, penalty_alpha=alpha),
        max_new_tokens=14,
    )


def _slowly(tiny: TinyModel, prompt: tuple[int, ...], top_k: int, alpha: float) -> list[int]:
    """Su et al. 2022, equation 5: each candidate is read anew, with all that comes before it."""
    text = list(prompt)
    while len(text) < len(prompt) + 14 and EOS not in text[len(prompt) :]:
        with torch.inference_mode():
            likeliest = tiny.reference(torch.tensor([text])).logits[0, -1].softmax(-1).topk(top_k)
            worth = []
            for token_id, probability in zip(likeliest.indices, likeliest.values, strict=True):
                tried = torch.tensor([[*text, token_id]])
                hidden = tiny.reference(tried, output_hidden_states=True).hidden_states[-1][0]
                likeness = cosine_similarity(hidden[:-1], hidden[-1:], dim=-1).max()
                worth.append(float((1 - alpha) * probability - alpha * likeness))
        text.append(int(likeliest.indices[worth.index(max(worth))]))
    return text[len(prompt) :]


@pytest.mark.parametrize("seed", range(8))
def test_contrastive_search_is_the_slow_definition(seed: int) -> None:
    rng = random.Random(seed)
    tiny = tiny_model(seed)
    prompt = tuple(rng.randrange(1, VOCAB_SIZE) for _ in range(rng.randint(1, 25)))
    top_k, alpha = rng.randint(1, 5), rng.choice([0.2, 0.6, 0.9])

    result = run_alone(tiny.model, _request(prompt, top_k, alpha))

    assert result.token_ids == [_slowly(tiny, prompt, top_k, alpha)]


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
