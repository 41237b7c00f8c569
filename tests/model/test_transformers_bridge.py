"""Architectures that Penstock has no code for compute and write what they do in transformers."""

import json
import random
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertLMHeadModel, GPTNeoXConfig, GPTNeoXForCausalLM

from penstock.engine.config import EngineConfig
from penstock.errors import UnsupportedModel
from penstock.model.dtypes import Dtype
from penstock.model.families.bridge_memory import TOKENS_ONLY
from penstock.model.families.transformers_bridge import load_bridged
from penstock.model.loading import load_model
from penstock.ops.torch_ops import TorchOps
from penstock.types import DecodingParams, GenerationRequest
from tests.engine.driving import run_all, run_alone
from tests.model.forward import all_logits, answer_logits
from tests.text.learnt import learn_byte_level
from tests.tiny_bridged import CONFIGS, SEQ2SEQ, VOCAB_SIZE, tiny_bridged
from tests.tiny_gpt2 import EOS

every_architecture = pytest.mark.parametrize("name", CONFIGS)


def _prompt(seed: int, most: int = 40) -> tuple[int, ...]:
    rng = random.Random(seed)
    return tuple(rng.randrange(1, 257) for _ in range(rng.randrange(12, most)))


def _request(prompt: tuple[int, ...], **more: object) -> GenerationRequest:
    fields = {"request_id": "r", "prompt": prompt, "model": "m", "max_new_tokens": 14}
    return GenerationRequest(**(fields | more))


@every_architecture
@torch.inference_mode()
def test_logits_are_those_of_transformers(name: str) -> None:
    tiny = tiny_bridged(name)
    prompt = list(_prompt(1))
    if name in SEQ2SEQ:
        text = [EOS, *_prompt(2)]
        logits = answer_logits(tiny.model.family, prompt, text)
        output = tiny.reference(
            input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([text])
        )
    else:
        logits = all_logits(tiny.model.family, prompt)
        output = tiny.reference(torch.tensor([prompt]))

    torch.testing.assert_close(logits, output.logits[0], atol=1e-4, rtol=1e-4)
    assert tiny.model.vocab_size == VOCAB_SIZE
    assert tiny.model.num_parameters == tiny.reference.num_parameters()


@every_architecture
@pytest.mark.parametrize("num_beams", [1, 3])
def test_greedy_and_beams_are_token_identical(name: str, num_beams: int) -> None:
    tiny = tiny_bridged(name)
    strategy = "greedy" if num_beams == 1 else "beam_search"
    params = DecodingParams(num_beams=num_beams)

    for seed in range(3):
        prompt = _prompt(seed)
        request = _request(prompt, strategy=strategy, params=params, num_sequences=num_beams)
        options = {"num_beams": num_beams, "num_return_sequences": num_beams}

        result = run_alone(tiny.model, request, EngineConfig(num_blocks=100))

        assert result.token_ids == tiny.generate(prompt, 14, **options)


@every_architecture
def test_in_company_in_chunks_and_preempted_it_writes_what_it_writes_alone(name: str) -> None:
    model = tiny_bridged(name).model
    requests = [
        _request((1, 2, 3, *_prompt(seed)), strategy="greedy", request_id=str(seed))
        for seed in range(4)
    ]
    cramped = EngineConfig(num_blocks=14, block_size=8, max_batch_tokens=16)

    together = run_all(model, requests, cramped, arrive_every=2)

    alone = [run_alone(model, request, EngineConfig(num_blocks=100)) for request in requests]
    assert [r.token_ids for r in together] == [r.token_ids for r in alone]


def test_what_keeps_state_is_computed_from_its_tokens() -> None:
    shapes = {name: tiny_bridged(name).model.family.cache_shape for name in ("mamba", "opt")}

    assert shapes["mamba"] == TOKENS_ONLY
    assert shapes["opt"].num_layers == 2


def test_sequences_of_the_same_length_are_computed_together() -> None:
    tiny = tiny_bridged("gpt_neox")
    sizes: list[int] = []
    original = tiny.model.family._model.forward

    def counting(*args: object, **named: object) -> object:
        sizes.append(len(named["input_ids"]))
        return original(*args, **named)

    tiny.model.family._model.forward = counting
    request = _request(_prompt(0), strategy="beam_search", params=DecodingParams(num_beams=4))

    run_alone(tiny.model, request, EngineConfig(num_blocks=100))

    assert sizes[0] == 1
    assert set(sizes[1:]) == {4}


def _folder(folder: Path, **changes: object) -> Path:
    config = GPTNeoXConfig(
        vocab_size=400, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=20, max_position_embeddings=64, eos_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    GPTNeoXForCausalLM(config).save_pretrained(folder)
    learn_byte_level().save(str(folder / "tokenizer.json"))
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def test_a_folder_as_the_hub_has_it_loads(tmp_path: Path) -> None:
    loaded = load_model(_folder(tmp_path), model_id="pythia", ops=TorchOps(), dtype="bfloat16")

    assert (loaded.context_length, loaded.vocab_size) == (64, 400)
    assert loaded.num_bytes == 2 * loaded.num_parameters
    assert len(run_alone(loaded, _request((5, 6), min_new_tokens=14)).token_ids[0]) == 14


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_it_is_not_quantised_and_says_what_to_set_instead(tmp_path: Path, dtype: Dtype) -> None:
    with pytest.raises(UnsupportedModel, match="PENSTOCK_ENGINE__DTYPE to float32 or bfloat16"):
        load_model(_folder(tmp_path), model_id="m", ops=TorchOps(), dtype=dtype)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 2}, "do not fit the configuration"),
        ({"intermediate_size": 21}, "do not fit the configuration"),
        ({"architectures": ["GPTNeoXForSequenceClassification"]}, "does not write text"),
        ({"auto_map": {"AutoModelForCausalLM": "code.Model"}}, "never runs such code"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UnsupportedModel, match=message):
        load_model(_folder(tmp_path, **changes), model_id="m", ops=TorchOps())


def test_an_encoder_that_looks_ahead_is_refused() -> None:
    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=20,
    )  # fmt: skip
    model = BertLMHeadModel(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    weights = model.state_dict()

    with pytest.raises(UnsupportedModel, match="looks ahead"):
        load_bridged(config.to_dict(), weights, TorchOps(), torch.float32)
