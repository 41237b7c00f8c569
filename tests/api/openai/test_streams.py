"""Whatever is asked for, the pieces of a stream are the whole answer, cut up."""

import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

NUM_REQUESTS = int(os.environ.get("PENSTOCK_STREAM_CASES", "60"))  # `make fuzz` has 500
PROMPTS = (
    "Once upon a time",
    "\u4e00\u53ea\u732b \U0001f408",
    "\u05e9\u05dc\u05d5\u05dd, said the king.",
    "He said: \u201c",
)
bodies = st.fixed_dictionaries(
    {
        "prompt": st.sampled_from(PROMPTS),
        "max_tokens": st.integers(1, 24),
        "seed": st.integers(0, 2**31),
        "temperature": st.sampled_from([0, 0.7, 1.0, 2.0]),
    },
    optional={
        "top_p": st.floats(0.1, 1),
        "n": st.integers(1, 3),
        "stop": st.lists(st.sampled_from([" the", "e", "and he", "\n"]), min_size=1, max_size=3),
        "frequency_penalty": st.floats(-2, 2),
        "presence_penalty": st.floats(-2, 2),
        "logprobs": st.integers(0, 3),
        "echo": st.booleans(),
        "logit_bias": st.dictionaries(
            st.integers(0, 4000).map(str), st.floats(-100, 100), max_size=3
        ),
    },
)


@pytest.fixture(scope="module")
def http(server_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server_url, timeout=60) as http:
        yield http


def streamed(http: httpx.Client, body: dict[str, Any]) -> tuple[dict[int, str], Any, Any]:
    """The texts, the reasons they ended for and the usage, put together from the chunks."""
    body = body | {"stream": True, "stream_options": {"include_usage": True}}
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    usage = None
    with http.stream("POST", "/v1/completions", json=body) as answer:
        for line in answer.iter_lines():
            if not line or line == "data: [DONE]":
                continue
            chunk = json.loads(line.removeprefix("data: "))
            usage = chunk["usage"] or usage
            for choice in chunk["choices"]:
                index = choice["index"]
                assert index not in reasons, "nothing comes after the end"
                texts[index] = texts.get(index, "") + choice["text"]
                if choice["finish_reason"]:
                    reasons[index] = choice["finish_reason"]
    return texts, reasons, usage


@given(bodies)
@settings(max_examples=NUM_REQUESTS)
def test_a_stream_is_the_whole_answer_cut_up(http: httpx.Client, body: dict[str, Any]) -> None:
    body = body | {"model": "penstock-tiny"}

    whole = http.post("/v1/completions", json=body).json()
    texts, reasons, usage = streamed(http, body)

    assert texts == {choice["index"]: choice["text"] for choice in whole["choices"]}
    assert reasons == {choice["index"]: choice["finish_reason"] for choice in whole["choices"]}
    assert usage["completion_tokens"] == whole["usage"]["completion_tokens"]
    assert usage["prompt_tokens"] == whole["usage"]["prompt_tokens"]
    written = [t.removeprefix(body["prompt"]) if body.get("echo") else t for t in texts.values()]
    assert not any(stop in text for stop in body.get("stop", ()) for text in written)
