"""The model under training: Transformers' own, with plain causal attention, and its loss.

Knows nothing of data or optimisers.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AttentionInterface,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.activations import NewGELUActivation

from penstock.errors import PenstockError, RecipeError
from penstock.model import catalog, hub
from penstock.training.batches import NOT_COUNTED, Batch
from penstock.training.corpus import Base
from penstock.training.lora import add_lora
from penstock.training.recipe import ModelRecipe, Recipe
from penstock.training.shapes import config_of, dropout_names, shape_of

LossFunction = Callable[[nn.Module, Batch], Tensor]

CAUSAL = "penstock_causal"
PLAIN_ATTENTION = ("gpt2", "llama", "mistral", "qwen2")  # whose mask can be left to the kernel


def causal_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *_: Any, **options: Any
) -> tuple[Tensor, None]:
    """Attend to the past without building a mask: padding stands on the right, or nowhere."""
    attended = functional.scaled_dot_product_attention(
        query,
        key,
        value,
        dropout_p=options.get("dropout") or 0.0,
        is_causal=query.shape[2] == key.shape[2] > 1,
        scale=options.get("scaling"),
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return attended.transpose(1, 2).contiguous(), None


def find_base(recipe: Recipe) -> Base | None:
    """Return the model a recipe goes on from, or nothing where it starts from nothing."""
    if recipe.initial_model is None:
        return None
    folder = Path(recipe.initial_model)
    if not folder.is_dir():
        folder = _catalog_folder(recipe.initial_model)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _no_model(folder, error) from None
    return Base(folder=folder, is_encoder_decoder=config.get("is_encoder_decoder") is True)


def build_model(recipe: Recipe, base: Base | None = None, vocab_size: int = 0) -> PreTrainedModel:
    """Return the recipe's model, freshly initialised or from `base`, in fp32 and in training mode.

    `vocab_size` of a given tokenizer wins over the recipe's.
    """
    AttentionInterface.register(CAUSAL, causal_attention)
    torch.manual_seed(recipe.seed)
    model = _fresh(recipe, vocab_size) if base is None else _loaded(recipe, base)
    fuse_activations(model)
    if recipe.is_lora:
        targets = add_lora(model, recipe.lora, model.config.model_type)
        model.lora_targets = targets
    if recipe.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    trained: PreTrainedModel = model.train()
    return trained


def fuse_activations(model: nn.Module) -> None:
    """Put one kernel in the place of GELU's tanh form written out in eight operations."""
    for name, module in list(model.named_modules()):
        if isinstance(module, NewGELUActivation):
            parent, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(parent), attribute, nn.GELU(approximate="tanh"))


def loss_sum(model: nn.Module, batch: Batch) -> Tensor:
    """Return the cross-entropy in nats, summed over the counted tokens of the batch."""
    return summed_cross_entropy(model, batch.inputs, batch.labels)


def bfloat16_loss_sum(model: nn.Module, batch: Batch) -> Tensor:
    """Return the same loss with the matrix products in bfloat16, twice as fast where AMX is."""
    with torch.autocast("cpu", torch.bfloat16):
        return loss_sum(model, batch)


def compiled(loss_of: LossFunction) -> LossFunction:
    """Return the loss compiled for batches of always the same shape."""
    is_bfloat16 = loss_of is bfloat16_loss_sum
    compute = torch.compile(summed_cross_entropy, dynamic=False)

    def compiled_loss(model: nn.Module, batch: Batch) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=is_bfloat16):
            return compute(model, batch.inputs, batch.labels)

    return compiled_loss


def summed_cross_entropy(model: nn.Module, inputs: dict[str, Tensor], labels: Tensor) -> Tensor:
    """Return the loss of plain tensors, which is what can be compiled."""
    logits = model(**inputs, use_cache=False).logits
    return functional.cross_entropy(
        logits.flatten(0, 1).float(), labels.flatten(), ignore_index=NOT_COUNTED, reduction="sum"
    )


def context_of(config: PretrainedConfig) -> int | None:
    """Return the longest text that the model has positions for; none where there is no end."""
    for name in ("n_positions", "max_position_embeddings"):
        stated = getattr(config, name, None)
        if isinstance(stated, int) and config.model_type not in ("t5", "mt5"):
            return stated
    return None


def _fresh(recipe: Recipe, vocab_size: int) -> PreTrainedModel:
    config = config_of(recipe.model, vocab_size or recipe.model.vocab_size, recipe.dropout)
    config._attn_implementation = _attention(config)
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model: PreTrainedModel = auto.from_config(config)
    return model.float()


def _loaded(recipe: Recipe, base: Base) -> PreTrainedModel:
    auto = AutoModelForSeq2SeqLM if base.is_encoder_decoder else AutoModelForCausalLM
    try:
        config = AutoConfig.from_pretrained(base.folder, local_files_only=True)
        _check_shape(recipe, base, config)
        for name in dropout_names(config):
            setattr(config, name, recipe.dropout)
        model: PreTrainedModel = auto.from_pretrained(
            base.folder,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            attn_implementation=_attention(config),
        )
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise _no_model(base.folder, error) from None
    context = context_of(model.config)
    longest = max(recipe.block_size, recipe.final_block_size or 0)
    if context is not None and longest > context:
        raise RecipeError(
            f"block_size={longest} is more than the {context} positions of {base.folder.name}.",
            f"Set block_size to {context} or less.",
            param="block_size",
        )
    return model


def _check_shape(recipe: Recipe, base: Base, config: PretrainedConfig) -> None:
    stated, usual, found = recipe.model, ModelRecipe(), shape_of(config)
    for name in sorted(found):
        if getattr(stated, name) not in (getattr(usual, name), found[name]):
            raise RecipeError(
                f"{base.folder} has {name}={found[name]}, and the recipe says "
                f"{getattr(stated, name)}.",
                "Leave `model:` out: the shape comes with the initial_model.",
                param=f"model.{name}",
            )


def _attention(config: PretrainedConfig) -> str | None:
    if config.model_type in PLAIN_ATTENTION and not getattr(config, "sliding_window", None):
        return CAUSAL
    return None


def _catalog_folder(name: str) -> Path:
    try:
        folder = hub.local_folder(catalog.find(name))
    except PenstockError as error:
        raise RecipeError(error.problem, error.hint, param="initial_model") from None
    if folder is None:
        raise RecipeError(
            f"The model {name} is not on this machine.",
            f"Fetch it first: penstock models pull {name}",
            param="initial_model",
        )
    return folder


def _no_model(folder: Path, error: Exception) -> RecipeError:
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return RecipeError(
        f"{folder} holds no model that can be trained ({reason}).",
        "Give a model folder with config.json and model.safetensors.",
        param="initial_model",
    )
