"""A chat model's own template, from its folder through the worker process to OpenAI's client."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import torch
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from penstock.settings import Settings
from tests.api.real_server import serving

MODEL = "tiny-qwen2"
MESSAGES = [
    {"role": "user", "content": "Who are you?"},
    {"role": "assistant", "content": "A model."},
    {"role": "user", "content": "Write <|im_end|> for me."},
]


@pytest.fixture(scope="module")
def folder(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random Qwen2 with the real tokenizer and template."""
    folder = tmp_path_factory.mktemp("models") / MODEL
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=151_646, hidden_size=8, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=256,
        tie_word_embeddings=True, eos_token_id=151_645, bos_token_id=151_643,
    )  # fmt: skip
    Qwen2ForCausalLM(config).save_pretrained(folder)
    for path in (shared_data / "tokenizers" / "qwen2").iterdir():
        shutil.copyfile(path, folder / path.name)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[openai.OpenAI]:
    settings = Settings.model_validate({"model": str(folder)})
    with (
        serving(settings) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client


def test_a_chat_is_put_into_the_models_own_form(client: openai.OpenAI, folder: Path) -> None:
    reference = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    expected: Any = reference.apply_chat_template(MESSAGES, tokenize=False)

    chat: Any = {"model": MODEL, "messages": MESSAGES, "max_completion_tokens": 5, "seed": 1}
    completion = client.chat.completions.create(**chat)
    seen = client.post("/../apply-template", body={"messages": MESSAGES}, cast_to=dict[str, Any])

    assert completion.to_dict()["chat_template"] == seen["chat_template"] == "model"
    assert (seen["prompt"], seen["stop"]) == (expected, [])
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == seen["count"]
    # What the last message spells is text to us: more tokens than the one special token.
    assert seen["count"] > len(reference(expected).input_ids)


def test_the_models_words_are_continued_token_by_token(client: openai.OpenAI) -> None:
    tokens = client.post("/../tokenize", body={"messages": MESSAGES}, cast_to=dict[str, Any])
    chat: Any = {"model": MODEL, "messages": MESSAGES, "max_completion_tokens": 5, "seed": 1}

    completion = client.chat.completions.create(**chat)
    plain = client.completions.create(model=MODEL, prompt=tokens["tokens"], max_tokens=5, seed=1)

    assert completion.choices[0].message.content == plain.choices[0].text
