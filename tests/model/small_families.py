"""Folders of small random models, one of each family, with a tokenizer they share."""

from pathlib import Path

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from tests.model.lora_folders import write_lora
from tests.text.learnt import learn_byte_level

COMMON = {
    "vocab_size": 400,
    "hidden_size": 48,
    "max_position_embeddings": 1024,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
MAKERS = {
    "small-gpt2": lambda: GPT2LMHeadModel(GPT2Config(n_embd=48, n_layer=2, n_head=4, **COMMON)),
    "small-neo": lambda: GPTNeoForCausalLM(
        GPTNeoConfig(
            num_layers=2,
            num_heads=4,
            attention_types=[[["global", "local"], 1]],
            window_size=8,
            **COMMON,
        )
    ),
    "small-llama": lambda: LlamaForCausalLM(
        LlamaConfig(
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=64,
            **COMMON,
        )
    ),
    "small-t5": lambda: T5ForConditionalGeneration(
        T5Config(
            vocab_size=400,
            d_model=48,
            d_kv=12,
            d_ff=64,
            num_layers=2,
            num_heads=4,
            n_positions=1024,
            eos_token_id=0,
            pad_token_id=0,
            decoder_start_token_id=0,
        )
    ),
}


ADAPTED = {
    "small-gpt2": ("c_attn", "c_fc"),
    "small-neo": ("q_proj", "out_proj"),
    "small-llama": ("q_proj", "down_proj"),
    "small-t5": ("SelfAttention.q", "EncDecAttention.v"),
}


def write_families(parent: Path) -> list[Path]:
    """Write one folder of each family, with weights far enough apart that near-ties are rare.

    Beside them, in `adapters`, is a LoRA for each: `for-small-gpt2` and so on.
    """
    folders = []
    for name, make in MAKERS.items():
        torch.manual_seed(0)
        model = make().eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
        folder = parent / name
        model.save_pretrained(folder)
        learn_byte_level().save(str(folder / "tokenizer.json"))
        write_lora(parent / "adapters" / f"for-{name}", model, ADAPTED[name])
        folders.append(folder)
    return folders
