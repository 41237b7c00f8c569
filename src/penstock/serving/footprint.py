"""Estimates a model's memory from its headers and configuration, before anything of it is read."""

from typing import Any

from penstock.model.folder import read_config, weight_files
from penstock.model.safetensors_header import read_header
from penstock.serving.models import LoadPlan

PROCESS_BYTES = 300_000_000  # an interpreter with torch and its buffers
BYTES_OF_DTYPE = {"float32": 4, "bfloat16": 2}
CACHE_BYTES_PER_VALUE = 4


def footprint(plan: LoadPlan) -> int:
    """Bytes that a worker takes: itself, the weights as they are kept, the cache of one context.

    The cache grows beyond that when many long texts are under way, up to the operator's limit, and
    with beginnings of texts that are kept, up to a quarter of it.
    """
    num_parameters = sum(
        record.num_elements
        for path in weight_files(plan.folder)
        for record in read_header(path).values()
    )
    weights = num_parameters * BYTES_OF_DTYPE[plan.options.dtype]
    cache = min(_bytes_of_one_context(read_config(plan.folder)), plan.options.cache_bytes)
    return PROCESS_BYTES + weights + cache


def _bytes_of_one_context(config: dict[str, Any]) -> int:
    """Keys and values of one full context, by whichever names the configuration has for its sizes.

    A size that is missing counts as nothing: loading says what is wrong with such a file.
    """
    layers = _first(config, "num_hidden_layers", "n_layer", "num_layers")
    width = _first(config, "hidden_size", "n_embd", "d_model")
    context = _first(config, "max_position_embeddings", "n_positions")
    heads = _first(config, "num_attention_heads", "n_head", "num_heads")
    key_value_heads = _first(config, "num_key_value_heads") or heads
    head_width = _first(config, "head_dim") or (width // heads if heads else 0)
    return CACHE_BYTES_PER_VALUE * 2 * layers * context * key_value_heads * head_width


def _first(config: dict[str, Any], *names: str) -> int:
    """The first of these that is a count; 0 if none is."""
    sizes = (config.get(name) for name in names)
    return next((size for size in sizes if type(size) is int and size >= 0), 0)
