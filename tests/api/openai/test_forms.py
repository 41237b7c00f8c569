"""`response_format` and `tools` as OpenAI's own client sees them, with a model taught neither."""

import json
import re
from typing import Any

import jsonschema
import openai
import pytest
from openai.types.chat import ChatCompletion

from tests.api.openai.conftest import MODEL, Check

MESSAGES = [{"role": "user", "content": "What is the weather in Oslo?"}]
HERO = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "is_brave": {"type": "boolean"}},
    "required": ["name", "is_brave"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "hero", "schema": HERO, "strict": True}}
WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 10},
        "unit": {"enum": ["c", "f"]},
        "days": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 9},
                 "maxItems": 2, "uniqueItems": True},
    },
    "required": ["city", "unit"],
}  # fmt: skip
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "get_weather", "description": "Weather of a city.",
                                      "parameters": WEATHER}},
    {"type": "function", "function": {"name": "now"}},
]  # fmt: skip
WHOLE = "CreateChatCompletionResponse"
CHUNK = "CreateChatCompletionStreamResponse"


def chat(client: openai.OpenAI, **fields: Any) -> ChatCompletion:
    asked = {"model": MODEL, "messages": MESSAGES, "max_completion_tokens": 200, "seed": 3}
    completion: ChatCompletion = client.chat.completions.create(**(asked | fields))
    return completion


def refused(client: openai.OpenAI, **fields: Any) -> tuple[str | None, str]:
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, **fields)
    return caught.value.param, caught.value.message


def calls_of(choice: Any) -> list[tuple[str, dict[str, Any]]]:
    """The calls of a choice, each valid for its function."""
    calls = [(c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls]
    for name, arguments in calls:
        schema = {"get_weather": WEATHER | {"additionalProperties": False}}.get(
            name, {"type": "object", "maxProperties": 0}
        )
        schema = json.loads(json.dumps(schema).replace('"uniqueItems": true', '"minItems": 0'))
        jsonschema.validate(arguments, schema)
    return calls


@pytest.mark.parametrize("how", [{}, {"temperature": 0}, {"n": 2, "temperature": 1.5},
                                 {"extra_body": {"strategy": "beam_search", "num_beams": 2}}],
                         ids=str)  # fmt: skip
def test_an_answer_has_the_form_of_its_schema(
    client: openai.OpenAI, check: Check, how: dict[str, Any]
) -> None:
    completion = chat(client, response_format=FORMAT, **how)

    check(completion, WHOLE)
    for choice in completion.choices:
        jsonschema.validate(json.loads(choice.message.content or ""), HERO)
        assert choice.finish_reason == "stop"


def test_a_completion_has_the_form_too_and_so_it_has_those_that_openai_lacks(
    client: openai.OpenAI,
) -> None:
    ask: Any = {"model": MODEL, "prompt": "The hero:", "max_tokens": 60, "seed": 1}

    shaped = client.completions.create(**ask, extra_body={"response_format": FORMAT})
    matched = client.completions.create(**ask, extra_body={"regex": " [A-Z][a-z]{2,5}"})
    chosen = client.completions.create(**ask, extra_body={"choice": [" Tom", " Ida"]})

    jsonschema.validate(json.loads(shaped.choices[0].text), HERO)
    assert re.fullmatch(" [A-Z][a-z]{2,5}", matched.choices[0].text)
    assert chosen.choices[0].text in (" Tom", " Ida")


def test_the_type_text_asks_for_nothing(client: openai.OpenAI) -> None:
    plain = chat(client, max_completion_tokens=8)

    assert chat(client, max_completion_tokens=8, response_format={"type": "text"}).choices == (
        plain.choices
    )


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"response_format": {"type": "xml"}}, "response_format.type", "xml"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "and not both"),
        ({"response_format": {"type": "json_object", "json_schema": {"name": "n"}}},
         "response_format", "type json_object"),
        ({"response_format": {"type": "json_schema", "json_schema": {
            "name": "n", "schema": {"not": {}}}}}, "response_format", "response_format cannot"),
        ({"response_format": FORMAT, "extra_body": {"regex": "a"}}, "regex", "Send one"),
        ({"tools": TOOLS, "extra_body": {"choice": ["a"]}}, "choice", "Send one"),
        ({"tools": TOOLS + TOOLS[1:]}, "tools", "twice"),
        ({"tools": [{"type": "custom", "custom": {"name": "a"}}]}, "tools.0.type", "custom"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]},
         "tools.0.function.name", "a b"),
        ({"tools": [{"type": "function", "function": {"name": "a", "strict": True, "parameters": {
            "type": "object", "properties": {"x": {"not": {}}}}}}]}, "tools", "tools cannot"),
        ({"tool_choice": "required"}, "tool_choice", "no tools"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "g"}}},
         "tool_choice", "get_weather, now"),
        ({"messages": [{"role": "assistant"}]}, "messages.0.content", "missing"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages.0.tool_call_id", "missing"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "type": "function",
            "function": {"name": "f", "arguments": "[1"}}]}]},
         "messages.0.tool_calls.0.function.arguments", "not a JSON object"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_is_refused_in_the_clients_words(
    client: openai.OpenAI, fields: dict[str, Any], param: str, words: str
) -> None:
    told, message = refused(client, **fields)

    assert told is not None and told.startswith(param)
    assert words in message


@pytest.mark.parametrize("seed", range(4))
def test_a_required_call_is_one_whose_arguments_fit(
    client: openai.OpenAI, check: Check, seed: int
) -> None:
    completion = chat(client, tools=TOOLS, tool_choice="required", seed=seed,
                      parallel_tool_calls=False)  # fmt: skip

    check(completion, WHOLE)
    (choice,) = completion.choices
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert len(calls_of(choice)) == 1


def test_the_function_that_is_named_is_called(client: openai.OpenAI) -> None:
    named: Any = {"type": "function", "function": {"name": "now"}}

    (choice,) = chat(client, tools=TOOLS, tool_choice=named).choices

    assert calls_of(choice) == [("now", {})]


def test_one_answer_may_hold_several_calls(client: openai.OpenAI) -> None:
    bias = {str(_token(client, "\n")): 100}

    (choice,) = chat(client, tools=TOOLS[1:], tool_choice="required", logit_bias=bias,
                     max_completion_tokens=300).choices  # fmt: skip

    calls = choice.message.tool_calls or []
    if choice.finish_reason == "length":
        calls.pop()
    assert calls_of(choice) == [("now", {})] * len(calls)
    assert len(calls) > 1


def _token(client: openai.OpenAI, text: str) -> int:
    answer = client.post("/../tokenize", body={"prompt": text}, cast_to=dict[str, Any])
    return int(answer["tokens"][-1])


def test_with_auto_a_model_may_speak_instead(client: openai.OpenAI) -> None:
    (choice,) = chat(client, tools=TOOLS, max_completion_tokens=10).choices

    assert choice.message.content and choice.message.tool_calls is None


def test_with_none_tools_are_not_told_of(client: openai.OpenAI) -> None:
    plain = chat(client, max_completion_tokens=8)

    assert chat(client, tools=TOOLS, tool_choice="none", max_completion_tokens=8).choices == (
        plain.choices
    )


def test_beside_tools_an_answer_may_have_a_form(client: openai.OpenAI) -> None:
    (choice,) = chat(client, tools=TOOLS, response_format=FORMAT, parallel_tool_calls=False).choices

    if choice.message.tool_calls:
        calls_of(choice)
    else:
        jsonschema.validate(json.loads(choice.message.content or ""), HERO)


@pytest.mark.parametrize(
    "fields",
    [{"tool_choice": "required"}, {"tool_choice": "auto"}, {"tool_choice": "required", "n": 2},
     {"tool_choice": "required", "logprobs": True},
     {"tool_choice": "required", "max_completion_tokens": 25}],
    ids=str,
)  # fmt: skip
def test_a_stream_says_what_the_whole_answer_says(
    client: openai.OpenAI, check: Check, fields: dict[str, Any]
) -> None:
    asked = {"max_completion_tokens": 60, "tools": TOOLS, **fields}
    whole = chat(client, **asked)
    found: dict[int, dict[str, Any]] = {}

    for chunk in chat(client, stream=True, **asked):
        check(chunk, CHUNK)
        (choice,) = chunk.choices
        one = found.setdefault(
            choice.index, {"content": "", "calls": [], "reason": None, "scored": []}
        )
        one["content"] += choice.delta.content or ""
        one["reason"] = choice.finish_reason
        one["scored"] += (choice.logprobs.content or []) if choice.logprobs else []
        for call in choice.delta.tool_calls or []:
            if call.id:
                assert call.index == len(one["calls"]) and call.type == "function"
                one["calls"].append([call.function.name, ""])
            one["calls"][call.index][1] += call.function.arguments

    for choice in whole.choices:
        one = found[choice.index]
        message = choice.message
        assert one["content"] == (message.content or "")
        assert one["calls"] == [
            [c.function.name, c.function.arguments] for c in message.tool_calls or []
        ]
        assert one["reason"] == choice.finish_reason
        assert one["scored"] == ((choice.logprobs.content or []) if choice.logprobs else [])


def test_a_conversation_with_calls_and_their_answers_is_told_in_a_declared_form(
    client: openai.OpenAI,
) -> None:
    call = {"id": "c1", "type": "function",
            "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}  # fmt: skip
    messages = [
        {"role": "system", "content": "Be brief."}, *MESSAGES,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "Rain."},
        {"role": "tool", "tool_call_id": "c2", "content": "Wind."},
    ]  # fmt: skip
    body = {"messages": messages, "tools": TOOLS}

    seen = client.post("/../apply-template", body=body, cast_to=dict[str, Any])
    answer = chat(client, messages=messages, tools=TOOLS, max_completion_tokens=5)

    prompt = seen["prompt"]
    assert prompt.startswith(
        "Be brief.\n\nTools:\n"
        'get_weather(city: string, unit: "c" | "f", days: array) - Weather of a city.\nnow()\n'
        'A call looks like this:\n<tool_call>\n{"name": "tool", "arguments": {}}\n</tool_call>\n'
    )
    assert (
        'Assistant: <tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n'
        "</tool_call>\nUser: <tool_response>\nRain.\n</tool_response>\n<tool_response>\nWind.\n"
        "</tool_response>\nAssistant:"
    ) in prompt
    assert answer.usage is not None and answer.usage.prompt_tokens == seen["count"]
