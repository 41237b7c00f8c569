"""`/v1/completions` as OpenAI's own client sees it, checked against OpenAI's own description."""

import math
from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import Completion

from tests.api.openai.conftest import MODEL, Check

PROMPT = "Once upon a time there was"
SCHEMA = "CreateCompletionResponse"
STRATEGIES = st.sampled_from(
    [
        {},
        {"temperature": 0},
        {"top_p": 0.8, "temperature": 1.4},
        {"extra_body": {"strategy": "greedy", "repetition_penalty": 1.3}},
        {"extra_body": {"strategy": "beam_search", "num_beams": 4}},
        {"extra_body": {"top_k": 5, "no_repeat_ngram_size": 2}},
        {"frequency_penalty": 1.5, "presence_penalty": -0.5},
    ]
)
STREAMABLE = st.fixed_dictionaries(
    {
        "stop": st.sampled_from([None, "e", [" a", "he"], ["\n\n", ". He", " was", "st"]]),
        "seed": st.integers(-(2**63), 2**63 - 1),
        "echo": st.booleans(),
        "logprobs": st.sampled_from([None, 0, 2]),
        "n": st.integers(1, 3),
    }
)


def complete(client: openai.OpenAI, **fields: Any) -> Completion:
    asked = {"model": MODEL, "prompt": PROMPT, "max_tokens": 8, "seed": 7, **fields}
    completion: Completion = client.completions.create(**asked)
    return completion


def texts(completion: Completion) -> list[str]:
    return [choice.text for choice in sorted(completion.choices, key=lambda c: c.index)]


def joined_stream(client: openai.OpenAI, check: Check, **fields: Any) -> list[dict[str, Any]]:
    """A stream put together again: each choice's text, reason and log-probabilities."""
    whole: dict[int, dict[str, Any]] = {}
    for chunk in complete(client, stream=True, **fields):
        check(chunk, SCHEMA)
        for choice in chunk.choices:
            found = whole.setdefault(choice.index, {"text": "", "reason": None, "logprobs": {}})
            assert found["reason"] is None, "nothing comes after the finish reason"
            found["text"] += choice.text
            found["reason"] = choice.finish_reason
            for name, entries in (choice.logprobs.to_dict() if choice.logprobs else {}).items():
                found["logprobs"].setdefault(name, []).extend(entries)
    return [whole[index] for index in sorted(whole)]


def test_a_plain_completion(client: openai.OpenAI, check: Check) -> None:
    completion = complete(client)

    check(completion, SCHEMA)
    (choice,) = completion.choices
    assert (completion.object, completion.model) == ("text_completion", MODEL)
    assert (choice.finish_reason, choice.logprobs) == ("length", None)
    assert completion.usage is not None
    usage = completion.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (7, 8, 15)
    assert completion.system_fingerprint is not None
    assert complete(client).choices == completion.choices  # the same seed


def test_the_default_is_sixteen_tokens_at_temperature_one(client: openai.OpenAI) -> None:
    default = client.completions.create(model=MODEL, prompt=PROMPT, seed=7)
    spelt = complete(client, max_tokens=16, temperature=1, top_p=1, n=1, extra_body={"top_k": 0})

    assert default.usage is not None and default.usage.completion_tokens == 16
    assert texts(default) == texts(spelt)


def test_every_form_of_prompt(client: openai.OpenAI, server_url: str, check: Check) -> None:
    ids = [
        client.post("/../tokenize", body={"prompt": text}, cast_to=dict[str, Any])["tokens"]
        for text in (PROMPT, "The miller")
    ]
    forms = [[PROMPT, "The miller"], ids]
    alone = [texts(complete(client, prompt=p, n=2)) for p in (PROMPT, "The miller")]

    for form in forms:
        several = complete(client, prompt=form, n=2)
        check(several, SCHEMA)
        assert [c.index for c in several.choices] == [0, 1, 2, 3]
        assert texts(several) == alone[0] + alone[1]
    assert texts(complete(client, prompt=ids[0])) == texts(complete(client))


def test_best_of_returns_those_with_the_best_mean_logprob(client: openai.OpenAI) -> None:
    everything = complete(client, n=6, logprobs=0)
    best = complete(client, n=2, best_of=6)

    def mean(choice: Any) -> float:
        logprobs = choice.logprobs.token_logprobs
        return float(sum(logprobs) / len(logprobs))

    ranked = sorted(everything.choices, key=mean, reverse=True)
    assert texts(best) == [choice.text for choice in ranked[:2]]
    assert best.choices[0].logprobs is None
    assert best.usage is not None and best.usage.completion_tokens == 48


def test_a_prompt_is_scored_as_the_same_text_was_when_it_was_written(
    client: openai.OpenAI, check: Check
) -> None:
    written = complete(client, logprobs=3, echo=True)
    check(written, SCHEMA)
    scored = complete(client, prompt=written.choices[0].text, logprobs=3, echo=True, max_tokens=0)
    check(scored, SCHEMA)

    first, again = written.choices[0].logprobs, scored.choices[0].logprobs
    assert first is not None and again is not None
    assert first.token_logprobs is not None and again.token_logprobs is not None
    assert (first.tokens, first.text_offset) == (again.tokens, again.text_offset)
    assert (first.token_logprobs[0], again.token_logprobs[0]) == (None, None)
    assert again.token_logprobs[1:] == pytest.approx(first.token_logprobs[1:], abs=1e-4)
    assert scored.choices[0].text == written.choices[0].text
    assert scored.usage is not None and scored.usage.completion_tokens == 0


def test_tokens_lie_where_their_offsets_say(client: openai.OpenAI) -> None:
    (choice,) = complete(client, prompt="Él dijo: 🦀 y", logprobs=2, echo=True).choices

    assert choice.logprobs is not None and choice.logprobs.tokens is not None
    offsets = choice.logprobs.text_offset
    assert offsets is not None and offsets[0] == 0 and offsets == sorted(offsets)
    for token, offset in zip(choice.logprobs.tokens, offsets, strict=True):
        assert token.startswith("bytes:") or choice.text.startswith(token, offset)
    assert any(token.startswith("bytes:\\x") for token in choice.logprobs.tokens)


def test_alternatives_are_at_most_one_more_than_asked_and_hold_the_chosen(
    client: openai.OpenAI,
) -> None:
    for wanted in (0, 1, 5, 100):
        (choice,) = complete(client, logprobs=wanted, temperature=2).choices
        assert choice.logprobs is not None
        logprobs = choice.logprobs
        assert logprobs.tokens and logprobs.token_logprobs and logprobs.top_logprobs
        for token, logprob, top in zip(
            logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, strict=True
        ):
            assert wanted <= len(top) + 1 and len(top) <= wanted + 1
            assert math.isclose(top[token], logprob)


@settings(max_examples=12)
@given(STRATEGIES, STREAMABLE)
def test_a_stream_says_what_the_whole_answer_says(
    client: openai.OpenAI, check: Check, options: dict[str, Any], fields: dict[str, Any]
) -> None:
    if options.get("extra_body", {}).get("strategy") == "greedy":
        fields = fields | {"n": 1}
    fields = {**options, **fields, "max_tokens": 20}
    stop, echo, logprobs = fields["stop"], fields["echo"], fields["logprobs"]

    whole = complete(client, **fields)

    check(whole, SCHEMA)
    streamed = joined_stream(client, check, **fields)
    assert [c["text"] for c in streamed] == texts(whole)
    assert [c["reason"] for c in streamed] == [c.finish_reason for c in whole.choices]
    for choice, pieces in zip(whole.choices, streamed, strict=True):
        if choice.logprobs is not None:
            told = choice.logprobs.to_dict()
            assert {name: pieces["logprobs"].get(name, []) for name in told} == told
        else:
            assert logprobs is None and pieces["logprobs"] == {}
        written = choice.text.removeprefix(PROMPT) if echo else choice.text
        assert not any(s in written for s in ([stop] if isinstance(stop, str) else stop or []))


def test_no_token_of_a_stop_string_is_told_of(client: openai.OpenAI, check: Check) -> None:
    free = complete(client, max_tokens=30, temperature=0).choices[0].text
    stop = free[40:43]
    assert len(stop) == 3
    (choice,) = complete(client, max_tokens=30, temperature=0, stop=stop, logprobs=0).choices

    assert choice.text == free[: free.index(stop)]
    assert choice.finish_reason == "stop" and choice.logprobs is not None
    assert choice.logprobs.text_offset is not None and choice.logprobs.tokens is not None
    assert choice.logprobs.text_offset[-1] < len(choice.text)
    shown = "".join(choice.logprobs.tokens)
    assert shown.startswith(choice.text) and len(shown) < len(choice.text) + 20


def test_the_usage_chunk_has_no_choices_and_comes_last(client: openai.OpenAI, check: Check) -> None:
    options = {"include_usage": True}
    chunks = list(complete(client, stream=True, prompt=[PROMPT, "A"], n=3, stream_options=options))

    assert [c.usage for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert all("usage" in c.to_dict() for c in chunks)
    last = chunks[-1]
    check(last, SCHEMA)
    assert last.choices == [] and last.usage is not None
    whole = complete(client, prompt=[PROMPT, "A"], n=3)
    assert last.usage == whole.usage
    assert len({c.id for c in chunks}) == len({c.created for c in chunks}) == 1


def test_a_stream_without_options_says_nothing_of_usage(client: openai.OpenAI) -> None:
    assert not any("usage" in chunk.to_dict() for chunk in complete(client, stream=True))


def test_obfuscated_chunks_are_of_few_sizes(client: openai.OpenAI) -> None:
    def sizes(**options: Any) -> set[int]:
        chunks = complete(client, stream=True, max_tokens=40, **options)
        pieces = [c for c in chunks if c.choices[0].finish_reason is None]
        return {len(c.to_json(indent=None)) for c in pieces if c.choices[0].text.isascii()}

    assert len(sizes(stream_options={"include_obfuscation": True})) <= 2 < len(sizes())


@pytest.mark.parametrize("is_chat", [False, True])
@pytest.mark.parametrize("streams", [False, True])
def test_a_forced_word_that_does_not_fit_is_told(
    client: openai.OpenAI, is_chat: bool, streams: bool
) -> None:
    create = client.chat.completions.create if is_chat else client.completions.create
    asked = {"messages": [{"role": "user", "content": "Hi"}]} if is_chat else {"prompt": PROMPT}
    body = {"strategy": "constrained_beam_search", "force_words": ["dragon", "incomprehensible"]}

    answer: Any = create(model=MODEL, max_tokens=2, stream=streams, extra_body=body, **asked)

    *_, last = answer if streams else [answer]
    assert last.choices[0].missing_words == [1]


def test_a_bias_forbids_and_forces(client: openai.OpenAI) -> None:
    (free,) = complete(client, temperature=0, max_tokens=1, logprobs=1).choices
    tokens = client.post("/../tokenize", body={"prompt": free.text}, cast_to=dict[str, Any])[
        "tokens"
    ]
    forced = client.post("/../tokenize", body={"prompt": " dragon"}, cast_to=dict[str, Any])[
        "tokens"
    ]

    (without,) = complete(client, temperature=0, max_tokens=1, logit_bias={tokens[0]: -100}).choices
    (only,) = complete(
        client, temperature=0, max_tokens=3, logprobs=0, logit_bias={forced[0]: 100}
    ).choices

    assert without.text != free.text
    assert only.logprobs is not None and only.logprobs.tokens is not None
    assert len(set(only.logprobs.tokens)) == 1


async def test_the_asynchronous_client_completes_and_streams(server_url: str, check: Check) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{server_url}/v1", api_key="none", max_retries=0
    ) as client:
        fields: Any = {"model": MODEL, "prompt": PROMPT, "seed": 7, "n": 2}
        whole = await client.completions.create(**fields)
        pieces = ["", ""]
        async for chunk in await client.completions.create(**fields, stream=True):
            check(chunk, SCHEMA)
            for choice in chunk.choices:
                pieces[choice.index] += choice.text

    check(whole, SCHEMA)
    assert pieces == texts(whole)


def test_a_raw_response_has_a_request_id(client: openai.OpenAI) -> None:
    raw = client.completions.with_raw_response.create(
        model=MODEL, prompt=PROMPT, extra_headers={"x-request-id": "mine-1"}
    )

    assert raw.headers["x-request-id"] == "mine-1"
    assert raw.parse().choices[0].finish_reason in ("length", "stop")
