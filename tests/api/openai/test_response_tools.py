"""`text.format` and `tools` of `/v1/responses` as OpenAI's own client sees them."""

import json
from typing import Any, Literal

import jsonschema
import openai
import pydantic
import pytest
from openai.types.responses import Response

from tests.api.openai.conftest import MODEL, Check
from tests.api.openai.test_fields_in_use import BETWEEN_CALLS
from tests.api.openai.test_forms import HERO, WEATHER
from tests.api.openai.test_responses import EVENTS, counts_of

TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "get_weather", "description": "Weather of a city.",
     "parameters": WEATHER, "strict": False},
    {"type": "function", "name": "now", "parameters": None, "strict": None},
]  # fmt: skip
CALL_EVENTS = {
    **EVENTS,
    "response.function_call_arguments.delta": "ResponseFunctionCallArgumentsDeltaEvent",
    "response.function_call_arguments.done": "ResponseFunctionCallArgumentsDoneEvent",
}
FORMAT = {"type": "json_schema", "name": "hero", "schema": HERO, "strict": True}
SPEAKS = {"logit_bias": {"0": -100}}


def respond(client: openai.OpenAI, **fields: Any) -> Response:
    own = {"seed": 3, **fields.pop("own", {})}
    asked = {"model": MODEL, "input": "What is the weather in Oslo?", "max_output_tokens": 200}
    response: Response = client.responses.create(extra_body=own, **(asked | fields))
    return response


def calls_of(response: Response) -> list[Any]:
    return [item for item in response.output if item.type == "function_call"]


def told(response: Response) -> list[dict[str, Any]]:
    """The items without the names that each answer gives them."""
    items = [item.to_dict() for item in response.output]
    return [{k: v for k, v in item.items() if k not in ("id", "call_id")} for item in items]


def test_a_text_has_the_form_of_its_schema(client: openai.OpenAI, check: Check) -> None:
    response = respond(client, text={"format": FORMAT})
    anything = respond(client, text={"format": {"type": "json_object"}})
    plain = respond(client, text={"format": {"type": "text"}}, max_output_tokens=8)

    check(response, "Response")
    jsonschema.validate(json.loads(response.output_text), HERO)
    assert response.text is not None and response.text.format is not None
    assert response.text.format.to_dict() == FORMAT
    assert anything.output_text.startswith("{")
    assert plain.output_text == respond(client, max_output_tokens=8).output_text


class Hero(pydantic.BaseModel):
    """As a program of the client's may have it."""

    mood: Literal["brave", "shy"]
    is_tall: bool


def test_the_clients_own_parsing_gives_an_object(client: openai.OpenAI) -> None:
    answer = client.responses.parse(
        model=MODEL, input="Who?", text_format=Hero, max_output_tokens=60
    )

    assert isinstance(answer.output_parsed, Hero)


def test_a_required_call_has_arguments_that_fit(client: openai.OpenAI, check: Check) -> None:
    response = respond(client, tools=TOOLS, tool_choice="required", parallel_tool_calls=False)

    check(response, "Response")
    assert (response.status, response.output_text) == ("completed", "")
    (call,) = response.output
    assert call.type == "function_call" and call.status == "completed"
    schema = WEATHER if call.name == "get_weather" else {"type": "object", "maxProperties": 0}
    jsonschema.validate(json.loads(call.arguments), schema)
    assert (response.tool_choice, response.parallel_tool_calls) == ("required", False)
    assert [tool.to_dict() for tool in response.tools] == TOOLS


def test_the_function_that_is_named_is_called(client: openai.OpenAI, check: Check) -> None:
    named: Any = {"type": "function", "name": "now"}

    response = respond(client, tools=TOOLS, tool_choice=named)

    check(response, "Response")
    assert [(call.name, call.arguments) for call in calls_of(response)] == [("now", "{}")]
    assert response.tool_choice.to_dict() == named  # type: ignore[union-attr]


@pytest.mark.parametrize(("parallel", "least"), [(False, 1), (None, 2)])
def test_parallel_tool_calls_says_whether_there_may_be_several(
    client: openai.OpenAI, *, parallel: bool | None, least: int
) -> None:
    response = respond(
        client, tools=TOOLS[1:], tool_choice="required", parallel_tool_calls=parallel,
        own={"strategy": "greedy", "logit_bias": BETWEEN_CALLS},
    )  # fmt: skip

    calls = calls_of(response)
    assert len(calls) == 1 if least == 1 else len(calls) >= least
    assert len({call.call_id for call in calls}) == len({call.id for call in calls}) == len(calls)


def test_with_auto_a_model_may_speak_instead(client: openai.OpenAI, check: Check) -> None:
    response = respond(client, tools=TOOLS, max_output_tokens=10)
    unheard = respond(client, tools=TOOLS, tool_choice="none", max_output_tokens=10)

    check(response, "Response")
    assert response.output_text and not calls_of(response)
    assert unheard.output_text == respond(client, max_output_tokens=10).output_text


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": "required"},
        {"tool_choice": "required", "max_output_tokens": 45},
        {"tool_choice": "auto", "max_output_tokens": 40, "own": SPEAKS, "top_logprobs": 2,
         "include": ["message.output_text.logprobs"]},
        {"tools": TOOLS[1:], "tool_choice": "required",
         "own": {"strategy": "greedy", "logit_bias": BETWEEN_CALLS}},
    ],
    ids=["a call", "a call cut off", "a text", "several calls"],
)  # fmt: skip
def test_a_stream_says_what_the_whole_response_says(
    client: openai.OpenAI, check: Check, fields: dict[str, Any]
) -> None:
    asked = {"max_output_tokens": 60, "tools": TOOLS, **fields}
    whole = respond(client, **asked)
    events: list[Any] = list(respond(client, stream=True, **asked))

    assert [event.sequence_number for event in events] == list(range(len(events)))
    for event in events:
        check(event, CALL_EVENTS[event.type])
    final = events[-1].response
    assert events[-1].type == f"response.{whole.status}"
    assert told(final) == told(whole) and counts_of(final) == counts_of(whole)
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert done == final.output
    opened = [event for event in events if event.type == "response.output_item.added"]
    assert [event.output_index for event in opened] == list(range(len(final.output)))
    for call in calls_of(final):
        pieces = [e for e in events if getattr(e, "item_id", None) == call.id]
        *deltas, last = pieces
        assert "".join(e.delta for e in deltas) == last.arguments == call.arguments
        assert last.name == call.name


def test_a_call_that_was_cut_off_is_not_gone_on_from(client: openai.OpenAI) -> None:
    cut = respond(client, tools=TOOLS[:1], tool_choice="required", max_output_tokens=45)

    (call,) = calls_of(cut)
    assert (cut.status, call.status) == ("incomplete", "incomplete")
    answer = {"type": "function_call_output", "call_id": call.call_id, "output": "Rain."}
    with pytest.raises(openai.BadRequestError) as refused:
        respond(client, input=[answer], previous_response_id=cut.id)
    assert refused.value.param == "input" and call.call_id in refused.value.message


def test_a_call_is_answered_and_the_conversation_goes_on(
    client: openai.OpenAI, check: Check
) -> None:
    """By the former response's id as by sending everything back, and as in a chat."""
    question = {"role": "user", "content": "What time is it?"}
    must_call: Any = {"tools": TOOLS[1:], "tool_choice": "required", "parallel_tool_calls": False}
    first = respond(client, input=[question], **must_call)
    (call,) = calls_of(first)
    answer = {"type": "function_call_output", "call_id": call.call_id, "output": "Noon."}
    rest: Any = {"tools": TOOLS[1:], "max_output_tokens": 10}

    remembered = respond(client, input=[answer], previous_response_id=first.id, **rest)
    sent_back = respond(client, input=[question, *first.output, answer], **rest)
    chat = client.chat.completions.create(
        model=MODEL, max_completion_tokens=10, seed=3,
        tools=[{"type": "function", "function": {"name": "now"}}],
        messages=[question, {"role": "assistant", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "now", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "Noon."}],
    )  # type: ignore[call-overload]  # fmt: skip

    assert told(remembered) == told(sent_back)
    assert remembered.output_text == chat.choices[0].message.content
    listed = client.responses.input_items.list(sent_back.id, order="asc").data
    assert [item.type for item in listed] == ["message", "function_call", "function_call_output"]
    for item in listed:
        check(item, "ItemResource")


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"text": {"format": {"type": "json_schema"}}}, "text.format", "lacks"),
        ({"text": {"format": {"type": "text", "schema": {}}}}, "text.format", "the type text"),
        ({"text": {"format": FORMAT | {"schema": {"not": {}}}}}, "text", "text cannot"),
        ({"text": {"format": FORMAT}, "own": {"regex": "a"}}, "regex", "Send one"),
        ({"tools": TOOLS, "own": {"choice": ["a"]}}, "choice", "Send one"),
        ({"tools": TOOLS + TOOLS[1:]}, "tools", "twice"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type", "web_search"),
        ({"tools": TOOLS, "tool_choice": {"type": "file_search"}}, "tool_choice.type", "file_s"),
        ({"tool_choice": "required"}, "tool_choice", "no tools"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "name": "g"}}, "tool_choice",
         "get_weather, now"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "[1"}]},
         "input", "JSON object"),
        ({"input": [{"type": "function_call", "call_id": "", "name": "f", "arguments": "{}"}]},
         "input", "1 to 200"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]},
         "input", "was not made"),
        ({"input": [{"role": "user", "content": "x", "surprise": 1}]}, "input", "surprise"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_is_refused_in_the_clients_words(
    client: openai.OpenAI, fields: dict[str, Any], param: str, words: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        respond(client, **fields)

    assert refused.value.param == param and words in refused.value.message
