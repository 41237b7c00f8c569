"""Embeddings and what there is, as Ollama's own client sees it."""

import math
from typing import Any

import httpx2
import ollama
import openai
import pytest

from penstock import __version__

MODEL = "penstock-tiny"
TEXTS = ["A crab.", "A king."]


def test_embeddings_are_those_of_the_other_dialect(client: ollama.Client, server_url: str) -> None:
    with openai.OpenAI(base_url=f"{server_url}/v1", api_key="none") as other:
        expected = other.embeddings.create(model=MODEL, input=TEXTS, encoding_format="float")

    answer = client.embed(model=MODEL, input=TEXTS)

    assert [list(v) for v in answer.embeddings] == [e.embedding for e in expected.data]
    assert answer.prompt_eval_count == expected.usage.prompt_tokens
    assert answer.total_duration
    former = client.embeddings(model=MODEL, prompt=TEXTS[0])
    assert list(former.embedding) == expected.data[0].embedding
    assert math.hypot(*former.embedding) == pytest.approx(1, abs=1e-6)


def test_a_long_text_is_refused_or_cut_where_that_is_asked_for_and_told(
    client: ollama.Client, server_url: str
) -> None:
    long = ["short", "crab " * 600]

    with pytest.raises(ollama.ResponseError, match="512"):
        client.embed(model=MODEL, input=long)

    body = {"model": MODEL, "input": long, "truncate": True}
    answer = httpx2.post(f"{server_url}/api/embed", json=body, timeout=60).json()
    assert answer["truncated"] == [1] and len(answer["embeddings"]) == 2
    with pytest.raises(ollama.ResponseError, match="dimensions=7"):
        client.embed(model=MODEL, input="x", dimensions=7)


def test_models_are_listed_and_shown(client: ollama.Client) -> None:
    client.generate(model=MODEL)  # has it loaded
    listed = {model.model: model for model in client.list().models}
    loaded = {model.model: model for model in client.ps().models}

    assert MODEL in listed and "gpt2" not in listed, "only those whose files are here"
    assert listed[MODEL].details is not None and listed[MODEL].details.format == "safetensors"
    assert loaded[MODEL].context_length == 512 and len(loaded[MODEL].digest or "") == 64
    shown = client.show(MODEL)
    assert shown.capabilities == ["completion", "embedding"]
    assert shown.modelinfo is not None
    assert shown.modelinfo["general.parameter_count"] > 0


def test_a_name_may_have_the_tag_that_clients_append(client: ollama.Client) -> None:
    assert client.generate(model=f"{MODEL}:latest").model == MODEL
    assert client.show(f"{MODEL}:latest").details == client.show(MODEL).details


def test_the_chat_template_is_shown_when_it_is_asked_for(server_url: str) -> None:
    shown = httpx2.post(
        f"{server_url}/api/show", json={"name": MODEL, "verbose": True}, timeout=60
    ).json()

    assert "Assistant" in shown["template"]


def test_the_version_is_ours(server_url: str) -> None:
    assert httpx2.get(f"{server_url}/api/version").json() == {"version": __version__}


@pytest.mark.parametrize("verb", ["push", "copy", "create"])
def test_what_is_not_here_says_so_and_what_to_do(client: ollama.Client, verb: str) -> None:
    arguments: dict[str, Any] = {"copy": ("a", "b")}
    with pytest.raises(ollama.ResponseError, match=f"/api/{verb} is not here") as refused:
        getattr(client, verb)(*arguments.get(verb, ("gpt2",)))

    assert refused.value.status_code == 400
