"""Tools, formats and errors of HTTP's own as Ollama's own client sees them."""

import json
from typing import Any

import httpx2
import ollama
import pytest

MODEL = "penstock-tiny"
SCHEMA = {
    "type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"],
    "additionalProperties": False,
}  # fmt: skip
QUESTION = {"role": "user", "content": "Weather?"}
CITY = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
CALLING = {"seed": 3, "num_predict": 80}


def get_weather(city: str) -> str:
    """The weather.

    Args:
        city: Where.
    """
    return f"Sunny in {city}."


def chat(client: ollama.Client, **fields: Any) -> ollama.ChatResponse:
    options = CALLING | fields.pop("options", {})
    asked = {"model": MODEL, "messages": [QUESTION], **fields}
    response: ollama.ChatResponse = client.chat(options=options, **asked)
    return response


def test_the_model_is_told_of_tools_even_of_plain_functions(client: ollama.Client) -> None:
    bare = chat(client).prompt_eval_count or 0

    assert (chat(client, tools=[get_weather]).prompt_eval_count or 0) > bare


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_comes_with_its_arguments_as_an_object(client: ollama.Client, stream: bool) -> None:
    """Ollama's API cannot ask for a call: a bias for its first sign makes the model begin one."""
    bias = {"28": 60, "0": 60}  # "<", and the end where it may come
    answers: Any = chat(
        client, tools=[CITY], format=SCHEMA, stream=stream,
        options={"logit_bias": bias, "strategy": "greedy"},
    )  # fmt: skip
    lines = list(answers) if stream else [answers]

    calls = [call for line in lines for call in line.message.tool_calls or ()]
    assert [call.function.name for call in calls] == ["get_weather"]
    assert calls[0].function.arguments["city"] in ("Oslo", "Rome")
    assert lines[-1].done_reason == "stop"
    assert lines[-1].done and "tool_call" not in "".join(x.message.content or "" for x in lines)


def test_a_call_and_its_answer_are_part_of_the_conversation(client: ollama.Client) -> None:
    call = {"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}
    turns: list[Any] = [QUESTION, {"role": "assistant", "content": "", "tool_calls": [call]}]
    without = chat(client, messages=turns).prompt_eval_count or 0

    answered = chat(
        client, messages=[*turns, {"role": "tool", "content": "Sunny.", "tool_name": "get_weather"}]
    )

    assert (answered.prompt_eval_count or 0) > without


@pytest.mark.parametrize("ask", ["chat", "generate"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_format_is_followed(client: ollama.Client, ask: str, stream: bool) -> None:
    def text(format: Any) -> str:
        more: Any = {"messages": [QUESTION]} if ask == "chat" else {"prompt": "Weather?"}
        options = {**CALLING, "num_predict": 200}
        answer: Any = getattr(client, ask)(
            model=MODEL, format=format, options=options, stream=stream, **more
        )
        lines = list(answer) if stream else [answer]
        return "".join(x.message.content if ask == "chat" else x.response for x in lines)

    assert json.loads(text(SCHEMA))["city"] in ("Oslo", "Rome")
    assert text("json").lstrip().startswith("{")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"format": "xml"}, "format"),
        ({"format": {"type": "nothing"}}, "format"),
        ({"format": "json", "options": {"regex": "a"}}, "regex"),
        ({"tools": [{"type": "function", "function": {"name": "no name"}}]}, "tools.0.function"),
        ({"messages": [QUESTION | {"tool_calls": [{"function": {"name": "f", "arguments": {}}}]}]},
         "messages.0.tool_calls"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_by_name(
    server_url: str, changes: dict[str, Any], name: str
) -> None:
    body = {"model": MODEL, "messages": [QUESTION], "stream": False, **changes}
    response = httpx2.post(f"{server_url}/api/chat", json=body, timeout=60)

    assert response.status_code == 400 and name in response.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/chat", 405), ("GET", "/api/nothing", 404), ("POST", "/api/chat", 413)],
)
def test_what_never_reaches_a_route_is_refused_in_this_dialect_too(
    server_url: str, method: str, path: str, status: int
) -> None:
    content = b" " * 3_000_000 if status == 413 else b""
    response = httpx2.request(method, f"{server_url}{path}", content=content)

    assert (response.status_code, list(response.json())) == (status, ["error"])
    assert isinstance(response.json()["error"], str)
