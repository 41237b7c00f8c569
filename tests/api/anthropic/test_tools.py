"""Tools, forms and errors of HTTP's own as Anthropic's own client sees them."""

import json
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.types import Message

MODEL = "penstock-tiny"
SCHEMA = {
    "type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"],
}  # fmt: skip
WEATHER = {"name": "get_weather", "description": "The weather.", "input_schema": SCHEMA}
TIME = {"name": "get_time", "input_schema": {"type": "object", "properties": {}}}
QUESTION = {"role": "user", "content": "Weather?"}


def ask(client: anthropic.Anthropic, **fields: Any) -> Message:
    asked = {"model": MODEL, "messages": [QUESTION], "max_tokens": 80, "tools": [WEATHER, TIME]}
    own = {"seed": 3, **fields.pop("own", {})}
    message: Message = client.messages.create(**{**asked, **fields}, extra_body=own)
    return message


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"type": "tool", "name": "get_weather"}, {"get_weather"}),
        ({"type": "any", "disable_parallel_tool_use": True}, {"get_weather", "get_time"}),
    ],
)
def test_a_tool_is_called_with_what_fits_its_schema(
    client: anthropic.Anthropic, choice: dict[str, Any], names: set[str]
) -> None:
    message = ask(client, tool_choice=choice)

    assert message.stop_reason == "tool_use"
    for block in message.content:
        assert block.type == "tool_use" and block.id.startswith("toolu_") and block.name in names
        if block.name == "get_weather":
            assert block.input["city"] in ("Oslo", "Rome")
    assert len(message.content) == 1


def test_a_streamed_call_is_the_whole_one_in_pieces(client: anthropic.Anthropic) -> None:
    choice: Any = {"type": "tool", "name": "get_weather"}
    whole = ask(client, tool_choice=choice)
    fields: Any = {"messages": [QUESTION], "tools": [WEATHER, TIME], "tool_choice": choice}
    with client.messages.stream(
        model=MODEL, max_tokens=80, extra_body={"seed": 3}, **fields
    ) as stream:
        events = list(stream)
        put_together = stream.get_final_message()

    (block,), (expected,) = put_together.content, whole.content
    assert block.type == expected.type == "tool_use"
    assert (block.name, block.input) == (expected.name, expected.input)
    assert (put_together.stop_reason, put_together.usage) == ("tool_use", whole.usage)
    starts = [e for e in events if e.type == "content_block_start"]
    stops = [e for e in events if e.type == "content_block_stop"]
    assert [e.index for e in starts] == [e.index for e in stops] == [0]


def test_text_and_several_calls_are_blocks_of_their_own(client: anthropic.Anthropic) -> None:
    """With a bias for what comes between calls, more follow; each block is opened and closed."""
    own = {"strategy": "greedy", "logit_bias": {"199": 50, "0": -100}}
    fields: Any = {"messages": [QUESTION], "tools": [TIME], "tool_choice": {"type": "any"}}
    with client.messages.stream(model=MODEL, max_tokens=150, extra_body=own, **fields) as stream:
        events = [e for e in stream if e.type.startswith("content_block_s")]
        message = stream.get_final_message()

    assert len(message.content) > 1
    assert len({block.id for block in message.content if block.type == "tool_use"}) > 1
    order = [(event.type, event.index) for event in events]
    assert order == [
        (kind, i)
        for i in range(len(message.content))
        for kind in ("content_block_start", "content_block_stop")
    ]


def test_a_call_and_its_answer_are_part_of_the_conversation(client: anthropic.Anthropic) -> None:
    called = ask(client, tool_choice={"type": "tool", "name": "get_weather"})
    content = [block.model_dump(exclude_none=True) for block in called.content]
    result = {"type": "tool_result", "tool_use_id": called.content[0].id, "content": "Sunny."}  # type: ignore[union-attr]
    turns = [QUESTION, {"role": "assistant", "content": content}]

    def num_tokens(*results: Any) -> int:
        counted = client.messages.count_tokens(
            model=MODEL,
            tools=[WEATHER],
            messages=[*turns, {"role": "user", "content": results}],  # type: ignore[arg-type,list-item]
        )
        return counted.input_tokens

    answered = ask(client, messages=[*turns, {"role": "user", "content": [result]}])
    in_blocks = result | {"content": [{"type": "text", "text": "Sunny."}]}
    assert answered.usage.input_tokens > called.usage.input_tokens
    assert (
        num_tokens(result)
        == num_tokens(in_blocks)
        < num_tokens(result, {"type": "text", "text": "And tomorrow?"})
    )


def test_tools_are_counted_and_none_says_they_are_not_told(client: anthropic.Anthropic) -> None:
    def num_tokens(**fields: Any) -> int:
        return client.messages.count_tokens(
            model=MODEL,
            messages=[QUESTION],
            **fields,  # type: ignore[list-item]
        ).input_tokens

    bare = num_tokens()
    assert num_tokens(tools=[WEATHER]) > bare
    assert num_tokens(tools=[WEATHER], tool_choice={"type": "none"}) == bare


@pytest.mark.parametrize("tools", [[], [TIME]])
def test_the_answer_has_the_form_that_is_asked_for(
    client: anthropic.Anthropic, tools: list[Any]
) -> None:
    wanted = {**SCHEMA, "additionalProperties": False}
    own = {"output_config": {"format": {"type": "json_schema", "schema": wanted}}}

    message = ask(client, own=own, tools=tools)

    if message.content[0].type == "text":
        assert json.loads(message.content[0].text)["city"] in ("Oslo", "Rome")
    else:
        assert tools


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"tool_choice": {"type": "tool"}}, "tool_choice"),
        ({"tool_choice": {"type": "tool", "name": "nobody"}}, "tool_choice"),
        ({"tool_choice": {"type": "any", "name": "get_time"}}, "tool_choice"),
        ({"tools": [], "tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [TIME, TIME]}, "tools"),
        ({"tools": [{"name": "web_search", "type": "web_search_20250305"}]}, "tools.0.type"),
        ({"tools": [WEATHER | {"input_schema": {"type": "nothing"}}]}, "tools"),
        ({"tools": [WEATHER], "own": {"regex": "a"}}, "regex"),
        ({"tools": [], "own": {"output_config": {"effort": "low"}}}, "output_config.effort"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_use"}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [
            {"type": "tool_use", "id": "a", "name": "get_time", "input": {}}]}]},
         "messages.0.content"),
        ({"messages": [{"role": "assistant", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": ""}]}]}, "messages.0.content"),
    ],
)  # fmt: skip
def test_halves_of_calls_are_refused_by_name(
    client: anthropic.Anthropic, changes: dict[str, Any], name: str
) -> None:
    with pytest.raises(anthropic.BadRequestError) as refused:
        ask(client, **changes)

    body: Any = refused.value.body
    assert body["error"]["param"] == name


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v1/messages", 405, "invalid_request_error"),
        ("POST", "/v1/messages/nothing", 404, "not_found_error"),
        ("POST", "/v1/messages", 413, "request_too_large"),
    ],
)
def test_what_never_reaches_a_route_is_refused_in_this_dialect_too(
    server_url: str, method: str, path: str, status: int, kind: str
) -> None:
    content = b" " * 3_000_000 if status == 413 else b""
    response = httpx2.request(method, f"{server_url}{path}", content=content)

    said = response.json()
    assert (response.status_code, said["type"], said["error"]["type"]) == (status, "error", kind)
    assert said["request_id"] == response.headers["x-request-id"]


def test_another_host_is_refused_in_this_dialect_too(server_url: str) -> None:
    response = httpx2.post(f"{server_url}/v1/messages", headers={"host": "elsewhere.example"})

    assert (response.status_code, response.json()["type"]) == (421, "error")
