"""Small random configurations of the families, of the real configuration classes."""

import random
from collections.abc import Callable, Mapping

from transformers import (
    GPT2Config,
    GPTNeoConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
)

Make = Callable[..., PreTrainedConfig]  # (rng, vocab_size=61)
VOCAB_SIZE = 61
EOS = 0


def llama_like(rng: random.Random, vocab_size: int = VOCAB_SIZE) -> dict[str, object]:
    """What Llama and its descendants have in common."""
    num_kv_heads = rng.choice([1, 2, 3])
    num_heads = num_kv_heads * rng.choice([1, 2, 4])
    return {
        "vocab_size": vocab_size,
        "hidden_size": num_heads * 8,
        "intermediate_size": rng.choice([20, 33]),
        "num_hidden_layers": 2,
        "num_attention_heads": num_heads,
        "num_key_value_heads": num_kv_heads,
        "max_position_embeddings": 64,
        "rms_norm_eps": rng.choice([1e-6, 1e-2]),
        "tie_word_embeddings": rng.random() < 0.5,
        "pad_token_id": None,
        "bos_token_id": EOS,
        "eos_token_id": EOS,
    }


ROPES: list[dict[str, object]] = [
    {"rope_type": "default", "rope_theta": 10_000.0},
    {"rope_type": "default", "rope_theta": 1_000_000.0},
    {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0},
    {
        "rope_type": "llama3",
        "rope_theta": 500_000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
    {
        "rope_type": "yarn",
        "rope_theta": 10_000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 16,
    },
]


def _llama(rng: random.Random, vocab_size: int = VOCAB_SIZE) -> PreTrainedConfig:
    biased = rng.random() < 0.3
    extra = {"head_dim": 6} if rng.random() < 0.3 else {}
    return LlamaConfig(
        **llama_like(rng, vocab_size),
        attention_bias=biased,
        mlp_bias=biased,
        rope_parameters=rng.choice(ROPES),
        **extra,
    )


def _qwen2(rng: random.Random, vocab_size: int = VOCAB_SIZE) -> PreTrainedConfig:
    window = {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1}
    extra = window if rng.random() < 0.5 else {}
    return Qwen2Config(**llama_like(rng, vocab_size), rope_parameters=ROPES[1], **extra)


def _mistral(rng: random.Random, vocab_size: int = VOCAB_SIZE) -> PreTrainedConfig:
    return MistralConfig(**llama_like(rng, vocab_size), sliding_window=rng.choice([None, 1, 7, 40]))


def _gpt_neo(rng: random.Random, vocab_size: int = VOCAB_SIZE) -> PreTrainedConfig:
    pattern = rng.choice([["global", "local"], ["local"], ["global"]])
    return GPTNeoConfig(
        vocab_size=vocab_size,
        hidden_size=24,
        num_heads=rng.choice([1, 3]),
        num_layers=2,
        attention_types=[[pattern, 2 // len(pattern)]],
        window_size=rng.choice([3, 7, 50]),
        intermediate_size=rng.choice([None, 31]),
        max_position_embeddings=64,
        tie_word_embeddings=rng.random() < 0.5,
        bos_token_id=EOS,
        eos_token_id=EOS,
    )


def _gpt2(rng: random.Random, vocab_size: int = VOCAB_SIZE) -> PreTrainedConfig:
    num_heads = rng.choice([1, 2, 3])
    return GPT2Config(
        vocab_size=vocab_size,
        n_positions=64,
        n_embd=num_heads * rng.choice([5, 8, 12]),
        n_layer=rng.choice([2, 3]),
        n_head=num_heads,
        n_inner=rng.choice([None, 20, 33]),
        activation_function=rng.choice(["gelu_new", "relu", "gelu"]),
        layer_norm_epsilon=rng.choice([1e-5, 1e-2]),
        tie_word_embeddings=rng.random() < 0.5,
        bos_token_id=EOS,
        eos_token_id=EOS,
    )


CONFIGS: Mapping[str, Make] = {
    "gpt2": _gpt2,
    "gpt_neo": _gpt_neo,
    "llama": _llama,
    "mistral": _mistral,
    "qwen2": _qwen2,
}
