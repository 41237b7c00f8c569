"""Small model folders of all five families, with a tokenizer learnt from little stories."""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from penstock.training.recipe import ModelRecipe
from penstock.training.shapes import config_of
from penstock.training.tokenizer import learn_tokenizer, save_tokenizer
from tests.training.small import story

FAMILIES = ("gpt2", "gpt_neo", "llama", "qwen2", "t5")
VOCAB_SIZE = 300


def write_family(folder: Path, family: str) -> Path:
    """Write a random model of two layers whose weights are far enough apart to tell apart."""
    shape = ModelRecipe(
        family=family,  # type: ignore[arg-type]
        vocab_size=VOCAB_SIZE,
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_kv_head=2 if family in ("llama", "qwen2") else None,
        n_positions=64,
    )
    config = config_of(shape, VOCAB_SIZE, 0.1)  # a dropout that a run must not take over
    auto = AutoModelForSeq2SeqLM if family == "t5" else AutoModelForCausalLM
    torch.manual_seed(1)
    model = auto.from_config(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    model.save_pretrained(folder)
    tokenizer = learn_tokenizer([story(number) for number in range(100)], VOCAB_SIZE)
    save_tokenizer(tokenizer, folder, 64)
    return folder


def write_questions(path: Path, count: int = 40) -> Path:
    """Write prompts with answers of many lengths."""
    rows = [
        {
            "prompt": f"Who lived near number {n}?" + " Say it." * (n % 4),
            "completion": f" A {n} fox",
        }
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
