"""The models of the catalog as the hub has them: their configurations, and folders of random ones.

Tests cannot reach the hub. What they lay out has its layout, its configuration field by field, its
tokenizer's real files where the shared data has them, and random weights: at full shape, or with
fewer and narrower layers.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
import transformers
from torch import Tensor, nn

from penstock.model.catalog import find
from penstock.model.checkpoint import write_checkpoint
from tests.model.folders import lay_out_as_cache

Config = Mapping[str, Any]

GPT2: Config = {
    "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"],
    "attn_pdrop": 0.1,
    "bos_token_id": 50256,
    "embd_pdrop": 0.1,
    "eos_token_id": 50256,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "model_type": "gpt2",
    "n_ctx": 1024,
    "n_embd": 768,
    "n_head": 12,
    "n_layer": 12,
    "n_positions": 1024,
    "resid_pdrop": 0.1,
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    "vocab_size": 50257,
}
QWEN2: Config = {
    "architectures": ["Qwen2ForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "hidden_act": "silu",
    "hidden_size": 896,
    "initializer_range": 0.02,
    "intermediate_size": 4864,
    "max_position_embeddings": 32768,
    "max_window_layers": 24,
    "model_type": "qwen2",
    "num_attention_heads": 14,
    "num_hidden_layers": 24,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 32768,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": 151936,
}
TINYLLAMA: Config = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 2048,
    "initializer_range": 0.02,
    "intermediate_size": 5632,
    "max_position_embeddings": 2048,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 22,
    "num_key_value_heads": 4,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "vocab_size": 32000,
}
GPT_NEO: Config = {
    "activation_function": "gelu_new",
    "architectures": ["GPTNeoForCausalLM"],
    "attention_dropout": 0,
    "attention_layers": ["global", "local"] * 6,
    "attention_types": [[["global", "local"], 6]],
    "bos_token_id": 50256,
    "embed_dropout": 0,
    "eos_token_id": 50256,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": None,
    "layer_norm_epsilon": 1e-05,
    "max_position_embeddings": 2048,
    "model_type": "gpt_neo",
    "num_heads": 12,
    "num_layers": 12,
    "resid_dropout": 0,
    "use_cache": True,
    "vocab_size": 50257,
    "window_size": 256,
}
T5: Config = {
    "architectures": ["T5ForConditionalGeneration"],
    "d_ff": 2048,
    "d_kv": 64,
    "d_model": 512,
    "decoder_start_token_id": 0,
    "dropout_rate": 0.1,
    "eos_token_id": 1,
    "initializer_factor": 1.0,
    "is_encoder_decoder": True,
    "layer_norm_epsilon": 1e-06,
    "model_type": "t5",
    "n_positions": 512,
    "num_heads": 8,
    "num_layers": 6,
    "output_past": True,
    "pad_token_id": 0,
    "relative_attention_num_buckets": 32,
    "vocab_size": 32128,
}
FLAN_T5: Config = {
    **T5,
    "d_ff": 1024,
    "feed_forward_proj": "gated-gelu",
    "num_decoder_layers": 8,
    "num_heads": 6,
    "num_layers": 8,
    "relative_attention_max_distance": 128,
    "tie_word_embeddings": False,
}


def _gpt_neo(*, width: int, num_heads: int, num_pairs: int) -> Config:
    return {
        **GPT_NEO,
        "attention_layers": ["global", "local"] * num_pairs,
        "attention_types": [[["global", "local"], num_pairs]],
        "hidden_size": width,
        "num_heads": num_heads,
        "num_layers": 2 * num_pairs,
    }


class Published(NamedTuple):
    """What the hub has of a model, but for its weights."""

    config: Config
    tokenizer: str  # a folder of the shared data
    generation: Config = {}  # noqa: RUF012  # read, never changed


PUBLISHED: Mapping[str, Published] = {
    "gpt2": Published(GPT2, "tokenizers/gpt2"),
    "gpt2-medium": Published(
        {**GPT2, "n_embd": 1024, "n_head": 16, "n_layer": 24}, "tokenizers/gpt2"
    ),
    "distilgpt2": Published({**GPT2, "n_layer": 6}, "tokenizers/gpt2"),
    "qwen": Published(
        QWEN2,
        "tokenizers/qwen2",
        {"bos_token_id": 151643, "eos_token_id": [151645, 151643], "pad_token_id": 151643},
    ),
    # The shared data has no tokenizer of 32,000 tokens of this kind; this one is of the same kind.
    "tinyllama-1.1b": Published(TINYLLAMA, "weights/stories260K"),
    "gpt-neo-125m": Published(GPT_NEO, "tokenizers/gpt2"),
    "gpt-neo-1.3b": Published(_gpt_neo(width=2048, num_heads=16, num_pairs=12), "tokenizers/gpt2"),
    "gpt-neo-2.7b": Published(_gpt_neo(width=2560, num_heads=20, num_pairs=16), "tokenizers/gpt2"),
    "t5-small": Published(T5, "tokenizers/t5"),
    "t5-base": Published(
        {**T5, "d_ff": 3072, "d_model": 768, "num_heads": 12, "num_layers": 12}, "tokenizers/t5"
    ),
    "flan-t5-small": Published(FLAN_T5, "tokenizers/t5"),
    "flan-t5-base": Published(
        {
            **FLAN_T5,
            "d_ff": 2048,
            "d_model": 768,
            "num_decoder_layers": 12,
            "num_heads": 12,
            "num_layers": 12,
        },
        "tokenizers/t5",
    ),
    "t5-large": Published(
        {**T5, "d_ff": 4096, "d_model": 1024, "num_heads": 16, "num_layers": 24}, "tokenizers/t5"
    ),
}
SMALL: Mapping[str, Config] = {
    "gpt2": {"n_embd": 48, "n_head": 4, "n_layer": 2},
    "qwen2": {
        "hidden_size": 56,  # seven heads for each that they share, as in the real one
        "intermediate_size": 96,
        "num_attention_heads": 14,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
    },
    "llama": {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_attention_heads": 16,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
    },
    "gpt_neo": {
        "attention_layers": ["global", "local"],
        "attention_types": [[["global", "local"], 1]],
        "hidden_size": 48,
        "num_heads": 4,
        "num_layers": 2,
    },
    "t5": {"d_ff": 80, "d_kv": 12, "d_model": 48, "num_heads": 4, "num_layers": 2},
}
SMALL_STD = 0.4  # weights of small models lie so far apart that near-ties are rare


def small(config: Config) -> Config:
    """The configuration with fewer and narrower layers, and all else as it is."""
    changes = dict(SMALL[config["model_type"]])
    if "num_decoder_layers" in config:
        changes["num_decoder_layers"] = 2
    return {**config, **changes}


def empty_model(config: Config) -> nn.Module:
    """The model of transformers without memory for its weights: it knows their shapes."""
    with torch.device("meta"):
        return _make(config)


def num_parameters(config: Config) -> int:
    """How many numbers the model has, shared ones counted once."""
    return sum(parameter.numel() for parameter in empty_model(config).parameters())


def lay_out(name: str, *, shared_data: Path, home: Path, is_full: bool = False) -> Path:
    """Put a model of the catalog, with random weights, where Hugging Face's libraries look for it.

    `home` is what `HF_HOME` names. Returns the folder of the snapshot.
    """
    published, entry = PUBLISHED[name], find(name)
    assert entry.hub_id is not None
    folder = home / f"files-of-{name}"
    config = published.config if is_full else small(published.config)
    dtype = torch.bfloat16 if entry.stored_bytes == 2 else torch.float32
    write_checkpoint(folder, _weights(config, dtype), config)
    for file in (shared_data / published.tokenizer).iterdir():
        if file.name not in ("config.json", "generation_config.json", "model.safetensors"):
            shutil.copyfile(file, folder / file.name)
    if published.generation:
        (folder / "generation_config.json").write_text(json.dumps(published.generation))
    snapshot = lay_out_as_cache(folder, home / "hub", entry.hub_id)
    shutil.rmtree(folder)
    return snapshot


def _make(config: Config) -> nn.Module:
    known = transformers.AutoConfig.for_model(**config)
    model: Any = getattr(transformers, config["architectures"][0])(known)
    if config["model_type"] == "t5" and config.get("tie_word_embeddings") is False:
        # transformers ties them in every T5 it makes; the files of Flan-T5 have a head of its own.
        model.lm_head.weight = nn.Parameter(torch.empty_like(model.shared.weight))
    return cast(nn.Module, model)


def _weights(config: Config, dtype: torch.dtype) -> dict[str, Tensor]:
    """Random weights by the names that the published files have; what is tied stands there once."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    is_small = config["vocab_size"] * _width(config) < 2**24
    tensors: dict[str, Tensor] = {}
    for name, parameter in empty_model(config).named_parameters():
        std = SMALL_STD if is_small else 0.02
        values = torch.empty(parameter.shape).normal_(0, std, generator=generator)
        if parameter.dim() == 1 and not is_small:
            values = values + ("bias" not in name)  # what scales is about one
        tensors[name] = values.to(dtype)
    if config["model_type"] == "gpt2":  # as OpenAI's files have it
        return {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    return tensors


def _width(config: Config) -> int:
    return next(
        int(config[name]) for name in ("hidden_size", "n_embd", "d_model") if name in config
    )
