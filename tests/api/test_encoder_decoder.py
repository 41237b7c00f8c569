"""A T5 from the hub's cache, asked by its id: what it answers, and what has no meaning for it.

The weights are random and small, the tokenizer is the published one.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

from penstock.api.app import create_app
from penstock.api.building import build_services
from penstock.serving.local_models import LocalModels
from penstock.serving.models import LoadingOptions
from penstock.settings import Settings
from tests.api.conftest import EDGE
from tests.api.reading import DONE, events_of
from tests.model.folders import lay_out_as_cache

MODEL = "flan-t5-small"
PROMPT = "translate English to German: The house is wonderful."
OPTIONS = LoadingOptions(num_threads=1, cache_bytes=1 << 24)


@dataclass(frozen=True)
class Served:
    """A server with the model, and the same in transformers."""

    client: TestClient
    reference: Any
    tokenizer: Any

    def expected(self, prompt: str, **options: object) -> list[list[int]]:
        source = self.tokenizer(prompt, return_tensors="pt")
        output = self.reference.generate(**source, do_sample=False, **options)
        rows = [row[1:].tolist() for row in output]
        return [row[: row.index(1)] if 1 in row else row for row in rows]

    def text(self, token_ids: list[int]) -> str:
        return str(self.tokenizer.decode(token_ids, skip_special_tokens=True))

    def generate(self, **fields: object) -> Any:
        response = self.client.post("/generate", json={"prompt": PROMPT, **fields})
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture(scope="module")
def served(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    folder = home / "made"
    reference = _random_model()
    reference.save_pretrained(folder)
    tokenizer_folder = shared_data / "tokenizers" / "t5"
    for file in tokenizer_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    lay_out_as_cache(folder, home / "hub", "google/flan-t5-small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(home))
        settings = Settings(model=MODEL, cache_mib=0)
        services = build_services(settings, LocalModels([MODEL], OPTIONS))
        with TestClient(create_app(services, EDGE), base_url="http://127.0.0.1") as client:
            tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder, local_files_only=True)
            yield Served(client, reference, tokenizer)


def _random_model() -> T5ForConditionalGeneration:
    torch.manual_seed(5)
    config = T5Config(
        vocab_size=32_128,
        d_model=16,
        d_kv=4,
        d_ff=24,
        num_layers=2,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        decoder_start_token_id=0,
    )
    model = T5ForConditionalGeneration(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return model


@pytest.mark.parametrize("num_beams", [1, 4])
def test_generate_answers_what_transformers_answers_with_logprobs(
    served: Served, num_beams: int
) -> None:
    strategy = "greedy" if num_beams == 1 else "beam_search"
    sent = {"num_beams": num_beams} if num_beams > 1 else {}

    answer = served.generate(strategy=strategy, max_new_tokens=12, logprobs=2, **sent)

    (token_ids,) = served.expected(PROMPT, max_new_tokens=12, num_beams=num_beams)
    (sequence,) = answer["sequences"]
    assert sequence["text"] == answer["generated_text"] == served.text(token_ids)
    assert [t["token_id"] for t in sequence["logprobs"]][: len(token_ids)] == token_ids
    assert answer["continues_prompt"] is False
    assert answer["prompt"] == PROMPT
    assert answer["usage"]["prompt_tokens"] == len(served.tokenizer(PROMPT).input_ids)
    _check_logprobs(served, sequence["logprobs"])


def _check_logprobs(served: Served, reported: list[dict[str, Any]]) -> None:
    written = [0, *(t["token_id"] for t in reported)]
    source = served.tokenizer(PROMPT, return_tensors="pt").input_ids
    with torch.inference_mode():
        output = served.reference(input_ids=source, decoder_input_ids=torch.tensor([written]))
    expected = output.logits[0].log_softmax(-1)
    for row, token in zip(expected, reported, strict=False):
        assert token["logprob"] == pytest.approx(row[token["token_id"]].item(), abs=1e-4)
        best = row.topk(2)
        assert [t["token_id"] for t in token["top"]] == best.indices.tolist()
        assert [t["logprob"] for t in token["top"]] == pytest.approx(best.values.tolist(), abs=1e-4)


def test_a_stream_is_the_whole_answer(served: Served) -> None:
    fields = {"strategy": "sampling", "seed": 3, "max_new_tokens": 15, "num_return_sequences": 2}
    whole = served.generate(**fields)

    response = served.client.post("/generate", json={"prompt": PROMPT, "stream": True, **fields})

    *events, last = events_of(response.text)
    assert last == DONE
    for index, sequence in enumerate(whole["sequences"]):
        pieces = [e["text"] for e in events if e["event"] == "token" and e["index"] == index]
        assert "".join(pieces) == sequence["text"]


def test_the_default_length_counts_the_start_of_the_answer_and_not_the_prompt(
    served: Served,
) -> None:
    answer = served.generate(strategy="greedy", max_length=7, min_new_tokens=6)

    assert answer["usage"]["completion_tokens"] == 6


def test_every_strategy_answers(served: Served) -> None:
    strategies = served.client.get("/strategies").json()["strategies"]

    for strategy in strategies:
        if strategy["id"] == "assisted":  # without a draft model: see test_drafts.py
            continue
        answer = served.generate(strategy=strategy["id"], max_new_tokens=4, seed=1)

        assert answer["usage"]["completion_tokens"] >= 1


def test_several_models_give_the_answer_alone(served: Served) -> None:
    response = served.client.post(
        "/generate-text/", json={"prompt": PROMPT, "models": [MODEL], "max_length": 9}
    )

    (text,) = response.json()["generated_texts"][MODEL]
    assert PROMPT not in text


def test_completions_and_chat_answer_with_offsets_that_fit_the_text(served: Served) -> None:
    fields = {"model": MODEL, "max_tokens": 8, "temperature": 0, "logprobs": 1}
    response = served.client.post("/v1/completions", json={"prompt": PROMPT, **fields})

    (choice,) = response.json()["choices"]
    assert choice["text"] == served.text(served.expected(PROMPT, max_new_tokens=8)[0])
    shown = choice["logprobs"]
    for token, offset in zip(shown["tokens"], shown["text_offset"], strict=True):
        if token not in ("</s>", "<pad>"):
            assert choice["text"].startswith(token, offset)


def test_a_chat_is_read_to_its_end_token(served: Served) -> None:
    messages = [{"role": "user", "content": "Hello."}]
    body = {"model": MODEL, "messages": messages}
    tokens = served.client.post("/tokenize", json=body).json()["tokens"]

    answer = served.client.post(
        "/v1/chat/completions", json={**body, "max_tokens": 5, "temperature": 0}
    ).json()

    assert tokens[-1] == 1
    assert answer["usage"]["prompt_tokens"] == len(tokens)


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"echo": True, "logprobs": 1}, "echo", "reads a prompt with an encoder"),
        ({"max_tokens": 512}, "max_tokens", "max_tokens=512 is more than"),
        ({"prompt": "house " * 600}, "prompt", "the context of flan-t5-small is 512"),
    ],
)
def test_what_has_no_meaning_or_no_room_is_refused_by_name(
    served: Served, fields: dict[str, object], param: str, message: str
) -> None:
    body = {"model": MODEL, "prompt": PROMPT, "max_tokens": 4, **fields}

    response = served.client.post("/v1/completions", json=body)

    error = response.json()["error"]
    assert response.status_code == 400
    assert (error["param"], message in error["message"]) == (param, True), json.dumps(error)


def test_an_echo_without_logprobs_is_the_prompt_before_the_text(served: Served) -> None:
    body = {"model": MODEL, "prompt": PROMPT, "max_tokens": 4, "temperature": 0}
    plain = served.client.post("/v1/completions", json=body).json()["choices"][0]["text"]

    echoed = served.client.post("/v1/completions", json={**body, "echo": True}).json()

    assert echoed["choices"][0]["text"] == PROMPT + plain


def test_an_encoder_decoder_embeds_nothing_and_says_so_before(served: Served) -> None:
    body = {"model": MODEL, "input": "a text"}
    told = served.client.get("/v1/capabilities").json()["models"][MODEL]["routes"]

    refused = served.client.post("/v1/embeddings", json=body | {"dimensions": 8})

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "model")
    assert {told["/v1/embeddings"], told["/api/embed"]} == {"refused"}
    assert told["/v1/completions"] == "supported"


def test_an_answer_is_replayed_and_branched_beside_its_prompt(served: Served) -> None:
    first = served.generate(strategy="greedy", max_new_tokens=8, min_new_tokens=8)
    name = first["receipt"]
    again = served.client.post(f"/replay/{name}").json()
    kept = served.client.get(f"/receipts/{name}").json()["token_ids"][0][:3]
    branched = served.client.post("/lab/branch", json={"receipt": name, "position": 3}).json()

    assert again["is_same"] and again["sequences"] == first["sequences"]
    assert branched["branch"]["kept"] == served.text(kept)
    assert (branched["prompt"], branched["continues_prompt"]) == (PROMPT, False)
    (rest,) = served.expected(
        PROMPT, max_new_tokens=5, min_new_tokens=5, decoder_input_ids=torch.tensor([[0, *kept]])
    )
    assert branched["sequences"][0]["text"] == served.text(rest[3:])
