"""A finished checkpoint as a model folder, or as an adapter, that Transformers and Penstock load.

Knows file formats, not training.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save
from transformers import GenerationConfig, PreTrainedModel

from penstock.tracking.durable import write_durably
from penstock.training.corpus import Base, copy_tokenizer
from penstock.training.lora import save_adapter
from penstock.training.recipe import Recipe

BEGINNING = {"do_sample": True, "temperature": 0.8, "top_p": 0.95}  # of a model from nothing


def export_run(recipe: Recipe, checkpoint: Path, model: PreTrainedModel, base: Base | None) -> Path:
    """Write the model, or the adapter, and return its folder."""
    if recipe.is_lora:
        return _export_adapter(recipe, checkpoint, model)
    folder = recipe.run_dir / "model"
    export_model(recipe, checkpoint, folder, model=model, base=base)
    return folder


def export_model(
    recipe: Recipe,
    checkpoint: Path,
    folder: Path,
    *,
    model: PreTrainedModel,
    base: Base | None = None,
) -> None:
    """Write weights, configuration and tokenizer; each file is replaced whole."""
    folder.mkdir(parents=True, exist_ok=True)
    copy_tokenizer(recipe.run_dir / "corpus", folder)
    config = type(model.config).from_dict(model.config.to_dict())
    config.architectures = [type(model).__name__]
    config.dtype = "float32"  # what to compute in; bfloat16 is only how the file may store it
    write_durably(folder / "config.json", config.to_json_string(use_diff=True))
    write_durably(folder / "generation_config.json", _generation_config(model, base))
    stored = getattr(torch, recipe.export_dtype)
    tensors = {
        name: tensor.to(stored)
        for name, tensor in load_file(checkpoint / "model.safetensors").items()
    }
    write_durably(folder / "model.safetensors", save(tensors, metadata={"format": "pt"}))


def _generation_config(model: PreTrainedModel, base: Base | None) -> str:
    if base is not None and (base.folder / "generation_config.json").is_file():
        return (base.folder / "generation_config.json").read_text(encoding="utf-8")
    config = model.config
    ends = {"bos_token_id": config.bos_token_id, "eos_token_id": config.eos_token_id}
    if config.is_encoder_decoder:
        ends |= {
            "pad_token_id": config.pad_token_id,
            "decoder_start_token_id": config.decoder_start_token_id,
        }
    text: str = GenerationConfig(**ends, **BEGINNING).to_json_string()
    return text


def _export_adapter(recipe: Recipe, checkpoint: Path, model: PreTrainedModel) -> Path:
    folder = recipe.run_dir / "adapter"
    config = model.config
    save_adapter(
        load_file(checkpoint / "model.safetensors"),
        folder,
        recipe.lora,
        {
            "base_model_name_or_path": recipe.initial_model,
            "task_type": "SEQ_2_SEQ_LM" if config.is_encoder_decoder else "CAUSAL_LM",
            "target_modules": list(model.lora_targets),
            "fan_in_fan_out": config.model_type == "gpt2",
        },
    )
    return folder
