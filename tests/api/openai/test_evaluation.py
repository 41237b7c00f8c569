"""What an evaluation harness measures through the server is what transformers measures.

The requests are those of lm-evaluation-harness's `local-completions`: prompts as lists of token
ids, one new token, echo, and the log-probabilities of the continuation summed.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import openai
import pytest
import torch
from transformers import AutoModelForCausalLM

from penstock.settings import Settings
from penstock.text.tokenizer import Tokenizer
from tests.api.real_server import serving

MODEL = "stories260K"
STORY = "Once upon a time, there was a little girl named Lily. She loved to play outside. "
CONTINUATIONS = ["One day, she saw a big dog.", "The the the the.", "Lily was sad.", "Zxqv!"]


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "weights" / MODEL


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[openai.OpenAI]:
    settings = Settings.model_validate({"model": str(folder)})
    with (
        serving(settings) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def reference(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_folder(folder)


def scores(
    client: openai.OpenAI, prompts: Sequence[Sequence[int]], num_context: Sequence[int]
) -> list[tuple[float, bool]]:
    """Each continuation's log-probability, and whether greedy search would have written it."""
    completion = client.completions.create(
        model=MODEL, prompt=[list(p) for p in prompts], max_tokens=1, logprobs=1, echo=True,
        temperature=0, seed=1234,
    )  # fmt: skip
    found = []
    choices = sorted(completion.choices, key=lambda choice: choice.index)
    for choice, start in zip(choices, num_context, strict=True):
        assert choice.logprobs is not None and choice.logprobs.token_logprobs is not None
        logprobs = choice.logprobs.token_logprobs[start:-1]
        top = (choice.logprobs.top_logprobs or [])[start:-1]
        is_greedy = all(lp == max(t.values()) for lp, t in zip(logprobs, top, strict=True))
        found.append((sum(logprobs), is_greedy))
    return found


def reference_scores(
    reference: Any, prompts: Sequence[Sequence[int]], num_context: Sequence[int]
) -> list[tuple[float, bool]]:
    """The same by transformers' logits."""
    found = []
    for prompt, start in zip(prompts, num_context, strict=True):
        with torch.inference_mode():
            logprobs = reference(torch.tensor([list(prompt)])).logits[0].log_softmax(-1)
        before = logprobs[start - 1 : -1]
        targets = torch.tensor(list(prompt[start:]))
        total = before.gather(1, targets[:, None]).sum().item()
        found.append((total, bool((before.argmax(-1) == targets).all())))
    return found


def test_multiple_choice_is_scored_as_by_transformers(
    client: openai.OpenAI, reference: Any, tokenizer: Tokenizer
) -> None:
    context = tokenizer.encode(STORY)
    prompts = [tokenizer.encode(STORY + text) for text in CONTINUATIONS]
    num_context = [len(context) - 1] * len(prompts)
    with torch.inference_mode():
        written = reference.generate(torch.tensor([context]), max_new_tokens=8, do_sample=False)
    prompts.append(written[0].tolist())  # one that greedy search does write
    num_context.append(len(context))

    ours = scores(client, prompts, num_context)

    expected = reference_scores(reference, prompts, num_context)
    assert [s for s, _ in ours] == pytest.approx([s for s, _ in expected], abs=1e-3)
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in expected]
    assert ours[-1][1] and not ours[3][1]


def test_perplexity_is_that_of_transformers(
    client: openai.OpenAI, reference: Any, tokenizer: Tokenizer
) -> None:
    documents = [STORY * 3 + " ".join(CONTINUATIONS), "The cat sat on the mat. " * 12, STORY]
    prompts = [tokenizer.encode(text) for text in documents]
    ones = [1] * len(prompts)

    ours = sum(score for score, _ in scores(client, prompts, ones))

    expected = sum(score for score, _ in reference_scores(reference, prompts, ones))
    num_tokens = sum(map(len, prompts))
    assert ours / num_tokens == pytest.approx(expected / num_tokens, abs=1e-4)


def test_the_harness_finds_the_tokenizer_it_asks_for(
    client: openai.OpenAI, tokenizer: Tokenizer
) -> None:
    """Its remote tokenizer takes the end token's id by tokenizing the token's name."""
    info = client.get("/../tokenizer_info", cast_to=dict[str, Any])
    body = {"prompt": info["eos_token"], "add_special_tokens": False}
    end = client.post("/../tokenize", body=body, cast_to=dict[str, Any])
    bare = client.post(
        "/../tokenize", body={"prompt": STORY, "add_special_tokens": False},
        cast_to=dict[str, Any],
    )  # fmt: skip

    assert (info["eos_token"], end["tokens"]) == ("</s>", [2])
    assert info["bos_token"] == "<s>"
    assert [1, *bare["tokens"]] == tokenizer.encode(STORY)
