"""Every field of OpenAI's requests is honoured, harmless or refused by name; none is ignored.

The rows of `docs/reference/openai.md` are the cases here.
"""

import json
from typing import Any

import openai
import pytest

from penstock.api.capabilities import DIALECTS, treatments
from penstock.api.capabilities import ROUTES as ALL_ROUTES
from penstock.types import LIMITS, NEUTRAL
from tests.api.openai.conftest import MODEL
from tests.api.openai.schema import Description

ROUTES = DIALECTS["openai"]
PROMPT = "Once upon a time there was"
BASE: dict[str, dict[str, Any]] = {
    "/v1/completions": {"model": MODEL, "prompt": PROMPT, "max_tokens": 24, "seed": 7},
    "/v1/chat/completions": {
        "model": MODEL,
        "messages": [{"role": "user", "content": PROMPT}],
        "max_completion_tokens": 24,
        "seed": 7,
    },
    "/v1/embeddings": {"model": MODEL, "input": PROMPT},
    "/v1/responses": {"model": MODEL, "input": PROMPT, "max_output_tokens": 24, "seed": 7},
}
# What of an answer does not change from one to the next.
TOLD = ("choices", "data", "output", "metadata", "store", "status", "usage")
SCHEMAS = {
    "/v1/completions": "CreateCompletionRequest",
    "/v1/chat/completions": "CreateChatCompletionRequest",
    "/v1/embeddings": "CreateEmbeddingRequest",
    "/v1/responses": "CreateResponse",
}
# A value of each field that is honoured, with which something else comes back.
SHARED_EFFECTS: dict[str, dict[str, Any]] = {
    "max_time": {"max_time": 0.001},
    "frequency_penalty": {"frequency_penalty": -2.0, "temperature": 0},
    "presence_penalty": {"presence_penalty": -2.0, "temperature": 0},
    "logit_bias": {"logit_bias": {"300": 100}},
    "min_new_tokens": {"min_new_tokens": 24, "stop": None, "logit_bias": {"0": 20}},
    "n": {"n": 2},
    "seed": {"seed": 8},
    "stop": {"stop": "e"},
    "strategy": {"strategy": "greedy"},
    "temperature": {"temperature": 2.0},
    "top_p": {"top_p": 0.1},
    "response_format": {"response_format": {"type": "json_object"}},
}
TOOLS = [{"type": "function", "function": {"name": "f"}}]
RESPONSE_SHARED = SHARED_EFFECTS.keys() - {"n", "stop"}
EFFECTS: dict[str, dict[str, dict[str, Any]]] = {
    "/v1/completions": SHARED_EFFECTS
    | {
        "prompt": {"prompt": "The"},
        "max_tokens": {"max_tokens": 5},
        "best_of": {"best_of": 8},
        "echo": {"echo": True},
        "logprobs": {"logprobs": 1},
    },
    "/v1/chat/completions": SHARED_EFFECTS
    | {
        "messages": {"messages": [{"role": "system", "content": "Hm."}]},
        "max_completion_tokens": {"max_completion_tokens": 5},
        "max_tokens": {"max_tokens": 5, "max_completion_tokens": None},
        "logprobs": {"logprobs": True},
        "top_logprobs": {"logprobs": True, "top_logprobs": 3},
        "add_generation_prompt": {"add_generation_prompt": False},
        "tools": {"tools": TOOLS},
        "tool_choice": {"tools": TOOLS, "tool_choice": "required"},
    },
    "/v1/responses": {name: SHARED_EFFECTS[name] for name in RESPONSE_SHARED}
    | {
        "min_new_tokens": {"min_new_tokens": 24, "logit_bias": {"0": 20}},
        "input": {"input": "The"},
        "instructions": {"instructions": "Hm."},
        "max_output_tokens": {"max_output_tokens": 5},
        "include": {"include": ["message.output_text.logprobs"]},
        "top_logprobs": {"include": ["message.output_text.logprobs"], "top_logprobs": 3},
        "metadata": {"metadata": {"a": "b"}},
        "store": {"store": False},
    },
    "/v1/embeddings": {
        "input": {"input": "The"},
        "encoding_format": {"encoding_format": "base64"},
    },
}
# Honoured in ways of their own, shown elsewhere: by 404s, by every test of a stream, by refusals,
# adapters by tests/api/test_adapters.py.
SHOWN_ELSEWHERE = {
    "model",
    "adapter",
    "stream",
    "stream_options",
    "parallel_tool_calls",
    "dimensions",
    "previous_response_id",
}
UNSUPPORTED: dict[str, Any] = {
    "suffix": "the end",
    "service_tier": "flex",
    "store": True,
    "functions": [{"name": "f"}],
    "function_call": {"name": "f"},
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "mp3"},
    "reasoning_effort": "high",
    "verbosity": "low",
    "web_search_options": {},
    "moderation": {},
    "prediction": {"type": "content", "content": "x"},
    "background": True,
    "context_management": [{"type": "compaction"}],
    "conversation": "conv_1",
    "max_tool_calls": 3,
    "tools": TOOLS,
    "tool_choice": "required",
    "parallel_tool_calls": 1,
    "prompt": {"id": "p"},
    "reasoning": {"effort": "high"},
    "text": {"format": {"type": "json_object"}},
    "truncation": "auto",
}
HARMLESS: dict[str, Any] = {
    "user": "someone",
    "safety_identifier": "someone",
    "prompt_cache_key": "key",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "explicit"},
    "metadata": {"purpose": "test"},
}


def cases(treatment: str) -> list[Any]:
    return [
        pytest.param(route, t.name, id=f"{route[4:]}-{t.name}")
        for route in ROUTES
        for t in treatments(route)
        if t.treatment == treatment
    ]


def ask(client: openai.OpenAI, route: str, **changes: Any) -> dict[str, Any]:
    body = {k: v for k, v in (BASE[route] | changes).items() if v is not None}
    answer: dict[str, Any] = client.post(
        route.removeprefix("/v1"), body=body, cast_to=dict[str, Any]
    )
    told = {name: answer[name] for name in TOLD if name in answer}
    for item in told.get("output", []):
        del item["id"]
    for name in ("prompt_tokens_details", "input_tokens_details"):  # what others computed before
        told.get("usage", {}).pop(name, None)
    return told


@pytest.mark.parametrize("route", ROUTES)
def test_every_field_of_openais_description_is_in_the_table(
    description: Description, route: str
) -> None:
    known = {t.name for t in treatments(route)}

    assert description.property_names(SCHEMAS[route]) - known == set()


@pytest.mark.parametrize(("route", "name"), cases("honoured"))
def test_a_honoured_field_makes_a_difference(client: openai.OpenAI, route: str, name: str) -> None:
    if name in SHOWN_ELSEWHERE:
        return
    if name in NEUTRAL and name not in EFFECTS[route]:
        check_catalog_field(client, route, name)
        return
    changes = EFFECTS[route][name]
    without = {k: v for k, v in changes.items() if k != name}

    assert ask(client, route, **changes) != ask(client, route, **without)


def check_catalog_field(client: openai.OpenAI, route: str, name: str) -> None:
    """A decoding parameter of the catalog, whose effect the engine's tests show.

    At its neutral value it is taken and changes nothing; out of range it is refused by name.
    """
    neutral = NEUTRAL[name]
    if neutral not in (None, ()):
        assert ask(client, route, **{name: neutral}) == ask(client, route)
    if name in LIMITS:
        with pytest.raises(openai.BadRequestError) as refused:
            ask(client, route, **{name: LIMITS[name][1] + 1})
        assert refused.value.param == name


@pytest.mark.parametrize(("route", "name"), cases("refused"))
def test_a_refused_field_is_a_400_that_names_it(
    client: openai.OpenAI, route: str, name: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, route, **{name: UNSUPPORTED[name]})

    assert (refused.value.param, refused.value.code) == (name, "invalid_parameter")
    assert f"{name}=" in refused.value.message and "not supported" in refused.value.message


@pytest.mark.parametrize(("route", "name"), cases("refused"))
def test_a_refused_field_may_be_sent_where_it_asks_for_nothing(
    client: openai.OpenAI, route: str, name: str
) -> None:
    (treatment,) = (t for t in treatments(route) if t.name == name)
    baseline = ask(client, route)

    for value in (*treatment.accepted, None):
        body = json.dumps(BASE[route] | {name: value})
        answer = client.post(
            route.removeprefix("/v1"), body=json.loads(body), cast_to=dict[str, Any]
        )
        for part in ("choices", "output"):
            for one in answer.get(part, []):
                one.pop("id", None)
            assert answer.get(part) == baseline.get(part)


@pytest.mark.parametrize(("route", "name"), cases("harmless"))
def test_a_harmless_field_is_taken_and_changes_nothing(
    client: openai.OpenAI, route: str, name: str
) -> None:
    assert ask(client, route, **{name: HARMLESS[name]}) == ask(client, route)


def test_the_same_table_is_told_to_programs(client: openai.OpenAI) -> None:
    told = client.get("/capabilities", cast_to=dict[str, Any])

    for route in ALL_ROUTES:
        fields = told["routes"][route]["fields"]
        assert {n: f["treatment"] for n, f in fields.items()} == {
            t.name: t.treatment for t in treatments(route)
        }
    assert told["models"][MODEL]["routes"] == dict.fromkeys(ALL_ROUTES, "supported")
    assert told["models"]["t5-large"]["routes"] == dict.fromkeys(ALL_ROUTES, "refused")
