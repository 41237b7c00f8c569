"""Every family computes what transformers computes, on many small random configurations."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedConfig, Qwen2Config

from penstock.errors import UnsupportedModel
from penstock.model.families import FAMILIES
from penstock.model.families.interface import Family
from penstock.model.loading import LoadedModel, load_model
from penstock.ops.choose import choose_ops
from penstock.ops.interface import Ops
from penstock.ops.torch_ops import TorchOps
from penstock.types import GenerationRequest
from tests.engine.driving import run_alone
from tests.model.forward import all_hidden, all_logits
from tests.model.random_configs import CONFIGS, VOCAB_SIZE, llama_like

LENGTH = 23


def _pair(
    config: PreTrainedConfig, seed: int, ops: Ops | None = None
) -> tuple[torch.nn.Module, Family]:
    torch.manual_seed(seed)
    reference = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    for parameter in reference.parameters():  # norms and biases too
        torch.nn.init.normal_(parameter, std=0.3)
    weights = _stored(reference, config)
    description = json.loads(config.to_json_string(use_diff=False))
    family = FAMILIES[config.model_type].load(
        description, weights, ops or TorchOps(), torch.float32
    )
    return reference, family


def _stored(reference: torch.nn.Module, config: PreTrainedConfig) -> dict[str, torch.Tensor]:
    """The weights as transformers saves them."""
    weights = reference.state_dict()
    if config.tie_word_embeddings:
        weights.pop("lm_head.weight")
    return weights


every_family = pytest.mark.parametrize("name", CONFIGS)


@every_family
def test_kernels_compute_what_the_reference_computes(name: str) -> None:
    chosen = choose_ops(num_threads=2)
    if chosen.ops.name != "kernel":
        pytest.skip(chosen.reason)
    config = CONFIGS[name](random.Random(1))
    _, reference = _pair(config, 1)
    _, family = _pair(config, 1, chosen.ops)
    token_ids = torch.randint(0, VOCAB_SIZE, (LENGTH,)).tolist()

    logits = all_logits(family, token_ids)

    torch.testing.assert_close(logits, all_logits(reference, token_ids), atol=1e-4, rtol=1e-4)


@every_family
@pytest.mark.parametrize("seed", range(20))
def test_logits_are_those_of_transformers(name: str, seed: int) -> None:
    config = CONFIGS[name](random.Random(seed))
    reference, family = _pair(config, seed)
    token_ids = torch.randint(0, VOCAB_SIZE, (LENGTH,)).tolist()

    logits = all_logits(family, token_ids)

    with torch.inference_mode():
        expected = reference(torch.tensor([token_ids])).logits[0]
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    assert family.num_parameters == reference.num_parameters()


@every_family
@pytest.mark.parametrize("seed", range(3))
def test_bf16_weights_change_little(name: str, seed: int) -> None:
    config = CONFIGS[name](random.Random(seed))
    reference, _ = _pair(config, seed)
    weights = _stored(reference, config)
    description = json.loads(config.to_json_string(use_diff=False))
    token_ids = torch.randint(0, VOCAB_SIZE, (LENGTH,)).tolist()

    stored, exact = (
        all_logits(
            FAMILIES[config.model_type].load(
                description, weights, choose_ops(num_threads=1).ops, store
            ),
            token_ids,
        ).log_softmax(-1)
        for store in (torch.bfloat16, torch.float32)
    )

    assert (stored.exp() * (stored - exact)).sum(-1).abs().max() < 0.05  # KL divergence, nats
    assert not stored.equal(exact)


def test_without_layer_types_the_last_layers_of_qwen2_have_the_window() -> None:
    window = {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1}
    config = Qwen2Config(**llama_like(random.Random(0)), **window)
    reference, family = _pair(config, 0)
    older = json.loads(config.to_json_string(use_diff=False))
    del older["layer_types"]
    weights = reference.state_dict()
    again = FAMILIES["qwen2"].load(older, weights, TorchOps(), torch.float32)
    token_ids = torch.randint(0, VOCAB_SIZE, (LENGTH,)).tolist()

    assert all_logits(again, token_ids).equal(all_logits(family, token_ids))


@every_family
def test_hidden_states_are_those_of_transformers_and_their_head_gives_the_logits(name: str) -> None:
    config = CONFIGS[name](random.Random(3))
    reference, family = _pair(config, 3)
    token_ids = torch.randint(0, VOCAB_SIZE, (LENGTH,)).tolist()

    *early, hidden = all_hidden(family, token_ids, [1, 0])

    with torch.inference_mode():
        expected = reference(torch.tensor([token_ids]), output_hidden_states=True)
    for layer, state in zip([1, 0, -1], [*early, hidden], strict=True):
        torch.testing.assert_close(state, expected.hidden_states[layer][0], atol=1e-4, rtol=1e-4)
    assert family.head(hidden).equal(all_logits(family, token_ids))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}},
            "'dynamic' are not supported",
        ),
        ({"hidden_act": "mish"}, "hidden_act='mish' is not supported"),
        ({"num_key_value_heads": 3}, "4 heads cannot share 3 heads"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(change, message: str) -> None:
    config = LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=32,
        num_attention_heads=4,
        num_hidden_layers=1,
        max_position_embeddings=64,
    ).to_dict()

    with pytest.raises(UnsupportedModel, match=message):
        FAMILIES["llama"].load(config | change, {}, TorchOps(), torch.float32)


def test_weights_nobody_asked_for_are_refused() -> None:
    config = CONFIGS["gpt_neo"](random.Random(0))
    reference = AutoModelForCausalLM.from_config(config)
    weights = reference.state_dict() | {"transformer.h.0.surprise.weight": torch.zeros(1)}

    with pytest.raises(UnsupportedModel, match=r"such as h\.0\.surprise\.weight"):
        FAMILIES["gpt_neo"].load(config.to_dict(), weights, TorchOps(), torch.float32)


@pytest.fixture(scope="module")
def stories260k(shared_data: Path) -> LoadedModel:
    return load_model(
        shared_data / "weights" / "stories260K", model_id="stories260K", ops=TorchOps()
    )


@pytest.fixture(scope="module")
def published(shared_data: Path) -> dict[str, Any]:
    path = shared_data / "conformance/generation/stories260K_greedy.json"
    return json.loads(path.read_text("utf-8"))


def test_stories260k_writes_its_published_text(
    stories260k: LoadedModel, published: dict[str, Any]
) -> None:
    beginning_of_text = (1,)
    request = GenerationRequest(
        request_id="r",
        prompt=beginning_of_text,
        model="stories260K",
        strategy="greedy",
        max_new_tokens=200,
    )

    assert run_alone(stories260k, request).texts == [published["text"]]


def test_stories260k_counts_prompt_tokens_as_published(
    stories260k: LoadedModel, published: dict[str, Any]
) -> None:
    for prompt, num_tokens in published["prompt_token_counts"].items():
        assert len(stories260k.tokenizer.encode(prompt)) == num_tokens
