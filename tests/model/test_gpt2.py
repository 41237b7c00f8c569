"""Our GPT-2 computes what transformers' GPT-2 computes."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from penstock.errors import UnsupportedModel
from penstock.model.families.gpt2 import GPT2
from penstock.ops.torch_ops import TorchOps
from tests.model.forward import all_logits

LENGTH = 19


def _config(**changes: object) -> GPT2Config:
    small = {"vocab_size": 61, "n_positions": 32, "n_embd": 24, "n_layer": 2, "n_head": 3}
    return GPT2Config(**(small | {"bos_token_id": 0, "eos_token_id": 0} | changes))


def _reference(config: GPT2Config) -> GPT2LMHeadModel:
    torch.manual_seed(1)
    model = GPT2LMHeadModel(config).eval()
    for parameter in model.parameters():  # norms and biases too, which start at ones and zeros
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize(
    "changes",
    [{}, {"activation_function": "relu"}, {"n_inner": 40}, {"layer_norm_epsilon": 1e-2}],
    ids=str,
)
@pytest.mark.parametrize("tied", [True, False])
def test_logits_are_those_of_transformers(changes: dict[str, object], tied: bool) -> None:
    config = _config(**changes, tie_word_embeddings=tied)
    reference = _reference(config)
    family = GPT2.load(config.to_dict(), reference.state_dict(), TorchOps(), torch.float32)
    token_ids = torch.randint(0, 61, (LENGTH,)).tolist()

    logits = all_logits(family, token_ids)

    with torch.inference_mode():
        expected = reference(torch.tensor([token_ids])).logits[0]
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    assert family.num_parameters == reference.num_parameters()


def test_bf16_weights_change_little() -> None:
    reference = _reference(_config())
    rounded = {k: v.bfloat16().float() for k, v in reference.state_dict().items()}
    config = reference.config.to_dict()
    stored = GPT2.load(config, rounded, TorchOps(), torch.bfloat16)
    exact = GPT2.load(config, rounded, TorchOps(), torch.float32)
    token_ids = torch.randint(0, 61, (LENGTH,)).tolist()

    a, b = (all_logits(family, token_ids).log_softmax(-1) for family in (stored, exact))

    assert (a.exp() * (a - b)).sum(-1).abs().max() < 0.05  # KL divergence, nats


def test_names_with_and_without_prefix_are_the_same_checkpoint() -> None:
    reference = _reference(_config())
    config = reference.config.to_dict()
    bare = {k.removeprefix("transformer."): v for k, v in reference.state_dict().items()}
    token_ids = [1, 2, 3]

    families = [
        GPT2.load(config, weights, TorchOps(), torch.float32)
        for weights in (reference.state_dict(), bare)
    ]

    first, second = (all_logits(family, token_ids) for family in families)
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("activation_function", "mish", "activation_function='mish' is not supported for GPT-2."),
        (
            "scale_attn_by_inverse_layer_idx",
            True,
            "scale_attn_by_inverse_layer_idx=True is not supported for GPT-2. Only False is.",
        ),
    ],
)
def test_what_is_not_supported_is_refused_by_name(name: str, value: object, message: str) -> None:
    config = _config().to_dict() | {name: value}

    with pytest.raises(UnsupportedModel, match="not supported") as error:
        GPT2.load(config, {}, TorchOps(), torch.float32)

    assert str(error.value).startswith(message)


def test_a_missing_tensor_is_named() -> None:
    reference = _reference(_config())
    weights = reference.state_dict()
    del weights["transformer.h.1.ln_2.bias"]

    with pytest.raises(UnsupportedModel, match=r"h\.1\.ln_2\.bias is missing"):
        GPT2.load(reference.config.to_dict(), weights, TorchOps(), torch.float32)
