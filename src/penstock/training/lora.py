"""Low-rank adapters (LoRA; Hu et al. 2021, arXiv:2106.09685) inside a model, saved as PEFT does.

Knows nothing of data or optimisers.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from penstock.errors import RecipeError
from penstock.tracking.durable import write_durably
from penstock.training.recipe import LoraRecipe

TARGETS = {
    "gpt2": ("c_attn",),
    "gpt_neo": ("q_proj", "v_proj"),
    "llama": ("q_proj", "v_proj"),
    "mistral": ("q_proj", "v_proj"),
    "qwen2": ("q_proj", "v_proj"),
    "t5": ("q", "v"),
    "mt5": ("q", "v"),
}
ALL_LINEAR = "all-linear"
HEADS = ("lm_head",)


class LowRankLinear(nn.Module):
    """A frozen linear layer with `scale * B A x` added; B begins at zero, which adds nothing."""

    def __init__(self, base: nn.Linear | Conv1D, recipe: LoraRecipe) -> None:
        super().__init__()
        out_features, in_features = sizes_of(base)
        self.base = base.requires_grad_(False)
        self.lora_A = nn.Parameter(torch.empty(recipe.rank, in_features))
        self.lora_B = nn.Parameter(torch.zeros(out_features, recipe.rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.scale = recipe.alpha / recipe.rank
        self.dropout = recipe.dropout

    @property
    def weight(self) -> Tensor:
        """The frozen weight, which some models read the dtype of."""
        weight: Tensor = self.base.weight
        return weight

    def forward(self, x: Tensor) -> Tensor:
        """Return (…, out_features)."""
        kept = functional.dropout(x, self.dropout, self.training) if self.dropout else x
        low = functional.linear(kept, self.lora_A)
        added = functional.linear(low, self.lora_B)
        result: Tensor = self.base(x) + self.scale * added
        return result


def add_lora(model: nn.Module, recipe: LoraRecipe, model_type: str) -> tuple[str, ...]:
    """Freeze the model and put an adapter around each target; return the targets' endings."""
    model.requires_grad_(False)
    chosen = dict(_chosen(model, recipe, model_type))
    for name, module in chosen.items():
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, LowRankLinear(module, recipe))
    return tuple(sorted({name.rpartition(".")[2] for name in chosen}))


def save_adapter(
    tensors: dict[str, Tensor], folder: Path, recipe: LoraRecipe, description: dict[str, object]
) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors`, each whole.

    `tensors` are the model's trainable weights; `description` says base, task and targets.
    """
    folder.mkdir(parents=True, exist_ok=True)
    named = {f"base_model.model.{name}.weight": tensor for name, tensor in tensors.items()}
    write_durably(folder / "adapter_model.safetensors", save(named, metadata={"format": "pt"}))
    config = {
        "peft_type": "LORA",
        "r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.dropout,
        "bias": "none",
        "inference_mode": True,
        "init_lora_weights": True,
        "modules_to_save": None,
        "rank_pattern": {},
        "alpha_pattern": {},
        "use_dora": False,
        "use_rslora": False,
        **description,
    }
    write_durably(folder / "adapter_config.json", json.dumps(config, indent=2) + "\n")


def sizes_of(module: nn.Linear | Conv1D) -> tuple[int, int]:
    """(out_features, in_features); GPT-2's `Conv1D` has its weight the other way."""
    rows, columns = module.weight.shape
    return (columns, rows) if isinstance(module, Conv1D) else (rows, columns)


def _chosen(
    model: nn.Module, recipe: LoraRecipe, model_type: str
) -> Iterator[tuple[str, nn.Linear | Conv1D]]:
    wanted = recipe.targets or TARGETS.get(model_type)
    linear = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and name.rpartition(".")[2] not in HEADS
    }
    if wanted == (ALL_LINEAR,):
        yield from linear.items()
        return
    endings = sorted({name.rpartition(".")[2] for name in linear})
    for target in wanted or ("",):
        found = {n: m for n, m in linear.items() if n == target or n.endswith(f".{target}")}
        if not found:
            raise RecipeError(
                f"This model has no linear layer whose name ends in {target!r}.",
                f"Set lora.targets to some of: {', '.join(endings)}; or to all-linear.",
                param="lora.targets",
            )
        yield from found.items()
