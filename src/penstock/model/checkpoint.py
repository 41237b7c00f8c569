"""Weights in and out of a model folder, as safetensors and nothing else; knows no architecture."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import save_file
from torch import Tensor

from penstock.errors import UnsupportedModel
from penstock.model.folder import CONFIG_FILE, INDEX_FILE, WEIGHTS_FILE, weight_files
from penstock.model.safetensors_header import read_header


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Return every tensor by name, mapped from its file, all headers checked first."""
    files = weight_files(folder)
    for path, wanted in files.items():
        _check_names(path, read_header(path).keys(), wanted)
    return {name: tensor for path in files for name, tensor in _map_tensors(path).items()}


def write_checkpoint(
    folder: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any]
) -> None:
    """Write weights and configuration; on any failure the folder keeps the files it had.

    Both are complete on disk before the first takes its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights, description = _partial(folder, WEIGHTS_FILE), _partial(folder, CONFIG_FILE)
    try:
        contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, weights, metadata={"format": "pt"})
        description.write_text(json.dumps(dict(config), indent=2) + "\n", encoding="utf-8")
        shutil.copymode(description, weights)  # safetensors leaves it to its owner alone
        _flush(weights)
        _flush(description)
        weights.replace(folder / WEIGHTS_FILE)
        description.replace(folder / CONFIG_FILE)
        _flush(folder)
    finally:
        weights.unlink(missing_ok=True)
        description.unlink(missing_ok=True)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of one safetensors file, its header checked first."""
    read_header(path)
    return _map_tensors(path)


def _check_names(path: Path, names: Iterable[str], wanted: frozenset[str] | None) -> None:
    differing = set() if wanted is None else wanted.symmetric_difference(names)
    if differing:
        raise UnsupportedModel(
            f"{path} and {INDEX_FILE} disagree about {sorted(differing)[0]!r}.",
            "Fetch the model's files again.",
        )


def _map_tensors(path: Path) -> dict[str, Tensor]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, RuntimeError, OSError) as error:
        raise UnsupportedModel(
            f"{path} cannot be read ({error}).", "Fetch the model's files again."
        ) from error


def _partial(folder: Path, name: str) -> Path:
    return folder / f".{name}.{os.getpid()}.partial"


def _flush(path: Path) -> None:
    """Make sure that a file, or a folder's list of names, outlives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
