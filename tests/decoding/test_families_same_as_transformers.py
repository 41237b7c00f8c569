"""Every decoder family writes the very tokens that transformers' `generate` writes."""

import json
import random
from functools import cache
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from penstock.model.families import FAMILIES
from penstock.model.loading import LoadedModel
from penstock.ops.torch_ops import TorchOps
from penstock.types import DecodingParams, GenerationRequest
from tests.engine.driving import run_alone
from tests.model.random_configs import CONFIGS
from tests.tiny_gpt2 import VOCAB_SIZE, cut_after_end, loaded

SEEDS = range(4)


@cache
def _pair(name: str, seed: int) -> tuple[Any, LoadedModel]:
    """The same random weights twice, so far apart that near-ties are rare."""
    config = CONFIGS[name](random.Random(seed), VOCAB_SIZE)
    torch.manual_seed(seed)
    reference = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    for parameter in reference.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    description = json.loads(config.to_json_string(use_diff=False))
    weights = {key: tensor.detach() for key, tensor in reference.state_dict().items()}
    family = FAMILIES[name].load(description, weights, TorchOps(), torch.float32)
    return reference, loaded(family, name)


@pytest.mark.parametrize("num_beams", range(1, 6))
@pytest.mark.parametrize("name", CONFIGS)
def test_greedy_and_beams_are_token_identical(name: str, num_beams: int) -> None:
    for seed in SEEDS:
        reference, model = _pair(name, seed)
        rng = random.Random(seed)
        prompt = tuple(rng.randrange(1, VOCAB_SIZE) for _ in range(rng.randrange(1, 24)))
        request = GenerationRequest(
            request_id="r",
            prompt=prompt,
            model=name,
            strategy="greedy" if num_beams == 1 else "beam_search",
            params=DecodingParams(num_beams=num_beams),
            max_new_tokens=16,
            num_sequences=num_beams,
        )

        result = run_alone(model, request)

        assert result.token_ids[:num_beams] == _expected(reference, prompt, num_beams)


def _expected(reference: Any, prompt: tuple[int, ...], num_beams: int) -> list[list[int]]:
    output = reference.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        do_sample=False,
        max_new_tokens=16,
        num_beams=num_beams,
        num_return_sequences=num_beams,
        pad_token_id=0,
    )
    return [cut_after_end(row[len(prompt) :].tolist()) for row in output]
