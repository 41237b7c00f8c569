"""`/api/generate` and `/api/chat` as Ollama's own client sees them."""

import contextlib
import json
from typing import Any

import httpx2
import ollama
import openai
import pytest

MODEL = "penstock-tiny"
PROMPT = "Once upon a time there was"
OPTIONS: dict[str, Any] = {"num_predict": 10, "seed": 3}
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "A crab 🦀."}]


def generate(client: ollama.Client, **fields: Any) -> ollama.GenerateResponse:
    options = OPTIONS | fields.pop("options", {})
    asked = {"model": MODEL, "prompt": PROMPT, **fields}
    response: ollama.GenerateResponse = client.generate(options=options, **asked)
    return response


def chat(client: ollama.Client, **fields: Any) -> ollama.ChatResponse:
    options = OPTIONS | fields.pop("options", {})
    asked = {"model": MODEL, "messages": MESSAGES, **fields}
    response: ollama.ChatResponse = client.chat(options=options, **asked)
    return response


def post(server_url: str, path: str, **body: Any) -> httpx2.Response:
    return httpx2.post(f"{server_url}{path}", json=body, timeout=60)


def test_a_text_with_its_counts_and_durations(client: ollama.Client) -> None:
    whole = generate(client)

    assert whole.model == MODEL and whole.response and whole.done
    assert (whole.done_reason, whole.eval_count) == ("length", 10)
    assert whole.prompt_eval_count and whole.created_at and whole.created_at.endswith("Z")
    assert whole.total_duration and whole.prompt_eval_duration and whole.eval_duration
    assert whole.total_duration >= whole.prompt_eval_duration + whole.eval_duration
    assert generate(client).response == whole.response


@pytest.mark.parametrize("ask", [generate, chat])
@pytest.mark.parametrize(
    "options", [{}, {"stop": ["e"]}, {"strategy": "beam_search", "num_beams": 3}]
)
def test_a_stream_says_what_the_whole_answer_says(
    client: ollama.Client, ask: Any, options: dict[str, Any]
) -> None:
    whole = ask(client, options=options)
    lines = list(ask(client, options=options, stream=True))

    def text(line: Any) -> str:
        return line.response if ask is generate else line.message.content

    assert "".join(map(text, lines)) == text(whole)
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1].eval_count == whole.eval_count
    assert lines[-1].done_reason == whole.done_reason


def test_streaming_is_the_default_and_comes_as_lines(server_url: str) -> None:
    response = post(server_url, "/api/generate", model=MODEL, prompt=PROMPT, options=OPTIONS)

    assert response.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert len(lines) > 3 and lines[-1]["done"] is True


def test_a_base_models_prompt_is_continued_as_it_is(client: ollama.Client, server_url: str) -> None:
    with openai.OpenAI(base_url=f"{server_url}/v1", api_key="none") as other:
        own: Any = {"top_k": 40}
        completion = other.completions.create(
            model=MODEL, prompt=PROMPT, max_tokens=10, seed=3, temperature=0.8, top_p=0.9,
            extra_body=own,
        )  # fmt: skip

    assert generate(client).response == completion.choices[0].text
    assert generate(client, raw=True).response == completion.choices[0].text
    with_system = generate(client, system="Be brief.").prompt_eval_count or 0
    assert with_system > (generate(client).prompt_eval_count or 0)


def test_a_chat_is_rendered_as_in_the_other_dialects(
    client: ollama.Client, server_url: str
) -> None:
    answer = chat(client, options={"temperature": 0})

    with openai.OpenAI(base_url=f"{server_url}/v1", api_key="none") as other:
        messages: Any = MESSAGES
        completion = other.chat.completions.create(
            model=MODEL, messages=messages, max_tokens=10, temperature=0
        )
    assert answer.message.role == "assistant"
    assert answer.message.content == completion.choices[0].message.content
    assert completion.usage and answer.prompt_eval_count == completion.usage.prompt_tokens


def test_a_last_turn_of_the_assistants_is_continued(client: ollama.Client) -> None:
    begun = [{"role": "user", "content": "Hm."}, {"role": "assistant", "content": "Once upon a"}]

    answer = chat(client, messages=begun, options={"temperature": 0})

    assert (answer.message.content or "").startswith(" time")


def test_both_limits_are_upper_bounds(client: ollama.Client) -> None:
    num_prompt = generate(client).prompt_eval_count or 0
    endless = {"logit_bias": {"0": -100}}

    by_context = generate(client, options={"num_ctx": num_prompt + 4, **endless})
    unlimited = generate(client, options={"num_predict": -1, "num_ctx": num_prompt + 6, **endless})

    assert (by_context.eval_count, by_context.done_reason) == (4, "length")
    assert unlimited.eval_count == 6


def test_another_word_for_the_repetition_penalty_does_the_same(client: ollama.Client) -> None:
    plain = generate(client, options={"temperature": 0, "num_predict": 30})
    ours = generate(
        client, options={"temperature": 0, "num_predict": 30, "repetition_penalty": 1.5}
    )
    theirs = generate(client, options={"temperature": 0, "num_predict": 30, "repeat_penalty": 1.5})

    assert theirs.response == ours.response != plain.response


def test_logprobs_of_each_token_and_its_rivals(client: ollama.Client) -> None:
    whole = generate(client, logprobs=True, top_logprobs=2)

    assert whole.logprobs is not None
    assert "".join(entry.token for entry in whole.logprobs) == whole.response
    assert all(len(entry.top_logprobs or ()) == 2 for entry in whole.logprobs)
    streamed = [
        entry
        for line in generate(client, logprobs=True, top_logprobs=2, stream=True)
        for entry in line.logprobs or ()
    ]
    assert streamed == whole.logprobs


def test_without_a_prompt_the_model_is_loaded(client: ollama.Client) -> None:
    assert client.generate(model=MODEL).done_reason == "load"
    assert client.chat(model=MODEL, messages=[]).done_reason == "load"


@pytest.mark.parametrize(
    ("path", "changes", "name"),
    [
        ("generate", {"suffix": "x"}, "suffix"),
        ("generate", {"images": ["aGk="]}, "images"),
        ("generate", {"template": "{{ .Prompt }}"}, "template"),
        ("generate", {"context": [1]}, "context"),
        ("generate", {"format": "xml"}, "format"),
        ("generate", {"think": True}, "think"),
        ("generate", {"truncate": True}, "truncate"),
        ("generate", {"shift": True}, "shift"),
        ("generate", {"top_logprobs": 2}, "top_logprobs"),
        ("generate", {"surprise": 1}, "surprise"),
        ("generate", {"options": {"surprise": 1}}, "options.surprise"),
        ("generate", {"options": {"num_ctx": 4096}}, "num_ctx"),
        ("generate", {"options": {"num_ctx": 1}}, "num_ctx"),
        ("generate", {"options": {"repeat_last_n": 64}}, "repeat_last_n"),
        ("generate", {"options": {"penalize_newline": False}}, "penalize_newline"),
        ("generate", {"options": {"num_beams": 3}}, "num_beams"),
        ("generate", {"options": {"temperature": 3}}, "options.temperature"),
        ("generate", {"prompt": "crab " * 900}, "prompt"),
        ("chat", {"tools": [{"type": "function"}]}, "tools"),
        ("chat", {"messages": [{"role": "critic", "content": "x"}]}, "messages.0.role"),
        ("chat", {"messages": [{"role": "user", "images": ["aGk="]}]}, "messages.0.images"),
    ],
)
def test_what_cannot_be_honoured_is_a_400_that_names_it(
    server_url: str, path: str, changes: dict[str, Any], name: str
) -> None:
    base = {"prompt": "Hi."} if path == "generate" else {"messages": MESSAGES}

    response = post(server_url, f"/api/{path}", **({"model": MODEL} | base | changes))

    assert response.status_code == 400, response.text
    assert response.json().keys() == {"error"} and name in response.json()["error"]


def test_the_client_raises_its_own_error(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="nobody") as refused:
        generate(client, model="nobody")

    assert refused.value.status_code == 404


def test_harmless_options_change_nothing(client: ollama.Client) -> None:
    hints = {"num_thread": 2, "num_gpu": 0, "use_mmap": True, "num_keep": 5, "num_batch": 512}

    assert generate(client, options=hints).response == generate(client).response
    assert generate(client, keep_alive="5m").response == generate(client).response


class _AsyncClient(ollama.AsyncClient):
    async def aclose(self) -> None:
        await self.close()


async def test_the_asynchronous_client_streams(server_url: str) -> None:
    async with contextlib.aclosing(_AsyncClient(host=server_url, timeout=60)) as client:
        pieces = [
            line.message.content or ""
            async for line in await client.chat(
                model=MODEL, messages=MESSAGES, options=OPTIONS, stream=True
            )
        ]
        whole = await client.chat(model=MODEL, messages=MESSAGES, options=OPTIONS)

    assert "".join(pieces) == whole.message.content
