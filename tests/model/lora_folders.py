"""LoRA folders as PEFT saves them, and the same model with them merged by hand."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from penstock.model.adapter_folder import CONFIG_FILE, WEIGHTS_FILE

CONFIG: Mapping[str, Any] = {
    "peft_type": "LORA",
    "base_model_name_or_path": "someone/base",
    "bias": "none",
    "fan_in_fan_out": False,
    "inference_mode": True,
    "init_lora_weights": True,
    "lora_alpha": 6,
    "lora_dropout": 0.05,
    "modules_to_save": None,
    "r": 3,
    "rank_pattern": {},
    "alpha_pattern": {},
    "target_modules": [],
    "task_type": "CAUSAL_LM",
    "use_dora": False,
    "use_rslora": False,
}


def write_lora(
    folder: Path,
    model: nn.Module,
    targets: tuple[str, ...],
    *,
    seed: int = 0,
    changes: Mapping[str, Any] | None = None,
) -> dict[str, Tensor]:
    """Write a random LoRA for all modules whose names end so; its matrices by their keys."""
    config = {**CONFIG, "target_modules": list(targets), **(changes or {})}
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, module in model.named_modules():
        if name.endswith(targets) and hasattr(module, "weight") and module.weight.dim() == 2:
            out_features, in_features = _sizes(module)
            rank = next(
                (r for key, r in config["rank_pattern"].items() if name.endswith(key)), config["r"]
            )
            key = f"base_model.model.{name}.lora_"
            down = torch.randn(rank, in_features, generator=generator) / in_features**0.5
            tensors[f"{key}A.weight"] = down
            tensors[f"{key}B.weight"] = torch.randn(out_features, rank, generator=generator) * 0.3
    assert tensors, f"no module ends in {targets}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    save_file(tensors, folder / WEIGHTS_FILE)
    return tensors


def merge(
    model: nn.Module, tensors: Mapping[str, Tensor], scale: float | Mapping[str, float]
) -> None:
    """Add the LoRA to the weights of the model, as its paper has it: `W + scale * B A`."""
    with torch.no_grad():
        for key, down in tensors.items():
            name, is_down, _ = key.removeprefix("base_model.model.").partition(".lora_A.weight")
            if not is_down:
                continue
            up = tensors[key.replace("lora_A", "lora_B")]
            module = model.get_submodule(name)
            ours = scale if isinstance(scale, int | float) else scale[name.rpartition(".")[2]]
            delta = ours * (up @ down)
            module.weight += delta if isinstance(module, nn.Linear) else delta.T


def _sizes(module: nn.Module) -> tuple[int, int]:
    """(out_features, in_features); transformers' `Conv1D` of GPT-2 has its weight the other way."""
    rows, columns = module.weight.shape
    return (rows, columns) if isinstance(module, nn.Linear) else (columns, rows)
