"""Comparisons that are multiplied out and measured, and texts that loop, over the real engine."""

import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from penstock.evaluation.bleu import self_bleu
from penstock.evaluation.diversity import distinct, repetition, words_of
from tests.api.conftest import Live, listening
from tests.api.reading import DONE, events_of
from tests.api.test_real_engine import TinyModels

PROMPT = "The miller had"
WORDS = {"regex": "( [a-f]{2,4}){6,9}", "temperature": 1.0, "max_new_tokens": 60}

LOOPING = {
    "prompt": PROMPT,
    "strategy": "greedy",
    "frequency_penalty": -2.0,
    "max_new_tokens": 150,
}


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    async with listening(TinyModels()) as live:
        yield live


async def compare(live: Live, **more: Any) -> dict[str, Any]:
    response = await live.http.post("/compare", json={"prompt": PROMPT, **more})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_lists_are_multiplied_out_and_each_column_is_as_alone(live: Live) -> None:
    answer = await compare(
        live,
        max_new_tokens=8,
        columns=[{"temperature": 0.5}, {"temperature": 1.5}],
        strategies=["sampling", "top_k"],
        models=["tiny"],
        seeds=[3, 4, 5],
    )

    made = [(c["parameters"]["temperature"], c["strategy"], c["seed"]) for c in answer["columns"]]
    assert made == [(t, s, n) for t in (0.5, 1.5) for s in ("sampling", "top_k") for n in (3, 4, 5)]
    alone = await live.http.post(
        "/generate",
        json={
            "prompt": PROMPT, "temperature": 1.5, "strategy": "top_k", "seed": 4,
            "max_new_tokens": 8,
        },
    )  # fmt: skip
    assert answer["columns"][10]["sequences"] == alone.json()["sequences"]
    assert "metrics" not in answer


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"seeds": list(range(32)), "strategies": ["greedy"] * 3}, "seeds",
         "1 columns × 3 strategies × 32 seeds are 96 columns. Use at most 64 in all."),
        ({"seeds": list(range(33))}, "seeds", "seeds has 33 entries. Use at most 32."),
        ({"strategies": ["greedy"], "columns": [{}, {"strategy": "top_k"}]},
         "columns.1.strategy", "columns.1.strategy is set and strategies too."),
        ({"seed": 1, "seeds": [1]}, "seed", "seed is set and seeds too."),
        ({"perplexity_model": "tiny"}, "perplexity_model",
         "perplexity_model is set and metrics is not."),
        ({"models": []}, "models", "models is empty. Give one."),
    ],
)  # fmt: skip
async def test_what_cannot_be_multiplied_is_refused_by_name(
    live: Live, fields: dict[str, Any], param: str, said: str
) -> None:
    response = await live.http.post("/compare", json={"prompt": PROMPT, **fields})

    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (422, param)
    assert error["message"].startswith(said)


async def test_an_unknown_judge_is_refused_before_anything_is_written(live: Live) -> None:
    response = await live.http.post(
        "/compare", json={"prompt": PROMPT, "metrics": True, "perplexity_model": "nobody"}
    )

    assert response.status_code == 404
    assert response.json()["error"]["param"] == "perplexity_model"
    assert live.services.admission.num_in_flight == 0


async def test_every_text_is_measured(live: Live) -> None:
    answer = await compare(
        live, **WORDS, columns=[{"num_return_sequences": 2}, {}], seeds=[1, 2], metrics=True,
        logprobs=0,
    )  # fmt: skip

    metrics = answer["metrics"]
    assert [c["column"] for c in metrics["columns"]] == [0, 1, 2, 3]
    assert [g["columns"] for g in metrics["groups"]] == [[0, 1], [2, 3]]
    assert [g["num_texts"] for g in metrics["groups"]] == [4, 2]
    for column, figures in zip(answer["columns"], metrics["columns"], strict=True):
        timings = column["timings"]
        assert figures["latency_ms"] == pytest.approx(
            timings["first_token_ms"] + timings["generation_ms"]
        )
        for sequence, text in zip(column["sequences"], figures["texts"], strict=True):
            words = words_of(sequence["text"])
            assert text["words"] == len(words) >= 6 and text["tokens"] == sequence["tokens"]
            assert [text[f"distinct_{n}"] for n in (1, 2, 3)] == [
                distinct(words, n) for n in (1, 2, 3)
            ]
            assert text["repetition"] == repetition(words)
            own = [token["logprob"] for token in sequence["logprobs"] if token["token_id"]]
            assert text["perplexity"] == pytest.approx(math.exp(-sum(own) / len(own)), rel=1e-3)
    texts = [words_of(s["text"]) for c in answer["columns"][:2] for s in c["sequences"]]
    assert metrics["groups"][0]["self_bleu"] == self_bleu(texts)


async def test_a_stream_has_the_same_figures_as_they_come(live: Live) -> None:
    asked = {**WORDS, "seeds": [1, 2], "metrics": True, "columns": [{}, {"strategy": "nope"}]}
    plain = (await compare(live, **asked))["metrics"]
    response = await live.http.post("/compare", json={"prompt": PROMPT, **asked, "stream": True})

    events = events_of(response.text)

    assert events.pop() == DONE
    last = events.pop()
    assert last == {"event": "groups", "groups": plain["groups"], "perplexity_model": "tiny"}
    measured = [e for e in events if e["event"] == "metrics"]
    texts = {e["column"]: e["texts"] for e in measured}
    assert texts == {c["column"]: c["texts"] for c in plain["columns"]}
    for number in (0, 1):
        kinds = [e["event"] for e in events if e["column"] == number]
        assert kinds[-2:] == ["done", "metrics"]
    assert live.services.admission.num_in_flight == 0


async def test_what_cannot_be_judged_says_why_and_keeps_its_other_figures(live: Live) -> None:
    answer = await compare(live, max_new_tokens=1, regex="a?", columns=[{}] * 4, metrics=True,
                           logit_bias={"0": 100})  # fmt: skip

    for column in answer["metrics"]["columns"]:
        (text,) = column["texts"]
        assert text["perplexity"] is None and text["problem"] == "The text is empty."
        assert text["distinct_1"] is None and text["words"] == 0


async def test_a_text_that_loops_says_where_and_what_helps(live: Live) -> None:
    asked = {
        "prompt": PROMPT,
        "strategy": "greedy",
        "frequency_penalty": -2.0,
        "max_new_tokens": 150,
    }
    stuck = (await live.http.post("/generate", json=asked)).json()["sequences"][0]

    loop = stuck["loop"]

    written = stuck["text"].encode()
    assert written[loop["start"] :] != b"" and loop["times"] >= 3
    assert loop["advice"].startswith(f"From token {loop['start'] + 1} on the text repeats")
    assert loop["settings"] == {"dry_multiplier": 0.8}
    while "loop" in stuck:
        asked = asked | stuck["loop"]["settings"]
        stuck = (await live.http.post("/generate", json=asked)).json()["sequences"][0]
    assert len(stuck["text"]) > 50


async def test_a_loop_is_told_with_the_end_of_its_text_in_a_stream(live: Live) -> None:
    asked = {
        "prompt": PROMPT,
        "strategy": "greedy",
        "frequency_penalty": -2.0,
        "max_new_tokens": 150,
        "stream": True,
    }

    events = events_of((await live.http.post("/generate", json=asked)).text)

    (finish,) = [e for e in events[:-1] if e["event"] == "finish"]
    assert finish["loop"] == events[-2]["sequences"][0]["loop"]
