"""What a model folder must hold, and what gets one refused; loads nothing and knows no tensors.

Only safetensors: a pickle file runs whatever code its author put in.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.errors import ModelUnavailable, UnsupportedModel
from penstock.text.json_object import read_json_object
from penstock.text.tokenizer_files import TOKENIZER_FILES, has_tokenizer

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
TEXT_FILES = (*TOKENIZER_FILES, "merges.txt", "tokenizer_config.json", "generation_config.json")
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_SHARD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors")


def check_files(folder: Path) -> None:
    """Refuse a folder that lacks a file which loading needs; says nothing of what is in them."""
    missing = [] if (folder / CONFIG_FILE).is_file() else [CONFIG_FILE]
    missing += [] if has_tokenizer(folder) else ["a tokenizer"]
    missing += [path.name for path in weight_files(folder) if not path.is_file()]
    if missing:
        raise ModelUnavailable(
            f"{folder} lacks {', '.join(missing)}.", "Fetch the model's files again."
        )


def is_complete(folder: Path) -> bool:
    """Whether every file that loading needs is here, in a form that Penstock reads."""
    try:
        check_files(folder)
    except (ModelUnavailable, UnsupportedModel):
        return False
    return True


def read_config(folder: Path) -> dict[str, Any]:
    """Return `config.json`; refuse a model that needs code of its own or packed weights."""
    if not folder.is_dir():
        raise ModelUnavailable(f"{folder} is not a folder.", "Give the folder with config.json.")
    config = read_json_object(folder / CONFIG_FILE)
    if "auto_map" in config:
        raise UnsupportedModel(
            f"The model in {folder} needs Python code from its repository (auto_map).",
            "Penstock never runs such code. Choose a model of a supported family.",
        )
    if "quantization_config" in config:
        raise UnsupportedModel(
            f"The weights in {folder} are quantised ({CONFIG_FILE} has quantization_config).",
            "Use the original checkpoint: fp32, bf16 or fp16.",
        )
    if not isinstance(config.get("model_type"), str):
        raise UnsupportedModel(
            f"{folder / CONFIG_FILE} does not say its model_type.", "Fetch the model's files again."
        )
    return config


def read_size(config: Mapping[str, Any], name: str, most: int = 10_000_000) -> int:
    """Return a count or width of the configuration; refuse one that is missing or out of reason."""
    value = config.get(name)
    if type(value) is not int or not 1 <= value <= most:
        raise UnsupportedModel(
            f"{CONFIG_FILE} has {name}={value!r}.",
            f"It must be a whole number from 1 to {most}: fetch the model's files again.",
        )
    return value


def weight_files(folder: Path) -> dict[Path, frozenset[str] | None]:
    """Return the files that hold the weights, each with the tensors to take from it (None: all)."""
    if (folder / WEIGHTS_FILE).is_file():
        return {folder / WEIGHTS_FILE: None}
    if (folder / INDEX_FILE).is_file():
        return _read_index(folder)
    if pickle := _first_pickle(folder):
        raise UnsupportedModel(
            f"The weights in {folder} are a pickle file ({pickle}), which can run any code.",
            "Save the model as safetensors (save_pretrained of a recent transformers does), "
            "or choose a revision that has them.",
        )
    raise ModelUnavailable(f"{folder} has no {WEIGHTS_FILE}.", "Fetch the model's files again.")


def text_files(folder: Path) -> list[Path]:
    """Return the configuration and the files of the tokenizer, those that there are."""
    return [folder / name for name in (CONFIG_FILE, *TEXT_FILES) if (folder / name).is_file()]


def _read_index(folder: Path) -> dict[Path, frozenset[str] | None]:
    weight_map = read_json_object(folder / INDEX_FILE).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UnsupportedModel(
            f"{folder / INDEX_FILE} has no weight_map.", "Fetch the model's files again."
        )
    files: dict[Path, set[str]] = {}
    for tensor, name in weight_map.items():
        if not (isinstance(name, str) and _SHARD_NAME.fullmatch(name)):
            raise UnsupportedModel(
                f"{folder / INDEX_FILE} names {name!r}, which is not a safetensors file beside it.",
                "Do not use this model: its files were made to reach outside their folder.",
            )
        files.setdefault(folder / name, set()).add(tensor)
    return {path: frozenset(names) for path, names in sorted(files.items())}


def _first_pickle(folder: Path) -> str | None:
    files = folder.iterdir() if folder.is_dir() else ()
    return min((path.name for path in files if path.suffix in PICKLE_SUFFIXES), default=None)
