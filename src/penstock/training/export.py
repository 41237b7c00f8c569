"""A finished checkpoint as a model folder that Transformers and Penstock's engine load alike.

Knows file formats, not training.
"""

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig

from penstock.training.network import gpt2_config
from penstock.training.recipe import Recipe
from penstock.training.tokenizer import END_OF_TEXT_ID


def export_model(recipe: Recipe, checkpoint: Path, folder: Path) -> None:
    """Write weights in bfloat16, configuration and tokenizer; each file is replaced whole."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus = recipe.output_dir / "corpus"
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(corpus / name, folder / name)
    config = gpt2_config(recipe)
    config.architectures = ["GPT2LMHeadModel"]
    config.dtype = "float32"  # what to compute in; bfloat16 is only how the file stores it
    config.save_pretrained(folder)
    GenerationConfig(
        bos_token_id=END_OF_TEXT_ID,
        eos_token_id=END_OF_TEXT_ID,
        do_sample=True,
        temperature=0.8,
        top_p=0.95,
    ).save_pretrained(folder)
    tensors = load_file(checkpoint / "model.safetensors")
    rounded = {name: tensor.to(torch.bfloat16) for name, tensor in tensors.items()}
    partial = folder / "model.safetensors.partial"
    save_file(rounded, partial, metadata={"format": "pt"})
    partial.chmod(0o644)  # a model folder is there to be read
    partial.replace(folder / "model.safetensors")
