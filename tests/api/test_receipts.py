"""Receipts and replays over the real engine: the same text again, or what keeps it from that."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.api.receipts.receipt import (
    Decided,
    Receipt,
    ReceiptMaker,
    circumstances,
    name_of,
    request_of,
)
from penstock.api.receipts.store import ReceiptStore
from penstock.errors import InvalidParameter, ReceiptNotFound
from penstock.serving.models import HostedModel
from penstock.types import (
    DecodingParams,
    FinishReason,
    GenerationRequest,
    RequestStarted,
    SequenceFinished,
)
from tests.api.conftest import Live, listening
from tests.api.reading import DONE, events_of
from tests.api.test_real_engine import STRATEGIES, TinyModels, body
from tests.fakes import fake_served

FORMS: list[dict[str, Any]] = [
    *STRATEGIES,
    {"strategy": "beam_sampling", "num_beams": 3, "num_return_sequences": 2},
    {"strategy": "best_of_n", "num_candidates": 3},
    {"strategy": "diverse_beam_search", "num_beams": 4, "num_beam_groups": 2},
    {"strategy": "constrained_beam_search", "num_beams": 3, "force_words": ["red"]},
    {"strategy": "prompt_lookup", "temperature": 0.9},
    {"strategy": "contrastive_search", "top_k": 3},
    {"strategy": "dola", "temperature": 0.7},
    {"strategy": "controlled", "topic_words": ["sea", " boat"], "control_code": "Tale"},
    {"temperature": 1.2, "logit_bias": {"70": 3.5}, "bad_words": ["e", [71, 72]], "stop": ["z"]},
    {"regex": "[a-f]{5,9}", "exponential_decay_length_penalty": [3, 1.5]},
    {"mirostat": 2, "processor_order": ["top_k", "temperature"], "top_k": 90},
    {"system_prompt": "Be brief.", "examples": [{"input": "a", "output": "b"}]},
]


class ChangingModels(TinyModels):
    """A model whose files can be exchanged."""

    weights = "a" * 64

    def load(self, model_id: str) -> HostedModel:
        hosted = super().load(model_id)
        return HostedModel(replace(hosted.model, weights_digest=self.weights), hosted.kit)


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    async with listening(ChangingModels()) as live:
        yield live


async def generate(live: Live, **more: Any) -> dict[str, Any]:
    response = await live.http.post(
        "/generate", json={"prompt": "The miller had", "max_new_tokens": 20, **more}
    )
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def replay(live: Live, name: str, **more: Any) -> Any:
    return (await live.http.post(f"/replay/{name}", json=more)).json()


async def receipt_of(live: Live, name: str) -> dict[str, Any]:
    response = await live.http.get(f"/receipts/{name}")
    assert response.status_code == 200, response.text
    receipt: dict[str, Any] = response.json()
    return receipt


@pytest.mark.parametrize("form", FORMS)
async def test_a_replay_is_the_same_text_whatever_runs_beside_it(
    live: Live, form: dict[str, Any]
) -> None:
    first = await generate(live, **form)
    others = [live.http.post("/generate", json=body(number)) for number in range(8)]

    again, *_ = await asyncio.gather(replay(live, first["receipt"]), *others)

    assert again["sequences"] == first["sequences"]
    assert (again["is_same"], again["differences"]) == (True, [])
    assert (again["receipt"], again["seed"]) == (first["receipt"], first["seed"])


async def test_a_receipt_can_be_carried_to_another_server_through_another_program(
    live: Live,
) -> None:
    first = await generate(live, temperature=1.0, top_p=0.9)
    carried = await receipt_of(live, first["receipt"])
    carried["decided"]["params"] = {  # as a program may write it that has but one kind of number
        name: int(value) if value == int(value) else value
        for name, value in carried["decided"]["params"].items()
    }

    async with listening(ChangingModels()) as elsewhere:
        unknown = await elsewhere.http.post(f"/replay/{first['receipt']}")
        again = await replay(elsewhere, first["receipt"], document=carried)

    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "receipt_not_found"
    assert again["is_same"] and again["sequences"] == first["sequences"]


async def test_what_differs_is_told_before_anything_is_written(live: Live) -> None:
    first = await generate(live)
    carried = await receipt_of(live, first["receipt"])
    carried["decided"] |= {"weights": "b" * 64, "penstock": "0.0.1"}
    carried["receipt"] = name_of(Decided.model_validate(carried["decided"]))

    refused = await live.http.post(f"/replay/{carried['receipt']}", json={"document": carried})
    allowed = await replay(live, carried["receipt"], document=carried, allow_differences=True)

    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (409, "replay_differs")
    assert "penstock was '0.0.1'" in error["message"]
    assert "weights was 'bbbbbbbbbbbb', is 'aaaaaaaaaaaa'" in error["message"]
    assert [d["name"] for d in allowed["differences"]] == ["penstock", "weights"]
    assert allowed["sequences"] == first["sequences"]
    assert allowed["receipt"] == first["receipt"]  # it names what came of here and now
    assert live.services.admission.num_in_flight == 0


async def test_a_receipt_that_was_changed_is_refused(live: Live) -> None:
    first = await generate(live)
    carried = await receipt_of(live, first["receipt"])
    carried["decided"]["seed"] += 1

    response = await live.http.post(f"/replay/{first['receipt']}", json={"document": carried})

    assert (response.status_code, response.json()["error"]["param"]) == (422, "document")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"params": {"temperatur": 1}}, "document.decided.params.temperatur"),
        ({"params": {"temperature": "hot"}}, "document.decided.params.temperature"),
        ({"params": {"temperature": 99}}, "temperature"),
        ({"params": {"bad_words": [[1, None]]}}, "document.decided.params.bad_words"),
        ({"strategy": "nope"}, "strategy"),
        ({"num_sequences": 99}, "num_return_sequences"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [5000]}, "prompt"),
        ({"seed": -1}, "seed"),
    ],
)
async def test_a_made_up_receipt_is_refused_by_what_is_wrong_with_it(
    live: Live, change: dict[str, Any], param: str
) -> None:
    made_up = await receipt_of(live, (await generate(live))["receipt"])
    made_up["decided"] |= change
    made_up["receipt"] = name_of(Decided.model_validate(made_up["decided"]))

    response = await live.http.post(f"/replay/{made_up['receipt']}", json={"document": made_up})

    assert response.status_code in (400, 422), response.text
    assert response.json()["error"]["param"] == param
    assert live.services.admission.num_in_flight == 0


async def test_a_replay_streams_and_looks_inside(live: Live) -> None:
    first = await generate(live, temperature=0.7)

    response = await live.http.post(
        f"/replay/{first['receipt']}", json={"stream": True, "trace": 3, "logprobs": 2}
    )

    events = events_of(response.text)
    assert events[-1] == DONE and events[-2]["event"] == "done"
    done = events[-2]
    assert done["is_same"] and done["sequences"][0]["text"] == first["sequences"][0]["text"]
    tokens = done["sequences"][0]["logprobs"]
    assert all(len(t["top"]) == 2 and t["stages"][0]["name"] == "model" for t in tokens)


async def test_every_column_of_a_comparison_has_a_receipt(live: Live) -> None:
    columns = (
        await live.http.post(
            "/compare", json={"prompt": "x", "max_new_tokens": 9, "columns": STRATEGIES}
        )
    ).json()["columns"]

    again = [await replay(live, column["receipt"]) for column in columns]

    assert [a["sequences"] for a in again] == [c["sequences"] for c in columns]


def stored(seed: int, prompt: str = "x") -> Receipt:
    decided = Decided(
        **circumstances(fake_served("m")).model_dump(),
        prompt=prompt,
        strategy="greedy",
        num_sequences=1,
        max_new_tokens=1,
        seed=seed,
    )
    return Receipt(receipt=name_of(decided), decided=decided, token_ids=[[1]])


def test_the_oldest_receipts_go_first_and_long_ones_sooner() -> None:
    store = ReceiptStore(max_receipts=3, max_characters=4000)
    for seed in (0, 1, 2, 0, 3):
        store.put(stored(seed))

    assert store.get(stored(0).receipt) == stored(0)
    with pytest.raises(ReceiptNotFound):
        store.get(stored(1).receipt)
    store.put(stored(4, "x" * 3400))
    with pytest.raises(ReceiptNotFound):
        store.get(stored(3).receipt)
    assert store.get(stored(4, "x" * 3400).receipt).decided.prompt == "x" * 3400


WORDS = st.one_of(st.text(min_size=1, max_size=5).filter(lambda t: "\0" not in t), st.just((3, 4)))
PARAMS = st.builds(
    DecodingParams,
    temperature=st.floats(0, 2),
    top_k=st.integers(0, 100),
    early_stopping=st.booleans(),
    bad_words=st.lists(WORDS, max_size=3).map(tuple),
    sequence_bias=st.lists(st.tuples(WORDS, st.floats(-100, 100)), max_size=3).map(tuple),
    logit_bias=st.lists(st.tuples(st.integers(0, 9), st.floats(-9, 9)), max_size=3).map(tuple),
    exponential_decay_length_penalty=st.none() | st.tuples(st.integers(0, 9), st.floats(1, 9)),
    forced_eos_token_id=st.none() | st.integers(0, 9),
    choice=st.lists(st.just("a"), max_size=2).map(tuple),
)


@given(params=PARAMS, seed=st.integers(0, 2**63 - 1))
def test_a_request_comes_back_from_its_receipt_as_it_was(params: DecodingParams, seed: int) -> None:
    request = GenerationRequest(
        request_id="r", prompt=(1, 2), model="m", strategy="sampling", params=params,
        max_new_tokens=7, min_new_tokens=2, num_sequences=3, stop=("a", "b"), seed=seed,
    )  # fmt: skip
    maker = ReceiptMaker(request, fake_served("m"))
    maker.take(
        RequestStarted(
            request_id="r", num_prompt_tokens=2, max_new_tokens=7, seed=seed, num_sequences=3
        )
    )
    maker.take(
        SequenceFinished(
            request_id="r", index=0, finish_reason=FinishReason.STOP, text="", token_ids=(5,)
        )
    )
    carried = Receipt.model_validate(json.loads(maker.receipt.model_dump_json()))

    again = request_of(carried.decided, "r")

    assert {f.name: getattr(again, f.name) for f in fields(again)} == {
        f.name: getattr(request, f.name) for f in fields(request)
    }
    assert name_of(carried.decided) == carried.receipt == maker.receipt.receipt


def test_a_seed_that_no_request_can_have_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        request_of(stored(0).decided.model_copy(update={"seed": 2**63}), "r")
