"""Writes a checkpoint in which an adapter has become part of the weights."""

import shutil
from pathlib import Path

from torch import Tensor, float32

from penstock.errors import InvalidParameter, UnsupportedAdapter
from penstock.model.adapters import place_of, read_low_ranks
from penstock.model.checkpoint import read_weights, write_checkpoint
from penstock.model.families import FAMILIES
from penstock.model.folder import CONFIG_FILE, read_config
from penstock.ops.adapted_ops import AdaptedOps
from penstock.ops.torch_ops import TorchOps

PREFIXES = ("", "transformer.")  # that families know a module without
KEPT_SUFFIXES = (".json", ".txt", ".jinja", ".model", ".md")  # of files beside the weights
INDEX_SUFFIX = ".index.json"


def merge_adapter(base: Path, adapter: Path, out: Path) -> int:
    """Write `base` with `adapter` merged to a new folder; return how many matrices changed.

    What changes is written as fp32, whatever it was: nothing of the adapter is rounded away.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InvalidParameter(f"{out} is there already.", "Name a new folder.", param="out")
    config, weights = read_config(base), read_weights(base)
    if config["model_type"] not in FAMILIES:
        raise UnsupportedAdapter(
            f"A model of the type {config['model_type']!r} takes no adapters.",
            f"Supported are {', '.join(sorted(FAMILIES))}.",
            param="base",
        )
    ops = AdaptedOps(TorchOps())
    FAMILIES[config["model_type"]].load(config, weights, ops, float32)
    low_ranks = read_low_ranks(adapter)
    for module, low_rank in low_ranks.items():
        name, place = place_of(adapter.name, module, low_rank, ops.modules)
        key = _key_of(name, weights)
        added = low_rank.up @ low_rank.down
        weights[key] = weights[key].float() + (added.t() if place.is_transposed else added)
    write_checkpoint(out, weights, config | {"dtype": "float32"})
    _copy_the_rest(base, out)
    return len(low_ranks)


def _key_of(module: str, weights: dict[str, Tensor]) -> str:
    return next(key for prefix in PREFIXES if (key := f"{prefix}{module}.weight") in weights)


def _copy_the_rest(base: Path, out: Path) -> None:
    """The tokenizer, the chat template and what else describes the model."""
    for path in base.iterdir():
        is_index = path.name.endswith(INDEX_SUFFIX)
        if path.suffix in KEPT_SUFFIXES and not is_index and path.name != CONFIG_FILE:
            shutil.copyfile(path, out / path.name)
