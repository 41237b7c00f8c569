"""What OpenAI's clients are answered can be had again by its receipt, as all other results."""

from typing import Any

import httpx2
import openai
import pytest

from tests.api.openai.conftest import MODEL

TALK: list[Any] = [{"role": "user", "content": "A story about a crab, please."}]


def replayed(server_url: str, receipt: str) -> list[str]:
    response = httpx2.post(f"{server_url}/replay/{receipt}", timeout=60)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["is_same"] and answer["receipt"] == receipt
    return [sequence["text"] for sequence in answer["sequences"]]


@pytest.mark.parametrize("prompt", [["Once upon", "The king"], [400, 401, 402]])
def test_a_completion_has_a_receipt_for_each_prompt(
    client: openai.OpenAI, server_url: str, prompt: Any
) -> None:
    completion = client.completions.create(
        model=MODEL, prompt=prompt, max_tokens=8, n=2, stop=["zz"], presence_penalty=0.5
    )

    receipts = completion.to_dict()["receipts"]
    texts = [text for receipt in receipts for text in replayed(server_url, receipt)]
    assert texts == [choice.text for choice in completion.choices]


def test_a_chat_has_a_receipt(client: openai.OpenAI, server_url: str) -> None:
    completion = client.chat.completions.create(
        model=MODEL, messages=TALK, max_completion_tokens=12, temperature=0.9
    )

    (receipt,) = completion.to_dict()["receipts"]
    assert replayed(server_url, str(receipt)) == [completion.choices[0].message.content]


def test_a_stream_names_the_receipt_where_a_text_ends(
    client: openai.OpenAI, server_url: str
) -> None:
    stream = client.completions.create(
        model=MODEL, prompt=["Once upon", "The king"], max_tokens=8, stream=True
    )
    texts, receipts = {0: "", 1: ""}, {}
    for chunk in stream:
        (choice,) = chunk.choices
        texts[choice.index] += choice.text
        named = chunk.to_dict().get("receipts")
        assert (named is not None) == (choice.finish_reason is not None)
        if named is not None:
            (receipts[choice.index],) = named

    assert {i: replayed(server_url, r) for i, r in receipts.items()} == {
        i: [text] for i, text in texts.items()
    }
