"""`/v1/models` as OpenAI's own client sees it, and what harnesses ask of a tokenizer."""

from typing import Any

import httpx2
import openai
import pytest

from tests.api.openai.conftest import MODEL, Check


@pytest.fixture
def http(server_url: str) -> Any:
    with httpx2.Client(base_url=server_url) as http:
        yield http


def test_the_models_that_can_answer_are_listed(client: openai.OpenAI, check: Check) -> None:
    listed = list(client.models.list())
    page = client.models.list()

    for model in listed:
        check(model, "Model")
    assert page.object == "list"
    assert listed[0].id == MODEL
    assert listed[0].to_dict()["meta"]["n_ctx_train"] == 512  # type: ignore[index]


def test_one_model_is_found_by_its_id_or_alias(client: openai.OpenAI, check: Check) -> None:
    model = client.models.retrieve(MODEL)
    alias = client.models.retrieve("openai-community/gpt2")

    check(model, "Model")
    assert (model.id, model.object, model.owned_by) == (MODEL, "model", "penstock")
    assert (alias.id, alias.owned_by) == ("gpt2", "openai-community")


def test_a_model_that_is_not_there_is_a_404_with_its_code(client: openai.OpenAI) -> None:
    for ask in (
        lambda: client.models.retrieve("nobody"),
        lambda: client.completions.create(model="nobody", prompt="x"),
    ):
        with pytest.raises(openai.NotFoundError) as missing:
            ask()
        assert (missing.value.code, missing.value.param) == ("model_not_found", "model")


def test_tokens_go_back_and_forth(http: httpx2.Client) -> None:
    text = "Él dijo: 🦀 y"

    tokens = http.post("/tokenize", json={"prompt": text, "return_token_strs": True}).json()
    back = http.post("/detokenize", json={"tokens": tokens["tokens"]}).json()

    assert back == {"prompt": text, "model": MODEL}
    assert tokens["count"] == len(tokens["tokens"]) == len(tokens["token_strs"])
    assert tokens["max_model_len"] == 512


def test_a_special_token_is_found_by_its_name_unless_it_is_meant_as_text(
    http: httpx2.Client,
) -> None:
    info = http.get("/tokenizer_info").json()
    special = http.post("/tokenize", json={"prompt": info["eos_token"]}).json()
    spelt = http.post("/tokenize", json={"prompt": info["eos_token"], "parse_special": False})

    assert special["tokens"] == info["eos_token_ids"]
    assert spelt.json()["count"] > 1
    asked = http.post("/v1/completions", json={"model": MODEL, "prompt": info["eos_token"]})
    assert asked.json()["usage"]["prompt_tokens"] == spelt.json()["count"]


def test_a_conversation_is_counted_as_it_is_rendered(http: httpx2.Client) -> None:
    messages = [{"role": "user", "content": "Hi."}]

    counted = http.post("/tokenize", json={"messages": messages}).json()
    rendered = http.post("/apply-template", json={"messages": messages}).json()
    closed = http.post(
        "/apply-template", json={"messages": messages, "add_generation_prompt": False}
    ).json()

    assert counted["count"] == rendered["count"]
    assert (rendered["prompt"], closed["prompt"]) == ("User: Hi.\nAssistant:", "User: Hi.\n")


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {}, "prompt"),
        ("/tokenize", {"prompt": "x", "messages": [{"role": "user", "content": "x"}]}, "prompt"),
        ("/tokenize", {"messages": [{"role": "user", "content": "x"}], "return_token_strs": True},
         "return_token_strs"),
        ("/tokenize", {"prompt": "x", "more": 1}, "more"),
        ("/detokenize", {"tokens": [4096]}, "tokens"),
        ("/detokenize", {"tokens": [-1]}, "tokens.0"),
        ("/detokenize", {"tokens": "x"}, "tokens"),
        ("/apply-template", {"messages": []}, "messages"),
        ("/apply-template", {"messages": [{"role": "judge", "content": "x"}]}, "messages.0.role"),
        ("/apply-template", {"messages": [{"role": "user", "content": "x"}], "model": "nobody"},
         "model"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_by_name(
    http: httpx2.Client, path: str, body: dict[str, Any], param: str
) -> None:
    response = http.post(path, json=body)

    assert response.status_code == (404 if param == "model" else 400)
    assert response.json()["error"]["param"] == param
