"""Small random models of three families: transformers' own, and the same weights in our engine."""

import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoConfig,
    LlamaConfig,
    PreTrainedConfig,
)

from penstock.model.families import FAMILIES
from penstock.ops.torch_ops import TorchOps
from tests.tiny_gpt2 import EOS, VOCAB_SIZE, TinyModel, loaded

COMMON = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 32,
    "max_position_embeddings": 128,
    "bos_token_id": EOS,
    "eos_token_id": EOS,
    "pad_token_id": None,
}


def _gpt2() -> PreTrainedConfig:
    return GPT2Config(n_layer=2, n_head=4, **COMMON)


def _gpt_neo() -> PreTrainedConfig:
    attention = [[["global", "local"], 1]]
    return GPTNeoConfig(
        num_layers=2, num_heads=4, attention_types=attention, window_size=8, **COMMON
    )


def _llama() -> PreTrainedConfig:
    return LlamaConfig(
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
        **COMMON,
    )


CONFIGS = {"gpt2": _gpt2, "gpt_neo": _gpt_neo, "llama": _llama}


def tiny_family(name: str, seed: int) -> TinyModel:
    """A two-layer model whose logits are spread enough that near-ties are rare."""
    torch.manual_seed(seed)
    config = CONFIGS[name]()
    reference = AutoModelForCausalLM.from_config(config).eval()
    for parameter in reference.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    weights = {n: tensor.detach() for n, tensor in reference.state_dict().items()}
    family = FAMILIES[name].load(config.to_dict(), weights, TorchOps(), torch.float32)
    return TinyModel(reference, loaded(family, name))
