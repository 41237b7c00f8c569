"""Branches over the real engine: a text's beginning, and what the engine writes after it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from penstock.api.receipts.receipt import Receipt, request_of
from tests.api.conftest import Live, listening
from tests.api.reading import DONE, events_of
from tests.api.test_real_engine import CONFIG, CONTEXT_LENGTH, TinyModels
from tests.engine.driving import run_alone
from tests.tiny_gpt2 import VOCAB_SIZE, tiny_model

PROMPT = "The miller 🦀 had"
WAYS: list[dict[str, Any]] = [
    {"strategy": "greedy", "repetition_penalty": 1.2},
    {"strategy": "sampling", "temperature": 1.1, "seed": 5, "frequency_penalty": 0.5},
    {"strategy": "beam_search", "num_beams": 3},
    {"strategy": "contrastive_search"},
]


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    async with listening(TinyModels()) as live:
        yield live


async def generate(live: Live, **more: Any) -> tuple[dict[str, Any], Receipt]:
    asked = {"prompt": PROMPT, "max_new_tokens": 20, **more}
    answer = (await live.http.post("/generate", json=asked)).json()
    document = (await live.http.get(f"/receipts/{answer['receipt']}")).text
    return answer, Receipt.model_validate_json(document)


async def branch(live: Live, answer: dict[str, Any], position: int, **more: Any) -> dict[str, Any]:
    asked = {"receipt": answer["receipt"], "position": position, **more}
    response = await live.http.post("/lab/branch", json=asked)
    assert response.status_code == 200, response.text
    branched: dict[str, Any] = response.json()
    return branched


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("position", "token_id"), [(0, None), (7, None), (7, 70), (19, 71)])
async def test_a_branch_is_what_comes_after_its_beginning_as_a_prompt(
    live: Live, way: dict[str, Any], position: int, token_id: int | None
) -> None:
    first, receipt = await generate(live, **way)
    branched = await branch(live, first, position, token_id=token_id, max_new_tokens=15)

    model = tiny_model(context_length=CONTEXT_LENGTH).model
    chosen = () if token_id is None else (token_id,)
    kept = (*receipt.token_ids[0][:position], *chosen)
    prompt = (*model.tokenizer.encode(PROMPT), *kept)
    request = replace(request_of(receipt.decided, "r"), prompt=prompt, max_new_tokens=15)
    expected = run_alone(model, request, CONFIG)

    assert [s["text"] for s in branched["sequences"]] == expected.texts
    assert branched["branch"] == {
        "receipt": first["receipt"], "index": 0, "position": position, "token_id": token_id,
        "kept": branched["branch"]["kept"],
    }  # fmt: skip
    whole = model.tokenizer.decode([*prompt])
    assert branched["rendered_prompt"] == whole
    assert branched["prompt"] == whole == PROMPT + branched["branch"]["kept"]
    assert branched["generated_text"] == whole + branched["sequences"][0]["text"]


async def test_greedy_search_goes_on_from_any_of_its_tokens_as_it_did(live: Live) -> None:
    first, receipt = await generate(live, strategy="greedy")

    for position in range(0, 20, 3):
        branched = await branch(live, first, position)
        document = await live.http.get(f"/receipts/{branched['receipt']}")
        assert document.json()["token_ids"] == [receipt.token_ids[0][position:]]


async def test_a_branch_has_a_receipt_and_branches_again(live: Live) -> None:
    first, _ = await generate(live, seed=3)
    second = await branch(live, first, 8, token_id=70)
    third = await branch(live, second, 2, token_id=71, seed=9)

    again = (await live.http.post(f"/replay/{third['receipt']}")).json()

    assert again["is_same"] and again["sequences"] == third["sequences"]
    assert again["prompt"] == third["prompt"]
    assert third["prompt"].startswith(second["prompt"])
    document = (await live.http.get(f"/receipts/{third['receipt']}")).json()
    assert len(document["decided"]["prefix"]) == 8 + 1 + 2 + 1
    assert document["decided"]["max_new_tokens"] == 20 - 9 - 3


async def test_a_branch_of_another_text_streams(live: Live) -> None:
    first, receipt = await generate(live, seed=3, num_return_sequences=3)
    asked = {"receipt": first["receipt"], "index": 2, "position": 4, "stream": True, "trace": 2}

    events = events_of((await live.http.post("/lab/branch", json=asked)).text)

    assert events[-1] == DONE and [e["event"] for e in events[:1]] == ["start"]
    assert events[0]["branch"] == events[-2]["branch"]
    document = (await live.http.get(f"/receipts/{events[-2]['receipt']}")).json()
    assert document["decided"]["prefix"] == receipt.token_ids[2][:4]
    assert all(token["stages"] for token in events[-2]["sequences"][0]["logprobs"])


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"position": 21}, 422, "position"),
        ({"position": -1}, 422, "position"),
        ({}, 422, "position"),
        ({"position": 2, "index": 1}, 422, "index"),
        ({"position": 2, "token_id": VOCAB_SIZE}, 422, "token_id"),
        ({"position": 2, "receipt": "rcpt_0"}, 404, "receipt"),
        ({"position": 2, "max_new_tokens": 300}, 400, "max_new_tokens"),
        ({"position": 2, "temperature": 1.0}, 422, "temperature"),
    ],
)
async def test_what_cannot_be_branched_is_refused_by_name(
    live: Live, fields: dict[str, Any], status: int, param: str
) -> None:
    first, _ = await generate(live, seed=3)

    response = await live.http.post("/lab/branch", json={"receipt": first["receipt"], **fields})

    assert (response.status_code, response.json()["error"]["param"]) == (status, param)
    assert live.services.admission.num_in_flight == 0
