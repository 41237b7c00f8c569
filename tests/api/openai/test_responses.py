"""`/v1/responses` as OpenAI's own client sees it, checked against OpenAI's description."""

from typing import Any

import openai
import pytest
from fastapi.testclient import TestClient
from openai.types.responses import Response

from penstock.api.openai.response_store import ResponseStore, Stored
from penstock.errors import ResponseNotFound
from penstock.text.chat import Message
from tests.api.conftest import connected
from tests.api.openai.conftest import MODEL, Check
from tests.fakes import FakeModels

EVENTS = {
    "response.created": "ResponseCreatedEvent",
    "response.in_progress": "ResponseInProgressEvent",
    "response.output_item.added": "ResponseOutputItemAddedEvent",
    "response.content_part.added": "ResponseContentPartAddedEvent",
    "response.output_text.delta": "ResponseTextDeltaEvent",
    "response.output_text.done": "ResponseTextDoneEvent",
    "response.content_part.done": "ResponseContentPartDoneEvent",
    "response.output_item.done": "ResponseOutputItemDoneEvent",
    "response.completed": "ResponseCompletedEvent",
    "response.incomplete": "ResponseIncompleteEvent",
}


def respond(client: openai.OpenAI, **fields: Any) -> Response:
    asked = {"model": MODEL, "input": "A crab 🦀.", "max_output_tokens": 10, **fields}
    own = {"seed": 3, **asked.pop("own", {})}
    response: Response = client.responses.create(extra_body=own, **asked)
    return response


def counts_of(response: Response) -> tuple[int, int]:
    """Tokens in and out; what of them was computed before depends on who asked before."""
    assert response.usage is not None
    return response.usage.input_tokens, response.usage.output_tokens


def test_a_plain_response_is_the_chats_next_turn(client: openai.OpenAI, check: Check) -> None:
    response = respond(client, instructions="Be brief.", metadata={"a": "b"})
    chat = client.chat.completions.create(
        model=MODEL, seed=3, max_completion_tokens=10,
        messages=[{"role": "developer", "content": "Be brief."},
                  {"role": "user", "content": "A crab 🦀."}],
    )  # fmt: skip

    check(response, "Response")
    assert response.output_text == chat.choices[0].message.content
    assert (response.status, response.metadata) == ("incomplete", {"a": "b"})
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage is not None and chat.usage is not None
    assert response.usage.input_tokens == chat.usage.prompt_tokens
    assert response.usage.output_tokens == 10


def test_a_text_and_items_of_it_are_the_same(client: openai.OpenAI) -> None:
    parts = [{"type": "input_text", "text": "A crab "}, {"type": "input_text", "text": "🦀."}]

    plain = respond(client).output_text

    assert respond(client, input=[{"role": "user", "content": "A crab 🦀."}]).output_text == plain
    item = {"type": "message", "role": "user", "content": parts}
    assert respond(client, input=[item]).output_text == plain


@pytest.mark.parametrize(
    "options",
    [{}, {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
     {"own": {"logit_bias": {"0": 100}}}],
)  # fmt: skip
def test_a_stream_says_what_the_whole_response_says(
    client: openai.OpenAI, check: Check, options: dict[str, Any]
) -> None:
    whole = respond(client, **options)
    events: list[Any] = list(respond(client, stream=True, **options))

    assert [event.sequence_number for event in events] == list(range(len(events)))
    for event in events:
        check(event, EVENTS[event.type])
    kinds = [event.type for event in events]
    assert [k for k in kinds if not k.endswith("delta")] == [
        k for k in EVENTS if not k.endswith(("delta", "completed", "incomplete"))
    ] + [f"response.{whole.status}"]
    deltas = [event for event in events if event.type == "response.output_text.delta"]
    assert "".join(event.delta for event in deltas) == whole.output_text
    final = events[-1].response
    assert final.output_text == whole.output_text
    assert counts_of(final) == counts_of(whole)
    (item,) = whole.output
    assert [p.model_dump() for e in deltas for p in e.logprobs] == [
        p.model_dump()
        for p in item.content[0].logprobs  # type: ignore[union-attr]
    ]


def test_a_response_is_gone_on_from_without_the_former_instructions(
    client: openai.OpenAI,
) -> None:
    first = respond(client, instructions="Be brief.")
    second = respond(client, input="And then?", previous_response_id=first.id)
    spelt_out = respond(
        client,
        input=[
            {"role": "user", "content": "A crab 🦀."},
            {"role": "assistant", "content": first.output_text},
            {"role": "user", "content": "And then?"},
        ],
    )
    sent_back = respond(
        client,
        input=[
            {"role": "user", "content": "A crab 🦀."},
            *[item.model_dump() for item in first.output],
            {"role": "user", "content": "And then?"},
        ],
    )

    assert second.previous_response_id == first.id
    assert second.output_text == spelt_out.output_text == sent_back.output_text
    assert counts_of(second) == counts_of(spelt_out) == counts_of(sent_back)
    assert sent_back.usage and sent_back.usage.input_tokens_details.cached_tokens > 0


def test_a_streamed_response_can_be_gone_on_from(client: openai.OpenAI) -> None:
    *_, last = respond(client, stream=True)  # type: ignore[misc]

    assert respond(client, input="And?", previous_response_id=last.response.id).output_text


def test_a_stored_response_can_be_fetched_and_forgotten(client: openai.OpenAI) -> None:
    response = respond(client)

    assert client.responses.retrieve(response.id) == response
    (item,) = client.responses.input_items.list(response.id).data
    assert item.content[0].text == "A crab 🦀."  # type: ignore[union-attr]
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError) as missing:
        client.responses.retrieve(response.id)
    assert missing.value.code == "response_not_found"
    with pytest.raises(openai.BadRequestError) as refused:
        respond(client, previous_response_id=response.id)
    assert refused.value.param == "previous_response_id"


def test_what_is_not_to_be_stored_is_not(client: openai.OpenAI) -> None:
    response = respond(client, store=False)

    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"input": []}, "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input"),
        ({"input": "crab " * 900}, "input"),
        ({"max_output_tokens": 600}, "max_output_tokens"),
        ({"include": ["reasoning.encrypted_content"]}, "include.0"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"own": {"stream_options": {}}}, "stream_options"),
    ],
)
def test_what_cannot_be_honoured_is_a_400_that_names_it(
    client: openai.OpenAI, changes: dict[str, Any], name: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        respond(client, **changes)

    assert refused.value.param == name


def test_a_failure_in_a_stream_is_the_last_event() -> None:
    models = FakeModels()
    with connected(models) as client:
        models.kits[MODEL].engine.fail_on = "("  # token ids, as a prompt is sent
        text = _stream(client)

    assert text.strip().rpartition("event: ")[2].startswith("error\n")
    assert "response.completed" not in text and "[DONE]" not in text


def _stream(client: TestClient) -> str:
    body = {"model": MODEL, "input": "Hi.", "stream": True}
    return client.post("/v1/responses", json=body).text


def stored(number: int, content: str = "xx") -> Stored:
    message = Message("user", content)
    return Stored(response={"id": f"r{number}"}, input=(message,), conversation=(message,))


def test_the_oldest_responses_make_room() -> None:
    by_count = ResponseStore(max_responses=3)
    by_size = ResponseStore(max_characters=5)
    for number in range(5):
        by_count.put(stored(number))
        by_size.put(stored(number))

    def kept(store: ResponseStore) -> list[int]:
        found = []
        for number in range(5):
            try:
                store.get(f"r{number}")
            except ResponseNotFound:
                continue
            found.append(number)
        return found

    assert kept(by_count) == [2, 3, 4]
    assert kept(by_size) == [3, 4]
    by_size.remove("r3")
    by_size.put(stored(5))
    assert kept(by_size) == [4], "what was removed takes no room"
