"""The lab's routes over the real engine on a small random model."""

import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
import torch

from tests.api.conftest import Live, listening
from tests.api.reading import events_of
from tests.api.test_real_engine import CONTEXT_LENGTH, TinyModels
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


@pytest.mark.parametrize("strategy", ["beam_search", "diverse_beam_search", "beam_sampling"])
async def test_a_beam_tree_is_streamed_while_it_grows(live: Live, strategy: str) -> None:
    asked = {
        "prompt": PROMPT, "strategy": strategy, "num_beams": 4, "max_new_tokens": 9,
        "num_return_sequences": 2, "seed": 4, "beam_tree": True,
    }  # fmt: skip
    plain = (await live.http.post("/generate", json=asked)).json()
    response = await live.http.post("/generate", json={**asked, "stream": True})

    events = events_of(response.text)

    steps = [{k: v for k, v in e.items() if k != "event"} for e in events[:-1] if is_tree(e)]
    assert steps == plain["beam_tree"] == events[-2]["beam_tree"]
    assert len(steps) == 9 and is_tree(events[1]) and len(steps[0]["expand"]) == 4
    nodes = {node["node"]: node for step in steps for node in step["expand"] + step["finish"]}
    returned = [nodes[number] for number in steps[-1]["returned"]]
    assert [node["score"] for node in returned] == [s["score"] for s in plain["sequences"]]
    assert all(node["finish_reason"] == "length" for node in returned)


def is_tree(event: Any) -> bool:
    return bool(event["event"] == "tree")


async def test_a_tree_is_in_vain_where_there_are_no_beams(live: Live) -> None:
    asked = {"prompt": PROMPT, "max_new_tokens": 3, "beam_tree": True}

    answer = (await live.http.post("/generate", json=asked)).json()

    assert answer["unused_parameters"] == ["beam_tree"] and "beam_tree" not in answer


async def test_a_wrong_field_is_refused_by_name(live: Live) -> None:
    response = await live.http.post("/lab/next-token", json={"prompt": "a", "candidates": 101})

    assert response.status_code in {400, 422}
    assert response.json()["error"]["param"] == "candidates"


async def test_a_texts_score_is_transformers_loss(live: Live) -> None:
    tiny = tiny_model(context_length=CONTEXT_LENGTH)
    ids = torch.tensor([tiny.model.tokenizer.encode(PROMPT)])
    with torch.inference_mode():
        loss = tiny.reference(ids, labels=ids).loss.item()
        best = tiny.reference(ids).logits[0, -2].log_softmax(-1).max().item()

    response = await live.http.post("/lab/score", json={"text": PROMPT, "top": 2})

    answer = response.json()
    assert response.status_code == 200, answer
    assert answer["mean_logprob"] == pytest.approx(-loss, abs=1e-4)
    assert answer["perplexity"] == pytest.approx(math.exp(loss), rel=1e-3)
    assert answer["num_tokens"] == len(answer["tokens"]) == answer["num_scored"] + 1
    assert answer["logprob"] == pytest.approx(sum(t["logprob"] for t in answer["tokens"][1:]))
    assert answer["tokens"][0]["logprob"] is None
    assert [t["token_id"] for t in answer["tokens"]] == ids[0].tolist()
    assert answer["tokens"][-1]["top"][0]["logprob"] == pytest.approx(best, abs=1e-4)


async def test_up_to_a_hundred_rivals_of_each_token_are_told(live: Live) -> None:
    asked = {"prompt": PROMPT, "max_new_tokens": 2, "strategy": "greedy"}
    generated = (await live.http.post("/generate", json=asked | {"logprobs": 100})).json()
    traced = (await live.http.post("/generate", json=asked | {"trace": 100})).json()
    scored = (await live.http.post("/lab/score", json={"text": PROMPT, "top": 100})).json()

    tokens = generated["sequences"][0]["logprobs"]
    likeliest = [[rival["token_id"] for rival in token["top"]] for token in tokens]
    (model, *_) = traced["sequences"][0]["logprobs"][0]["stages"]
    assert [len(set(token_ids)) for token_ids in likeliest] == [100, 100]
    assert [rival["token_id"] for rival in model["top"]] == likeliest[0]
    assert len(scored["tokens"][-1]["top"]) == 100


async def test_named_tokens_are_told_beside_what_was_chosen_and_scored(live: Live) -> None:
    (letter,) = tiny_model().model.tokenizer.encode("e")
    asked = {"prompt": PROMPT, "max_new_tokens": 3, "strategy": "greedy", "named_tokens": ["e", 70]}
    generated = (await live.http.post("/generate", json=asked)).json()
    first = await next_token(live, strategy="greedy", named_tokens=["e", 70])
    text = PROMPT + "e"
    scored = (
        await live.http.post("/lab/score", json={"text": text, "named_tokens": ["e", 70]})
    ).json()

    tokens = generated["sequences"][0]["logprobs"]
    assert [[n["token_id"] for n in t["named"]] for t in tokens] == [[letter, 70]] * 3
    assert first["named"] == tokens[0]["named"] and tokens[0]["top"] == []
    assert scored["tokens"][-1]["named"][0]["logprob"] == scored["tokens"][-1]["logprob"]
    for of_text, of_step in zip(scored["tokens"][-1]["named"], tokens[0]["named"], strict=True):
        assert of_text["token_id"] == of_step["token_id"]
        assert of_text["logprob"] == pytest.approx(of_step["logprob"], abs=1e-5)
    assert "named" not in scored["tokens"][0]


@pytest.mark.parametrize("route", ["generate", "lab/next-token", "lab/score"])
@pytest.mark.parametrize(
    ("named", "param"),
    [(["ab"], "named_tokens"), ([999], "named_tokens"), ([], "named_tokens"),
     ([-1], "named_tokens.0"), ([True], "named_tokens.0"), (["e", ""], "named_tokens.1"),
     ([1] * 101, "named_tokens")],
)  # fmt: skip
async def test_what_is_no_single_token_cannot_be_named(
    live: Live, route: str, named: list[Any], param: str
) -> None:
    text = {"text": PROMPT} if route == "lab/score" else {"prompt": PROMPT}
    response = await live.http.post(f"/{route}", json={**text, "named_tokens": named})

    assert response.status_code == 422
    assert response.json()["error"]["param"] == param


async def test_a_watermark_is_found_with_its_key_and_its_share_alone(live: Live) -> None:
    asked = {
        "prompt": PROMPT, "max_new_tokens": 120, "seed": 2, "temperature": 1.0,
        "regex": "[a-z ]{100,}", "watermark_delta": 5.0, "watermark_key": 99,
    }  # fmt: skip
    text = (await live.http.post("/generate", json=asked)).json()["sequences"][0]["text"]

    found = (
        await live.http.post("/lab/detect-watermark", json={"text": text, "watermark_key": 99})
    ).json()
    missed = (await live.http.post("/lab/detect-watermark", json={"text": text})).json()

    assert found["z_score"] > 4 > missed["z_score"]
    assert found["p_value"] < 1e-4 < missed["p_value"]
    assert found["num_tokens"] == len(text)
    assert found["expected_green"] == found["num_scored"] / 4 < found["num_green"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"text": "x"}, "text"), ({"text": ""}, "text"), ({"text": "x" * 50_001}, "text"),
     ({"text": "xy", "watermark_gamma": 1.0}, "watermark_gamma"),
     ({"text": "xy", "watermark_key": 0}, "watermark_key")],
)  # fmt: skip
async def test_what_cannot_be_searched_for_a_watermark_is_refused(
    live: Live, fields: dict[str, Any], param: str
) -> None:
    response = await live.http.post("/lab/detect-watermark", json=fields)

    assert response.status_code == 422 and response.json()["error"]["param"] == param


async def test_one_token_has_nothing_to_be_scored(live: Live) -> None:
    answer = (await live.http.post("/lab/score", json={"text": "x"})).json()

    assert (answer["num_tokens"], answer["num_scored"], answer["logprob"]) == (1, 0, 0)
    assert answer["perplexity"] is None and answer["mean_logprob"] is None


async def test_a_texts_tokens_are_those_that_are_scored(live: Live) -> None:
    text = "Zwei Mühlen 🦀"
    cut = (await live.http.post("/lab/tokenize", json={"text": text})).json()
    scored = (await live.http.post("/lab/score", json={"text": text})).json()

    assert cut["tokens"] == [{k: t[k] for k in ("token", "token_id")} for t in scored["tokens"]]
    assert (cut["num_tokens"], cut["num_characters"]) == (len(text.encode()), len(text))
    assert cut["context_length"] == CONTEXT_LENGTH


@pytest.mark.parametrize("route", ["score", "tokenize"])
@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "text"), ({"text": ""}, "text"), ({"text": "a\0"}, "text"), ({"text": 1}, "text"),
     ({"text": "x", "surprise": 1}, "surprise"), ({"text": "x", "model": []}, "model")],
)  # fmt: skip
async def test_what_cannot_be_used_is_refused_by_name(
    live: Live, route: str, body: dict[str, Any], param: str
) -> None:
    response = await live.http.post(f"/lab/{route}", json=body)

    assert response.status_code == 422 and response.json()["error"]["param"] == param


async def test_a_text_that_does_not_fit_is_refused_with_the_counts(live: Live) -> None:
    response = await live.http.post("/lab/score", json={"text": "x" * (CONTEXT_LENGTH + 1)})

    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, "text")
    assert str(CONTEXT_LENGTH) in error["message"]
