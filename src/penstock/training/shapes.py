"""The five families' configurations from one set of sizes. Knows no weights."""

from typing import Any

from transformers import (
    GPT2Config,
    GPTNeoConfig,
    LlamaConfig,
    PretrainedConfig,
    Qwen2Config,
    T5Config,
)

from penstock.training.recipe import ModelRecipe
from penstock.training.tokenizer import END_OF_TEXT_ID

DROPOUTS = (
    "resid_pdrop", "embd_pdrop", "attn_pdrop", "resid_dropout", "embed_dropout",
    "attention_dropout", "dropout_rate",
)  # fmt: skip
ENDS = {"bos_token_id": END_OF_TEXT_ID, "eos_token_id": END_OF_TEXT_ID}
LOCAL_WINDOW = 256  # GPT-Neo's layers attend to everything and to the near past in turn


def config_of(shape: ModelRecipe, vocab_size: int, dropout: float) -> PretrainedConfig:
    """Return the configuration of a new model of this family and shape."""
    config = _MAKERS[shape.family](shape, vocab_size)
    for name in dropout_names(config):
        setattr(config, name, dropout)
    return config


def dropout_names(config: PretrainedConfig) -> list[str]:
    """The configuration's keys that say how much is dropped while training."""
    return [name for name in DROPOUTS if isinstance(getattr(config, name, None), float | int)]


def shape_of(config: PretrainedConfig) -> dict[str, int]:
    """Return the sizes of a configuration by the recipe's names, as far as it has them."""
    names = {
        "vocab_size": ("vocab_size",),
        "n_embd": ("n_embd", "hidden_size", "d_model"),
        "n_layer": ("n_layer", "num_hidden_layers", "num_layers"),
        "n_head": ("n_head", "num_attention_heads", "num_heads"),
        "n_positions": ("n_positions", "max_position_embeddings"),
    }
    sizes: dict[str, int] = {}
    for ours, theirs in names.items():
        stated = (getattr(config, name, None) for name in theirs)
        found = [size for size in stated if isinstance(size, int)]
        if found:
            sizes[ours] = found[-1]
    return sizes


def _gpt2(shape: ModelRecipe, vocab_size: int) -> PretrainedConfig:
    return GPT2Config(
        **ENDS,
        vocab_size=vocab_size,
        n_embd=shape.n_embd,
        n_layer=shape.n_layer,
        n_head=shape.n_head,
        n_inner=shape.n_inner,
        n_positions=shape.n_positions,
    )


def _gpt_neo(shape: ModelRecipe, vocab_size: int) -> PretrainedConfig:
    pairs, rest = divmod(shape.n_layer, 2)
    kinds: list[Any] = [[["global", "local"], pairs]] if pairs else []
    return GPTNeoConfig(
        **ENDS,
        vocab_size=vocab_size,
        hidden_size=shape.n_embd,
        num_layers=shape.n_layer,
        num_heads=shape.n_head,
        intermediate_size=shape.n_inner,
        max_position_embeddings=shape.n_positions,
        window_size=LOCAL_WINDOW,
        attention_types=kinds + ([[["global"], rest]] if rest else []),
    )


def _rotary(shape: ModelRecipe, vocab_size: int) -> dict[str, Any]:
    return ENDS | {
        "vocab_size": vocab_size,
        "hidden_size": shape.n_embd,
        "num_hidden_layers": shape.n_layer,
        "num_attention_heads": shape.n_head,
        "num_key_value_heads": shape.n_kv_head or shape.n_head,
        "intermediate_size": shape.n_inner or 8 * shape.n_embd // 3,
        "max_position_embeddings": shape.n_positions,
        "tie_word_embeddings": True,
    }


def _t5(shape: ModelRecipe, vocab_size: int) -> PretrainedConfig:
    return T5Config(
        **ENDS,
        vocab_size=vocab_size,
        d_model=shape.n_embd,
        d_kv=shape.n_embd // shape.n_head,
        d_ff=shape.n_inner or 4 * shape.n_embd,
        num_layers=shape.n_layer,
        num_heads=shape.n_head,
        n_positions=shape.n_positions,
        pad_token_id=END_OF_TEXT_ID,
        decoder_start_token_id=END_OF_TEXT_ID,
    )


_MAKERS = {
    "gpt2": _gpt2,
    "gpt_neo": _gpt_neo,
    "llama": lambda shape, vocab_size: LlamaConfig(**_rotary(shape, vocab_size)),
    "qwen2": lambda shape, vocab_size: Qwen2Config(**_rotary(shape, vocab_size)),
    "t5": _t5,
}
