"""T5, Flan-T5 and mT5 compute what transformers computes, from files as they are published."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    MT5Config,
    MT5ForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)

from penstock.errors import UnsupportedModel
from penstock.model.families import FAMILIES
from penstock.model.families.interface import EncoderDecoder
from penstock.model.families.t5 import T5
from penstock.model.loading import load_model
from penstock.ops.choose import choose_ops
from penstock.ops.interface import Ops
from penstock.ops.torch_ops import TorchOps
from tests.model.forward import answer_logits
from tests.text.learnt import learn_byte_level

VOCAB_SIZE = 61
START = 0


def _sizes(rng: random.Random) -> dict[str, Any]:
    return {
        "vocab_size": VOCAB_SIZE,
        "d_model": rng.choice([16, 24]),
        "d_kv": rng.choice([4, 7, 8]),  # not always d_model / num_heads
        "d_ff": rng.choice([20, 33]),
        "num_layers": rng.choice([1, 2]),
        "num_decoder_layers": rng.choice([None, 1, 3]),
        "num_heads": rng.choice([1, 2, 3]),
        "relative_attention_num_buckets": rng.choice([4, 8, 32]),
        "relative_attention_max_distance": rng.choice([17, 128]),
        "layer_norm_epsilon": rng.choice([1e-6, 1e-2]),
        "pad_token_id": START,
        "decoder_start_token_id": START,
    }


def _reference(seed: int) -> torch.nn.Module:
    """A random model of one of the variants."""
    rng = random.Random(seed)
    kind = ("relu", "gated-gelu", "gelu", "gated-silu")[seed % 4]
    torch.manual_seed(seed)
    if seed % 5 == 4:
        model = MT5ForConditionalGeneration(MT5Config(**_sizes(rng)))
    else:
        ties = rng.random() < 0.5
        config = T5Config(**_sizes(rng), feed_forward_proj=kind, tie_word_embeddings=ties)
        model = T5ForConditionalGeneration(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def _family(reference: Any, ops: Ops | None = None, **changes: object) -> EncoderDecoder:
    weights = reference.state_dict()
    del weights["lm_head.weight"]  # as transformers saves it
    config = reference.config.to_dict() | changes
    family = FAMILIES[config["model_type"]].load(config, weights, ops or TorchOps(), torch.float32)
    assert isinstance(family, EncoderDecoder)
    return family


def _texts(seed: int) -> tuple[list[int], list[int]]:
    rng = random.Random(seed)
    source = [rng.randrange(VOCAB_SIZE) for _ in range(rng.randrange(1, 40))]
    return source, [START, *(rng.randrange(VOCAB_SIZE) for _ in range(rng.randrange(1, 40)))]


def _expected(reference: Any, source: list[int], answer: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        output = reference(
            input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([answer])
        )
    return output.logits[0]


@pytest.mark.parametrize("seed", range(24))
def test_logits_are_those_of_transformers(seed: int) -> None:
    reference = _reference(seed)
    source, answer = _texts(seed)
    family = _family(reference)

    logits = answer_logits(family, source, answer)

    torch.testing.assert_close(logits, _expected(reference, source, answer), atol=1e-4, rtol=1e-4)
    assert family.num_parameters == reference.num_parameters()


@pytest.mark.parametrize("seed", [0, 1])
def test_kernels_compute_what_the_reference_computes(seed: int) -> None:
    chosen = choose_ops(num_threads=2)
    if chosen.ops.name != "kernel":
        pytest.skip(chosen.reason)
    reference = _reference(seed)
    texts = _texts(seed)

    logits = answer_logits(_family(reference, chosen.ops), *texts)

    expected = answer_logits(_family(reference), *texts)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_bf16_weights_change_little(seed: int) -> None:
    reference = _reference(seed)
    weights = {key: value.bfloat16() for key, value in reference.state_dict().items()}
    del weights["lm_head.weight"]
    config = reference.config.to_dict()

    stored, exact = (
        answer_logits(
            FAMILIES[config["model_type"]].load(config, weights, TorchOps(), store), *_texts(seed)
        ).log_softmax(-1)
        for store in (torch.bfloat16, torch.float32)
    )

    assert (stored.exp() * (stored - exact)).sum(-1).abs().max() < 0.05  # KL divergence, nats
    assert not stored.equal(exact)


def test_an_output_matrix_of_its_own_is_used() -> None:
    reference = _reference(1)
    weights = reference.state_dict()
    weights["lm_head.weight"] = weights["lm_head.weight"].flip(0).clone()

    family = T5.load(reference.config.to_dict(), weights, TorchOps(), torch.float32)

    source, answer = _texts(1)
    expected = _expected(reference, source, answer).flip(1)
    torch.testing.assert_close(
        answer_logits(family, source, answer), expected, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("as_stored", ["new", "old"])
@pytest.mark.parametrize("seed", [0, 1])  # with the output scaled and without
def test_a_folder_as_the_hub_has_it_loads(tmp_path: Path, seed: int, as_stored: str) -> None:
    reference = _reference(seed)
    reference.resize_token_embeddings(400)  # as many as the tokenizer has
    reference.save_pretrained(tmp_path)
    learn_byte_level().save(str(tmp_path / "tokenizer.json"))
    if as_stored == "old":
        _age(tmp_path, scales=reference.config.scale_decoder_outputs)

    loaded = load_model(tmp_path, model_id="t5", ops=TorchOps())

    source, answer = _texts(seed)
    assert isinstance(loaded.family, T5)
    assert loaded.decoder_start_token_id == START
    assert loaded.tokenizer.eos_token_ids == {1}
    torch.testing.assert_close(
        answer_logits(loaded.family, source, answer),
        _expected(reference, source, answer),
        atol=1e-4,
        rtol=1e-4,
    )


def _age(folder: Path, *, scales: bool) -> None:
    """Make the files as the first T5 checkpoints have them: with copies and an unused tensor."""
    config = json.loads((folder / "config.json").read_text())
    del config["scale_decoder_outputs"]
    config["tie_word_embeddings"] = scales
    (folder / "config.json").write_text(json.dumps(config | {"n_positions": 77}))
    tensors = load_file(folder / "model.safetensors")
    for name in ("encoder.embed_tokens", "decoder.embed_tokens", "lm_head"):
        tensors[f"{name}.weight"] = tensors["shared.weight"].clone()
    unused = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    tensors[unused] = torch.zeros(32, 8)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feed_forward_proj": "gated-mish"}, "feed_forward_proj='gated-mish' is not supported"),
        ({"feed_forward_proj": "twice-relu"}, "feed_forward_proj='twice-relu' is not supported"),
        ({"decoder_start_token_id": 61}, "decoder_start_token_id=61 is not a token"),
        ({"decoder_start_token_id": None, "pad_token_id": None}, "decoder_start_token_id=None"),
        ({"num_heads": 5}, "shape"),
        ({"num_decoder_layers": 4}, r"decoder\.block\.\d\S+ is missing"),
        ({"n_positions": 0}, "n_positions=0"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UnsupportedModel, match=message):
        _family(_reference(0), **changes)
