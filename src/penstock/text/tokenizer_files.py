"""Finds and reads the tokenizer in a model folder; knows nothing of how it is used.

`tokenizer.json` and GPT-2's pair of files are read directly: transformers takes seconds to import.
"""

from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers

from penstock.errors import ModelUnavailable, UnsupportedModel
from penstock.text.json_object import read_json_object_if_present

GPT2_END_OF_TEXT = "<|endoftext|>"
_GPT2_CLASSES = {"GPT2Tokenizer", "GPT2TokenizerFast"}
_GPT2_MODEL_TYPES = {"gpt2", "gpt_neo"}
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model", "vocab.txt")


def has_tokenizer(folder: Path) -> bool:
    """Whether the folder holds a file that a tokenizer can be read from."""
    return any((folder / name).is_file() for name in TOKENIZER_FILES)


def read_tokenizer(folder: Path) -> tokenizers.Tokenizer:
    """Read the folder's tokenizer; refuse one that needs code of its own."""
    config = read_json_object_if_present(folder / "tokenizer_config.json")
    if "auto_map" in config:
        raise UnsupportedModel(
            f"The tokenizer in {folder} needs Python code from its repository (auto_map).",
            "Penstock never runs such code. Choose a model whose tokenizer transformers knows.",
        )
    if not has_tokenizer(folder):
        raise ModelUnavailable(
            f"{folder} has no tokenizer.", f"Add one of: {', '.join(TOKENIZER_FILES)}."
        )
    try:
        return _read(folder, config)
    except UnsupportedModel:
        raise
    except Exception as error:  # the libraries raise bare Exception for a broken file
        raise UnsupportedModel(
            f"The tokenizer in {folder} cannot be read ({error}).", "Fetch the model's files again."
        ) from error


def _read(folder: Path, config: dict[str, Any]) -> tokenizers.Tokenizer:
    if (folder / "tokenizer.json").is_file():
        return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    if _has_gpt2_files(folder, config):
        return _build_gpt2(folder, add_prefix_space=config.get("add_prefix_space") is True)
    return _read_with_transformers(folder)


def _has_gpt2_files(folder: Path, config: dict[str, Any]) -> bool:
    if not all((folder / name).is_file() for name in ("vocab.json", "merges.txt")):
        return False
    if (name := config.get("tokenizer_class")) is not None:
        return name in _GPT2_CLASSES
    model_type = read_json_object_if_present(folder / "config.json").get("model_type", "gpt2")
    return model_type in _GPT2_MODEL_TYPES


def _build_gpt2(folder: Path, *, add_prefix_space: bool) -> tokenizers.Tokenizer:
    bpe = models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer = tokenizers.Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    if tokenizer.token_to_id(GPT2_END_OF_TEXT) is not None:
        tokenizer.add_special_tokens([AddedToken(GPT2_END_OF_TEXT, special=True, normalized=False)])
    return tokenizer


def _read_with_transformers(folder: Path) -> tokenizers.Tokenizer:
    from transformers import AutoTokenizer  # noqa: PLC0415  # seconds to import, seldom needed

    loaded = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    backend = getattr(loaded, "backend_tokenizer", None)
    if not isinstance(backend, tokenizers.Tokenizer):
        raise UnsupportedModel(
            f"The tokenizer in {folder} ({type(loaded).__name__}) has no fast form.",
            "Save it as tokenizer.json with transformers and load the folder again.",
        )
    return backend


def read_eos_token_ids(folder: Path, tokenizer: tokenizers.Tokenizer) -> frozenset[int]:
    """Return the ids that end a text, from the first file that names any."""
    for name in ("generation_config.json", "config.json"):
        stated = read_json_object_if_present(folder / name).get("eos_token_id")
        if ids := _valid_ids(stated):
            return ids
    config = read_json_object_if_present(folder / "tokenizer_config.json")
    stated = config.get("eos_token", GPT2_END_OF_TEXT)
    content = stated.get("content") if isinstance(stated, dict) else stated
    token_id = tokenizer.token_to_id(content) if isinstance(content, str) else None
    return frozenset() if token_id is None else frozenset({token_id})


def _valid_ids(stated: Any) -> frozenset[int]:
    candidates = stated if isinstance(stated, list) else [stated]
    return frozenset(
        item
        for item in candidates
        if isinstance(item, int) and not isinstance(item, bool) and item >= 0
    )
