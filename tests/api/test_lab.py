"""The lab's routes over the real engine on a small random model."""

import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.api.conftest import Live, listening
from tests.api.test_real_engine import TinyModels
from tests.tiny_gpt2 import tiny_model

PROMPT = "The miller had"


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    async with listening(TinyModels()) as live:
        yield live


async def next_token(live: Live, **fields: Any) -> dict[str, Any]:
    response = await live.http.post("/lab/next-token", json={"prompt": PROMPT, **fields})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_the_stages_lead_from_the_model_to_what_is_drawn(live: Live) -> None:
    answer = await next_token(live, temperature=0.5, top_p=0.7, seed=1, candidates=100)

    model, temperature, top_p = answer["stages"]
    assert [s["name"] for s in answer["stages"]] == ["model", "temperature", "top_p"]
    assert model["entropy_bits"] > temperature["entropy_bits"] > top_p["entropy_bits"]
    assert top_p["num_kept"] < temperature["num_kept"] == model["num_kept"]
    assert 0.7 <= top_p["mass_kept"] < 1
    assert sum(math.exp(t["logprob"]) for t in top_p["top"]) == pytest.approx(1, abs=1e-3)
    assert answer["chosen"]["token_id"] in {t["token_id"] for t in top_p["top"]}


@pytest.mark.parametrize("strategy", ["greedy", "beam_search", "top_k", "sampling"])
async def test_it_is_the_first_step_of_what_generate_does(live: Live, strategy: str) -> None:
    asked = {"strategy": strategy, "seed": 5, "prompt": PROMPT}
    answer = await next_token(live, strategy=strategy, seed=5)
    generated = await live.http.post(
        "/generate", json={**asked, "max_new_tokens": 1, "logprobs": 3, "trace": 10}
    )

    [token] = generated.json()["sequences"][0]["logprobs"]
    assert answer["stages"] == token["stages"]
    assert answer["chosen"]["token_id"] == token["token_id"]


async def test_a_token_that_ends_the_text_has_its_stages_too(live: Live) -> None:
    end_of_text = tiny_model().model.tokenizer.eos_token_ids
    bias = {str(token_id): 100 for token_id in end_of_text}

    answer = await next_token(live, strategy="greedy", logit_bias=bias)

    assert answer["chosen"]["token_id"] in end_of_text
    assert [s["name"] for s in answer["stages"]] == ["model", "logit_bias"]


async def test_a_wrong_field_is_refused_by_name(live: Live) -> None:
    response = await live.http.post("/lab/next-token", json={"prompt": "a", "candidates": 101})

    assert response.status_code in {400, 422}
    assert response.json()["error"]["param"] == "candidates"
