"""Estimates a model's memory from its headers and configuration, before anything of it is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.model.catalog import NATIVE_FAMILIES
from penstock.model.dtypes import HEAD_DTYPES, Dtype, packed_bytes
from penstock.model.folder import read_config, weight_files
from penstock.model.safetensors_header import TensorRecord, read_header
from penstock.serving.models import LoadingOptions, LoadPlan

PROCESS_BYTES = 300_000_000  # an interpreter with torch and its buffers
TOKEN_EMBEDDINGS = ("wte.weight", "embed_tokens.weight", "shared.weight")
EMBEDDINGS = (*TOKEN_EMBEDDINGS, "wpe.weight", "relative_attention_bias.weight")
HEAD = "lm_head.weight"
CACHE_BYTES_PER_VALUE = 4


def footprint(plan: LoadPlan) -> int:
    """Bytes that a worker takes: itself, the weights as they are kept, the cache of one context.

    The cache grows beyond that when many long texts are under way, up to the operator's limit, and
    with beginnings of texts that are kept, up to a quarter of it. A model that drafts counts too.
    """
    folders = [plan.folder] if plan.draft is None else [plan.folder, plan.draft.folder]
    return PROCESS_BYTES + sum(_bytes_of_model(folder, plan.options) for folder in folders)


def _bytes_of_model(folder: Path, options: LoadingOptions) -> int:
    config, dtype = read_config(folder), options.dtype
    records = {
        name: record for path in weight_files(folder) for name, record in read_header(path).items()
    }
    is_native = config.get("model_type") in NATIVE_FAMILIES
    weights = _bytes_of_native(records, dtype) if is_native else _bytes_of_all(records, dtype)
    return weights + min(_bytes_of_one_context(config), options.cache_bytes)


def _bytes_of_all(records: Mapping[str, TensorRecord], dtype: Dtype) -> int:
    return packed_bytes(sum(record.num_elements for record in records.values()), dtype)


def _bytes_of_native(records: Mapping[str, TensorRecord], dtype: Dtype) -> int:
    """Matrices as they are packed; what is looked up stays as it is stored, vectors are fp32.

    A head that is tied to the token embedding is packed besides. Old files also hold masks, which
    have more dimensions and are not used.
    """
    matrices = {name: r for name, r in records.items() if len(r.shape) == 2}
    looked_up = {name: r for name, r in matrices.items() if name.endswith(EMBEDDINGS)}
    packed = [r for name, r in matrices.items() if name not in looked_up and name != HEAD]
    heads = [r for name, r in records.items() if name == HEAD] or [
        r for name, r in looked_up.items() if name.endswith(TOKEN_EMBEDDINGS)
    ]
    return (
        sum(4 * r.num_elements for r in records.values() if len(r.shape) == 1)
        + sum(r.end - r.start for r in looked_up.values())
        + sum(packed_bytes(r.num_elements, dtype) for r in packed)
        + sum(packed_bytes(r.num_elements, HEAD_DTYPES.get(dtype, dtype)) for r in heads[:1])
    )


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
