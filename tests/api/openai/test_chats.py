"""`/v1/chat/completions` as OpenAI's own client sees it, checked against OpenAI's description."""

from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from tests.api.openai.conftest import MODEL, Check

MESSAGES = [
    {"role": "developer", "content": "Tell short stories."},
    {"role": "user", "content": [{"type": "text", "text": "A story about "},
                                 {"type": "text", "text": "a crab 🦀."}]},
]  # fmt: skip
WHOLE = "CreateChatCompletionResponse"
CHUNK = "CreateChatCompletionStreamResponse"


def chat(client: openai.OpenAI, **fields: Any) -> ChatCompletion:
    asked = {"model": MODEL, "messages": MESSAGES, "max_completion_tokens": 10, "seed": 3, **fields}
    completion: ChatCompletion = client.chat.completions.create(**asked)
    return completion


def rendered(client: openai.OpenAI, messages: Any) -> dict[str, Any]:
    body = {"model": MODEL, "messages": messages}
    answer: dict[str, Any] = client.post("/../apply-template", body=body, cast_to=dict[str, Any])
    return answer


def contents(completion: ChatCompletion) -> list[str | None]:
    return [choice.message.content for choice in completion.choices]


def test_a_plain_chat(client: openai.OpenAI, check: Check) -> None:
    completion = chat(client)

    check(completion, WHOLE)
    (choice,) = completion.choices
    assert (completion.object, choice.message.role) == ("chat.completion", "assistant")
    assert (choice.finish_reason, choice.logprobs) == ("length", None)
    assert completion.usage is not None and completion.usage.completion_tokens == 10
    assert chat(client).choices == completion.choices


def test_a_base_models_template_is_declared_and_its_prompt_can_be_seen(
    client: openai.OpenAI,
) -> None:
    completion = chat(client)
    seen = rendered(client, MESSAGES)

    assert completion.to_dict()["chat_template"] == seen["chat_template"] == "fallback"
    assert seen["prompt"] == ("Tell short stories.\n\nUser: A story about a crab 🦀.\nAssistant:")
    assert completion.usage is not None and seen["count"] == completion.usage.prompt_tokens
    plain = client.completions.create(
        model=MODEL, prompt=seen["prompt"], max_tokens=10, seed=3, stop=seen["stop"]
    )
    assert [plain.choices[0].text] == contents(completion)


@settings(max_examples=12)
@given(options=st.sampled_from([{}, {"temperature": 0}, {"top_p": 0.7}, {"logprobs": True},
                                {"logprobs": True, "top_logprobs": 20, "temperature": 1.5},
                                {"extra_body": {"strategy": "beam_search", "num_beams": 4}}]),
       stop=st.sampled_from([None, "a", ["ing", " h"]]),
       seed=st.integers(-5, 1000), n=st.integers(1, 3))  # fmt: skip
def test_a_stream_says_what_the_whole_answer_says(
    client: openai.OpenAI, check: Check, options: dict[str, Any], stop: Any, seed: int, n: int
) -> None:
    fields = {**options, "stop": stop, "seed": seed, "n": n, "max_completion_tokens": 20}

    whole = chat(client, **fields)
    chunks = list(chat(client, stream=True, **fields))

    check(whole, WHOLE)
    found: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        check(chunk, CHUNK)
        (choice,) = chunk.choices
        if choice.index not in found:
            assert choice.delta.role == "assistant", "the first delta tells who speaks"
            found[choice.index] = {"text": "", "reason": None, "logprobs": []}
        else:
            assert choice.delta.role is None
        one = found[choice.index]
        assert one["reason"] is None, "nothing comes after the finish reason"
        one["text"] += choice.delta.content or ""
        one["reason"] = choice.finish_reason
        one["logprobs"] += (choice.logprobs.content or []) if choice.logprobs else []
    assert [found[i]["text"] for i in range(n)] == contents(whole)
    assert [found[i]["reason"] for i in range(n)] == [c.finish_reason for c in whole.choices]
    for i, choice in enumerate(whole.choices):
        assert found[i]["logprobs"] == ((choice.logprobs.content or []) if choice.logprobs else [])


def test_logprobs_have_each_tokens_bytes_and_as_many_rivals_as_asked(
    client: openai.OpenAI,
) -> None:
    (choice,) = chat(client, logprobs=True, top_logprobs=4).choices

    assert choice.logprobs is not None and choice.logprobs.content is not None
    assert choice.logprobs.refusal is None
    spelt = b"".join(bytes(entry.bytes or []) for entry in choice.logprobs.content)
    assert spelt.decode("utf-8", "replace") == choice.message.content
    for entry in choice.logprobs.content:
        ranks = [rival.logprob for rival in entry.top_logprobs]
        assert len(ranks) == 4 and ranks == sorted(ranks, reverse=True)
        assert entry.logprob <= ranks[0] + 1e-6
    bare = chat(client, logprobs=True).choices[0].logprobs
    assert bare is not None and bare.content is not None
    assert [entry.top_logprobs for entry in bare.content] == [[]] * 10


def test_the_usage_chunk_comes_last(client: openai.OpenAI, check: Check) -> None:
    chunks = list(chat(client, stream=True, n=2, stream_options={"include_usage": True}))

    check(chunks[-1], CHUNK)
    assert [c.usage for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices == [] and chunks[-1].usage == chat(client, n=2).usage


def test_an_answer_can_be_sent_back(client: openai.OpenAI) -> None:
    first = chat(client)
    message = first.choices[0].message

    again = [*MESSAGES, message, {"role": "user", "content": "And then?", "name": "Ann"}]
    completion = chat(client, messages=again)
    dumped = chat(client, messages=[*MESSAGES, message.model_dump(), again[-1]])

    assert contents(completion) == contents(dumped)
    assert first.usage is not None and completion.usage is not None
    assert completion.usage.prompt_tokens > first.usage.prompt_tokens


def test_without_a_limit_the_answer_may_fill_the_context(client: openai.OpenAI) -> None:
    long = [{"role": "user", "content": "crab " * 200}]
    completion = client.chat.completions.create(
        model=MODEL, messages=long, seed=1, extra_body={"min_new_tokens": 30}
    )

    (choice,) = completion.choices
    assert completion.usage is not None
    assert completion.usage.total_tokens <= 512
    assert choice.finish_reason == "stop" or completion.usage.total_tokens == 512


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_limit_is_spoken_of_by_the_name_it_was_sent_under(
    client: openai.OpenAI, name: str
) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, name: 600}
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**asked)

    assert refused.value.param == name and f"{name}=600" in refused.value.message
    assert refused.value.code == "context_length_exceeded"


def test_a_conversation_that_does_not_fit_is_refused_with_the_counts(
    client: openai.OpenAI,
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        chat(client, messages=[{"role": "user", "content": "crab " * 2000}])

    assert refused.value.param == "messages" and "512" in refused.value.message


async def test_the_asynchronous_client_chats_and_streams(server_url: str, check: Check) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{server_url}/v1", api_key="none", max_retries=0
    ) as client:
        fields: Any = {"model": MODEL, "messages": MESSAGES, "seed": 3, "max_tokens": 10}
        whole = await client.chat.completions.create(**fields)
        text = ""
        async for chunk in await client.chat.completions.create(**fields, stream=True):
            check(chunk, CHUNK)
            text += chunk.choices[0].delta.content or ""

    check(whole, WHOLE)
    assert text == whole.choices[0].message.content


def test_the_clients_stream_helper_puts_the_same_answer_together(client: openai.OpenAI) -> None:
    fields: Any = {"model": MODEL, "messages": MESSAGES, "seed": 3, "max_tokens": 60, "stop": "e"}
    with client.chat.completions.stream(**fields) as stream:
        final = stream.get_final_completion()

    whole = chat(client, max_completion_tokens=60, stop="e")
    assert (final.choices[0].message.content, final.choices[0].finish_reason) == (
        contents(whole)[0], "stop",
    )  # fmt: skip
