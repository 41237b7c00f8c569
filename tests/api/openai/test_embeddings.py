"""`/v1/embeddings` as OpenAI's own client sees it, equal to what transformers computes."""

import base64
import math
import struct
from pathlib import Path
from typing import Any

import openai
import pytest
import torch
from openai.types import CreateEmbeddingResponse
from transformers import AutoModelForCausalLM, AutoTokenizer

import penstock
from tests.api.openai.conftest import MODEL, Check

TEXTS = ["Once upon a time", "The king had three daughters.", "🦀"]
SCHEMA = "CreateEmbeddingResponse"
BUILTIN = Path(penstock.__file__).parent / "model" / "builtin"


def embed(client: openai.OpenAI, **fields: Any) -> CreateEmbeddingResponse:
    asked = {"model": MODEL, "input": TEXTS, **fields}
    answer: CreateEmbeddingResponse = client.embeddings.create(**asked)
    return answer


def vectors(answer: CreateEmbeddingResponse) -> list[list[float]]:
    return [entry.embedding for entry in answer.data]


def token_ids(client: openai.OpenAI, text: str) -> list[int]:
    body = {"prompt": text, "parse_special": False}
    answer = client.post("/../tokenize", body=body, cast_to=dict[str, Any])
    found: list[int] = answer["tokens"]
    return found


def test_the_vectors_are_transformers_mean_hidden_states_of_length_one(
    client: openai.OpenAI, check: Check
) -> None:
    reference = AutoModelForCausalLM.from_pretrained(BUILTIN).eval()
    tokenizer = AutoTokenizer.from_pretrained(BUILTIN)

    answer = embed(client, encoding_format="float")

    check(answer, SCHEMA)
    assert [entry.index for entry in answer.data] == [0, 1, 2]
    num_tokens = 0
    for text, vector in zip(TEXTS, vectors(answer), strict=True):
        ids = tokenizer(text, return_tensors="pt").input_ids
        num_tokens += ids.numel()
        with torch.inference_mode():
            mean = reference.base_model(ids).last_hidden_state[0].mean(dim=0)
        torch.testing.assert_close(torch.tensor(vector), mean / mean.norm(), atol=1e-4, rtol=1e-3)
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-6)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == num_tokens


def test_base64_holds_the_same_values_as_fp32(client: openai.OpenAI) -> None:
    numbers = vectors(embed(client, encoding_format="float"))
    decoded_by_the_client = vectors(embed(client))
    raw = client.post(
        "/embeddings",
        body={"model": MODEL, "input": TEXTS, "encoding_format": "base64"},
        cast_to=dict[str, Any],
    )

    for vector, decoded, entry in zip(numbers, decoded_by_the_client, raw["data"], strict=True):
        packed = base64.b64decode(entry["embedding"])
        assert list(struct.unpack(f"<{len(vector)}f", packed)) == pytest.approx(vector, abs=1e-7)
        assert decoded == pytest.approx(vector, abs=1e-7)


def test_text_and_its_token_ids_are_the_same_and_each_alone_as_in_a_list(
    client: openai.OpenAI,
) -> None:
    together = vectors(embed(client, encoding_format="float"))

    ids = [token_ids(client, text) for text in TEXTS]

    assert vectors(embed(client, input=ids, encoding_format="float")) == together
    assert vectors(embed(client, input=ids[1], encoding_format="float")) == together[1:2]
    assert vectors(embed(client, input=TEXTS[1], encoding_format="float")) == together[1:2]


def test_more_texts_than_run_side_by_side_come_back_in_order(client: openai.OpenAI) -> None:
    many = [f"Number {i}." for i in range(40)]

    answer = embed(client, input=many, encoding_format="float")

    assert [entry.index for entry in answer.data] == list(range(40))
    last = embed(client, input=many[-1], encoding_format="float")
    assert vectors(answer)[-1] == vectors(last)[0]


def test_dimensions_may_be_the_models_own_and_no_other(client: openai.OpenAI) -> None:
    size = len(vectors(embed(client))[0])

    assert len(vectors(embed(client, dimensions=size))[0]) == size
    with pytest.raises(openai.BadRequestError, match=f"have {size}") as refused:
        embed(client, dimensions=size - 1)
    assert refused.value.param == "dimensions"


def test_a_text_that_does_not_fit_is_refused_with_the_counts(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="context") as refused:
        embed(client, input=["short", "crab " * 600])

    assert (refused.value.param, refused.value.code) == ("input", "context_length_exceeded")
    assert "512" in refused.value.message


@pytest.mark.parametrize("odd", ["", [], [""], [[]], [10**6], ["x"] * 2049])
def test_an_input_without_a_meaning_is_a_400_that_names_it(client: openai.OpenAI, odd: Any) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        embed(client, input=odd)

    assert refused.value.param == "input"
