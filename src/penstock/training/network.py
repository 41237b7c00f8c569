"""The model under training: Transformers' GPT-2 with plain causal attention, and its loss.

Knows nothing of data or optimisers.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, GPT2Config, GPT2LMHeadModel

from penstock.errors import RecipeError
from penstock.training.checkpoint import load_weights
from penstock.training.recipe import Recipe
from penstock.training.tokenizer import END_OF_TEXT_ID

CAUSAL = "penstock_causal"


def causal_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any
) -> tuple[Tensor, None]:
    """Attend to the past without building a mask: rows here are full, nothing is padded."""
    attended = functional.scaled_dot_product_attention(
        query, key, value, is_causal=query.shape[2] == key.shape[2] > 1
    )
    return attended.transpose(1, 2).contiguous(), None


def build_model(recipe: Recipe) -> GPT2LMHeadModel:
    """Return a model of the recipe's shape, freshly initialised or from `initial_model`."""
    AttentionInterface.register(CAUSAL, causal_attention)
    torch.manual_seed(recipe.seed)
    model = GPT2LMHeadModel(gpt2_config(recipe))
    if recipe.initial_model is not None:
        load_initial_weights(recipe.initial_model, model)
    if recipe.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model.train()


def load_initial_weights(folder: Path, model: nn.Module) -> None:
    """Copy the weights of a GPT-2 folder of the same shape into the model."""
    try:
        load_weights(folder, model)
    except (OSError, KeyError, RuntimeError) as error:
        raise RecipeError(
            f"{folder} holds no GPT-2 of the recipe's shape ({error}).",
            "Give the folder of a GPT-2 model, and its shape under `model:`.",
            param="initial_model",
        ) from None


def gpt2_config(recipe: Recipe) -> GPT2Config:
    """Return the configuration; without dropout, since the text is seen once or twice only."""
    return GPT2Config(
        **recipe.model.model_dump(),
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=END_OF_TEXT_ID,
        eos_token_id=END_OF_TEXT_ID,
        attn_implementation=CAUSAL,
    )


def next_token_loss(model: nn.Module, rows: Tensor, positions: Tensor) -> Tensor:
    """Return the mean cross-entropy in nats.

    `rows` are (batch, block_size + 1) token ids, `positions` (1, block_size) where they stand.
    """
    logits = model(input_ids=rows[:, :-1], position_ids=positions, use_cache=False).logits
    return functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


def bfloat16_next_token_loss(model: nn.Module, rows: Tensor, positions: Tensor) -> Tensor:
    """Return the same loss with the matrix products in bfloat16, twice as fast where AMX is."""
    with torch.autocast("cpu", torch.bfloat16):
        return next_token_loss(model, rows, positions)


def positions_from(first: int, block_size: int) -> Tensor:
    """Return (1, block_size) positions; a first one above zero trains the later positions too."""
    return torch.arange(first, first + block_size)[None]


@torch.no_grad()
def write_sample(
    model: GPT2LMHeadModel, prompt_ids: list[int], *, tokens: int, seed: int
) -> list[int]:
    """Return a nucleus-sampled continuation; leaves the training's randomness alone."""
    model.eval()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        prompt = torch.tensor([prompt_ids])
        output = model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=tokens,
            do_sample=True,
            temperature=0.8,
            top_p=0.95,
            top_k=0,
            pad_token_id=model.config.eos_token_id,
        )
    model.train()
    return [int(token) for token in output[0]]
