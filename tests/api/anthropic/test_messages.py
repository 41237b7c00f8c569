"""`/v1/messages` as Anthropic's own client sees it."""

from typing import Any

import anthropic
import httpx2
import openai
import pytest
from anthropic.types import Message

MODEL = "penstock-tiny"
MESSAGES = [
    {"role": "user", "content": [{"type": "text", "text": "A story about "},
                                 {"type": "text", "text": "a crab 🦀."}]},
]  # fmt: skip


def ask(client: anthropic.Anthropic, **fields: Any) -> Message:
    own = fields.pop("own", {})
    asked = {"model": MODEL, "messages": MESSAGES, "max_tokens": 10, **fields}
    message: Message = client.messages.create(**asked, extra_body={"seed": 3, **own})
    return message


def text_of(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_a_message(client: anthropic.Anthropic) -> None:
    message = ask(client)

    assert (message.type, message.role, message.model) == ("message", "assistant", MODEL)
    assert message.id.startswith("msg") and len(message.content) == 1
    assert (message.stop_reason, message.stop_sequence) == ("max_tokens", None)
    assert message.usage.output_tokens == 10
    assert text_of(ask(client)) == text_of(message)


def test_it_is_the_text_that_openais_dialect_gives(
    client: anthropic.Anthropic, server_url: str
) -> None:
    with openai.OpenAI(base_url=f"{server_url}/v1", api_key="none") as other:
        messages: Any = [{"role": "system", "content": "Be brief."}, *MESSAGES]
        chat = other.chat.completions.create(
            model=MODEL, messages=messages, seed=3, max_completion_tokens=10
        )

    message = ask(client, system="Be brief.")

    assert text_of(message) == chat.choices[0].message.content
    assert chat.usage is not None and message.usage.input_tokens == chat.usage.prompt_tokens


@pytest.mark.parametrize(
    ("options", "stop"),
    [
        ({"temperature": 0}, []),
        ({"top_p": 0.7, "top_k": 20}, ["ing", " h"]),
        ({"strategy": "beam_search", "num_beams": 3}, ["a"]),
    ],
)
def test_a_stream_says_what_the_whole_message_says(
    client: anthropic.Anthropic, options: dict[str, Any], stop: list[str]
) -> None:
    own = {"seed": 3, **options}
    fields: Any = {"stop_sequences": stop, "max_tokens": 20}

    whole = ask(client, own=own, **fields)
    with client.messages.stream(model=MODEL, messages=MESSAGES, extra_body=own, **fields) as stream:
        kinds = [event.type for event in stream]
        put_together = stream.get_final_message()

    assert text_of(put_together) == text_of(whole)
    assert put_together.usage == whole.usage
    assert (put_together.stop_reason, put_together.stop_sequence) == (
        whole.stop_reason, whole.stop_sequence,
    )  # fmt: skip
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"]


def test_the_events_come_under_their_names_and_in_order(server_url: str) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hm."}], "max_tokens": 4,
            "seed": 1, "stream": True}  # fmt: skip
    response = httpx2.post(f"{server_url}/v1/messages", json=body, timeout=60)

    assert response.headers["content-type"].startswith("text/event-stream")
    names = [line[7:] for line in response.text.splitlines() if line.startswith("event: ")]
    assert names[:2] == ["message_start", "content_block_start"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(names[2:-3]) == {"content_block_delta"}
    assert "[DONE]" not in response.text


def test_the_stop_sequence_that_was_met_is_told_and_not_shown(client: anthropic.Anthropic) -> None:
    free = text_of(ask(client, max_tokens=30))
    word = free.split()[3]

    stopped = ask(client, max_tokens=30, stop_sequences=["never met", word])

    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", word)
    assert text_of(stopped) == free[: free.index(word)]


def test_a_template_that_ends_the_turn_is_no_stop_sequence_of_the_clients(
    client: anthropic.Anthropic,
) -> None:
    forced = {"logit_bias": {"0": 100}}  # the end of the text

    ended = ask(client, own=forced)

    assert (ended.stop_reason, ended.stop_sequence) == ("end_turn", None)
    assert ended.content == [] and ended.usage.output_tokens <= 1


def test_a_last_turn_of_the_assistants_is_continued(
    client: anthropic.Anthropic, server_url: str
) -> None:
    begun = [*MESSAGES, {"role": "assistant", "content": "Once upon a"}]
    seen = "User: A story about a crab 🦀.\nAssistant: Once upon a"
    body = {"model": MODEL, "prompt": seen, "max_tokens": 6, "temperature": 0, "stop": "\nUser:"}
    plain = httpx2.post(f"{server_url}/v1/completions", json=body, timeout=60).json()

    continued = ask(client, messages=begun, max_tokens=6, own={"strategy": "greedy"})

    assert text_of(continued) == plain["choices"][0]["text"]
    assert continued.usage.input_tokens == plain["usage"]["prompt_tokens"]


def test_turns_of_one_speaker_in_a_row_are_one(client: anthropic.Anthropic) -> None:
    apart = [{"role": "user", "content": "One."}, {"role": "user", "content": "Two."}]
    joined = [{"role": "user", "content": "One.\n\nTwo."}]

    assert text_of(ask(client, messages=apart)) == text_of(ask(client, messages=joined))


def test_tokens_are_counted_as_a_message_counts_them(client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(model=MODEL, messages=MESSAGES, system="Be brief.")  # type: ignore[arg-type]

    assert counted.input_tokens == ask(client, system="Be brief.").usage.input_tokens


def test_models_are_listed_in_this_dialect_too(client: anthropic.Anthropic) -> None:
    models = {model.id: model for model in client.models.list()}

    assert models[MODEL].type == "model" and models[MODEL].display_name
    assert models[MODEL].created_at.year >= 2025
    assert client.models.retrieve(MODEL).id == MODEL


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
        ({"speed": "fast"}, "speed"),
        ({"own": {"container": "c"}}, "container"),
        ({"own": {"context_management": {}}}, "context_management"),
        ({"own": {"diagnostics": {}}}, "diagnostics"),
        ({"own": {"inference_geo": "us"}}, "inference_geo"),
        ({"own": {"mcp_servers": [{}]}}, "mcp_servers"),
        ({"own": {"service_tier": "priority"}}, "service_tier"),
        ({"own": {"surprise": 1}}, "surprise"),
        ({"own": {"num_beams": 4}}, "num_beams"),
        ({"max_tokens": 600}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content"),
        ({"stop_sequences": [""]}, "stop_sequences.0"),
        ({"own": {"temperature": 3.0}}, "temperature"),
    ],
)
def test_what_cannot_be_honoured_is_a_400_in_anthropics_shape_that_names_it(
    client: anthropic.Anthropic, changes: dict[str, Any], name: str
) -> None:
    with pytest.raises(anthropic.BadRequestError) as refused:
        ask(client, **changes)

    body: Any = refused.value.body
    assert body["type"] == "error" and body["error"]["type"] == "invalid_request_error"
    assert body["error"]["param"] == name and name in body["error"]["message"]
    assert body["request_id"] == refused.value.request_id


@pytest.mark.parametrize(
    "changes",
    [
        {"tools": []},
        {"tool_choice": {"type": "auto"}},
        {"thinking": {"type": "disabled"}},
        {"metadata": {"user_id": "someone"}},
        {"own": {"cache_control": {"type": "ephemeral"}}},
        {"system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
    ],
)
def test_what_asks_for_nothing_changes_nothing(
    client: anthropic.Anthropic, changes: dict[str, Any]
) -> None:
    changed = ask(client, **{"system": "Be brief.", **changes})

    assert text_of(changed) == text_of(ask(client, system="Be brief."))


def test_other_errors_have_the_clients_own_classes(
    client: anthropic.Anthropic, server_url: str
) -> None:
    with pytest.raises(anthropic.NotFoundError, match="not_found_error"):
        ask(client, model="nobody")

    response = httpx2.post(
        f"{server_url}/v1/messages", content=b"{", headers={"content-type": "application/json"}
    )
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert response.headers["request-id"] == response.json()["request_id"]


async def test_the_asynchronous_client_streams(server_url: str) -> None:
    async with anthropic.AsyncAnthropic(
        base_url=server_url, api_key="none", max_retries=0
    ) as client:
        fields: Any = {"model": MODEL, "messages": MESSAGES, "max_tokens": 10}
        async with client.messages.stream(**fields, extra_body={"seed": 3}) as stream:
            text = "".join([piece async for piece in stream.text_stream])

        whole = await client.messages.create(**fields, extra_body={"seed": 3})

    assert text == text_of(whole)
