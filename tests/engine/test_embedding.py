"""An embedding is the mean of the final hidden states that transformers computes.

However the prompt was cut into steps, whatever else was in the batch.
"""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.types import EngineOutput, GenerationRequest, PromptEmbedded, RequestFinished
from tests.tiny_gpt2 import VOCAB_SIZE, tiny_model

TINY = tiny_model(11)
PROMPTS = st.lists(st.integers(0, VOCAB_SIZE - 1), min_size=1, max_size=40)


def embedding_request(number: int, prompt: Sequence[int]) -> GenerationRequest:
    return GenerationRequest(
        request_id=f"e{number}", prompt=tuple(prompt), model="tiny", strategy="greedy",
        max_new_tokens=0, embed=True,
    )  # fmt: skip


def writing_request(number: int, prompt: Sequence[int]) -> GenerationRequest:
    return GenerationRequest(
        request_id=f"w{number}", prompt=tuple(prompt), model="tiny", strategy="greedy",
        max_new_tokens=9, prompt_logprobs=1, seed=3,
    )  # fmt: skip


def outputs_of(requests: Sequence[GenerationRequest], config: EngineConfig) -> list[EngineOutput]:
    engine = Engine(TINY.model, config)
    for request in requests:
        engine.add(prepare(request, TINY.model))
    outputs: list[EngineOutput] = []
    for _ in range(5000):
        if not engine.has_work:
            return outputs
        outputs += engine.step()
    raise AssertionError("the engine makes no progress")


def expected(prompt: Sequence[int]) -> torch.Tensor:
    """transformers' mean of the last hidden states (hidden_size,)."""
    with torch.inference_mode():
        hidden = TINY.reference.base_model(torch.tensor([list(prompt)])).last_hidden_state
    return hidden[0].mean(dim=0)


@given(
    embedded=st.lists(PROMPTS, min_size=1, max_size=4),
    written=st.lists(PROMPTS, max_size=3),
    budget=st.integers(3, 50),
    num_blocks=st.integers(13, 60),
)
def test_embeddings_are_transformers_means_in_any_batch_and_any_pieces(
    embedded: list[list[int]], written: list[list[int]], budget: int, num_blocks: int
) -> None:
    config = EngineConfig(
        block_size=4, num_blocks=num_blocks, max_batch_tokens=budget, max_sequences=4
    )
    requests = [
        *(writing_request(i, prompt) for i, prompt in enumerate(written)),
        *(embedding_request(i, prompt) for i, prompt in enumerate(embedded)),
    ]

    outputs = outputs_of(requests, config)

    found = {o.request_id: o.values for o in outputs if isinstance(o, PromptEmbedded)}
    assert found.keys() == {f"e{i}" for i in range(len(embedded))}
    for i, prompt in enumerate(embedded):
        torch.testing.assert_close(
            torch.tensor(found[f"e{i}"]), expected(prompt), atol=1e-5, rtol=1e-4
        )


def test_what_is_written_does_not_change_when_something_is_embedded_beside_it() -> None:
    config = EngineConfig(max_batch_tokens=16)
    written = writing_request(0, range(50, 70))

    alone = outputs_of([written], config)
    together = outputs_of([written, embedding_request(0, range(30, 65))], config)

    def kept(outputs: list[EngineOutput]) -> list[EngineOutput]:
        ended = (PromptEmbedded, RequestFinished)  # the latter tells how long it took
        return [o for o in outputs if o.request_id == "w0" and not isinstance(o, ended)]

    assert kept(together) == kept(alone)


def test_reading_counts_no_written_tokens() -> None:
    outputs = outputs_of([embedding_request(0, range(30, 65))], EngineConfig())

    (finished,) = (o for o in outputs if isinstance(o, RequestFinished))
    assert (finished.num_prompt_tokens, finished.num_completion_tokens) == (35, 0)


@pytest.mark.parametrize("num_tokens", [1, TINY.model.context_length])
def test_the_shortest_and_the_longest_prompt_can_be_embedded(num_tokens: int) -> None:
    prompt = [i % VOCAB_SIZE for i in range(num_tokens)]

    outputs = outputs_of([embedding_request(0, prompt)], EngineConfig(max_batch_tokens=7))

    (embedded,) = (o for o in outputs if isinstance(o, PromptEmbedded))
    torch.testing.assert_close(
        torch.tensor(embedded.values), expected(prompt), atol=1e-5, rtol=1e-4
    )
