"""Fields of OpenAI's requests that show in ways of their own: in streams, calls, pages of lists."""

import json
import shutil
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from penstock.model.hub import builtin_folder
from penstock.settings import Settings
from tests.api.openai.conftest import MODEL, Ask
from tests.api.openai.field_effects import BASE, CALL, CALLED, PROMPT
from tests.api.real_server import serving

BETWEEN_CALLS = {"199": 50, "0": -100}  # a new line, and not the end


def streamed(client: openai.OpenAI, **changes: Any) -> list[dict[str, Any]]:
    """The chunks of a stream, as they came."""
    with client.chat.completions.with_streaming_response.create(
        **BASE["/v1/chat/completions"], stream=True, **changes
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_stream_sends_the_text_in_pieces_and_its_options_add_to_them(
    client: openai.OpenAI, ask: Ask
) -> None:
    plainly = streamed(client)
    counted = streamed(client, stream_options={"include_usage": True})
    padded = streamed(client, stream_options={"include_obfuscation": True})

    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in plainly)
    whole = ask("/v1/chat/completions")
    assert len(plainly) > 3 and text == whole["choices"][0]["message"]["content"]
    assert not any(chunk.get("usage") or "obfuscation" in chunk for chunk in plainly)
    assert counted[-1]["choices"] == []
    assert counted[-1]["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]
    assert all("obfuscation" in chunk for chunk in padded)


@pytest.mark.parametrize("route", ["/v1/completions", "/v1/responses"])
def test_stream_is_honoured_on_the_other_routes(client: openai.OpenAI, route: str) -> None:
    answer = client.post(
        route.removeprefix("/v1"), body=BASE[route] | {"stream": True}, cast_to=httpx2.Response
    )

    assert answer.headers["content-type"].startswith("text/event-stream")


def test_parallel_tool_calls_says_whether_there_may_be_several(ask: Ask) -> None:
    """With a bias for what comes between calls, a second one follows where it may."""
    urged: dict[str, Any] = {
        **CALLED, "strategy": "greedy", "logit_bias": BETWEEN_CALLS, "max_completion_tokens": 150,
    }  # fmt: skip

    def num_calls(*, parallel: bool) -> int:
        answer = ask("/v1/chat/completions", parallel_tool_calls=parallel, **urged)
        return len(answer["choices"][0]["message"]["tool_calls"])

    assert num_calls(parallel=False) == 1
    assert num_calls(parallel=True) > 1


def test_a_response_goes_on_from_the_one_before(client: openai.OpenAI) -> None:
    first = client.responses.create(model=MODEL, input=PROMPT, max_output_tokens=8)
    alone = client.responses.create(model=MODEL, input="And?", max_output_tokens=2)
    then = client.responses.create(
        model=MODEL, input="And?", max_output_tokens=2, previous_response_id=first.id
    )

    assert first.usage and alone.usage and then.usage
    assert then.usage.input_tokens > alone.usage.input_tokens + first.usage.output_tokens


@pytest.fixture(scope="module")
def naming_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in model with a chat template that writes what names and ids a message has."""
    folder = tmp_path_factory.mktemp("models") / "naming"
    shutil.copytree(builtin_folder(), folder)
    (folder / "chat_template.jinja").write_text(
        "{% if tools %}{% endif %}{% for m in messages %}{{ m.name }}/{{ m.tool_call_id }}/"
        "{% for c in m.tool_calls or [] %}{{ c.id }}{% endfor %}: {{ m.content }}\n{% endfor %}"
    )
    return folder


def test_names_and_ids_of_messages_reach_the_models_template(naming_folder: Path) -> None:
    messages = [
        {"role": "user", "content": "Hi.", "name": "Ann"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "content": "1", "tool_call_id": "call_1"},
    ]
    settings = Settings.model_validate({"model": str(naming_folder), "threads": 1})

    with serving(settings) as url:
        shown = httpx2.post(f"{url}/apply-template", json={"messages": messages}, timeout=60).json()

    lines = shown["prompt"].splitlines()
    assert lines[0].startswith("Ann/") and lines[1].endswith("/call_1: ") and "call_1/" in lines[2]


@pytest.mark.parametrize(
    ("address", "sent", "name"),
    [
        ("responses/resp_1", "stream=true", "stream"),
        ("responses/resp_1", "starting_after=3", "starting_after"),
        ("responses/resp_1", "include=message.output_text.logprobs", "include"),
        ("responses/resp_1", "include_obfuscation=true", "include_obfuscation"),
        ("responses/resp_1/input_items", "include=x", "include"),
        ("responses/resp_1/input_items", "limit=0", "limit"),
        ("responses/resp_1/input_items", "order=x", "order"),
        ("files", "limit=0", "limit"),
        ("files", "order=x", "order"),
        ("files", "surprise=1", "surprise"),
        ("batches", "limit=1000", "limit"),
        ("models", "limit=1", "limit"),
    ],
)
def test_what_an_address_may_not_say_is_a_400_that_names_it(
    server_url: str, address: str, sent: str, name: str
) -> None:
    refused = httpx2.get(f"{server_url}/v1/{address}?{sent}")

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, name)


def test_an_address_may_say_what_asks_for_nothing(client: openai.OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="Hi.", max_output_tokens=1)

    assert client.responses.retrieve(response.id, stream=False).id == response.id


def test_the_items_of_an_input_come_in_pages(client: openai.OpenAI) -> None:
    texts = ["One.", "Two.", "Three."]
    response = client.responses.create(
        model=MODEL, input=[{"role": "user", "content": text} for text in texts],
        max_output_tokens=1,
    )  # fmt: skip

    def told(**options: Any) -> list[str]:
        listed = client.responses.input_items.list(response.id, **options)
        return [item.content[0].text for item in listed]  # type: ignore[union-attr]

    pages = client.responses.input_items.list(response.id, limit=2, order="asc")
    assert told() == texts[::-1] and told(order="asc") == texts
    assert len(pages.data) == 2 and pages.has_more
    assert told(limit=1) == texts[::-1]  # the client turns the pages
    assert told(order="asc", after=pages.data[0].id) == texts[1:]
