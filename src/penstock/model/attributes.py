"""Attributes: tiny classifiers of unfinished texts, kept as one safetensors file each.

A request's name only ever looks a file up: it is never made part of a path.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from penstock.errors import InvalidParameter
from penstock.text.tokenizer import Tokenizer

FOLDER = "attributes"  # in the data directory
SUFFIX = ".safetensors"
MAX_BYTES = 16 * 2**20
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Attribute:
    """How likely a text, finished or not, has an attribute: a logistic regression on its tokens."""

    name: str
    weights: Tensor  # (vocab_size,): what each token adds to the log-odds
    bias: float
    digest: str = ""


@dataclass(frozen=True, slots=True)
class AttributeFolder:
    """Where attributes lie: in the data directory."""

    data_dir: Path | None = None

    def by_name(self) -> dict[str, Path]:
        """All of them as they are now."""
        found = [] if self.data_dir is None else sorted((self.data_dir / FOLDER).glob(f"*{SUFFIX}"))
        return {path.stem: path for path in found}

    def load(self, name: str, tokenizer: Tokenizer) -> Attribute:
        """The attribute, as it is now, for a model with this tokenizer."""
        paths = self.by_name()
        if name not in paths:
            there_are = f"There are {', '.join(paths)}." if paths else "There is none."
            raise InvalidParameter(
                f"There is no attribute {name[:100]!r}.",
                f"{there_are} Train one with `penstock attributes train`.",
                param="attribute",
            )
        return read_attribute(paths[name], tokenizer)


def read_attribute(path: Path, tokenizer: Tokenizer) -> Attribute:
    """Read a file that `write_attribute` wrote; refuse one for other tokens."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _broken(path, f"it has more than {MAX_BYTES} bytes")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with safe_open(path, "pt") as file:
            metadata: Mapping[str, str] = file.metadata() or {}
            weights = file.get_tensor("weights").float()
            bias = float(file.get_tensor("bias"))
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise _broken(path, str(error)) from error
    if metadata.get("tokens") != tokenizer.digest:
        raise InvalidParameter(
            f"The attribute {path.stem} was trained for a model with other tokens.",
            "Train it again for this model with `penstock attributes train`.",
            param="attribute",
        )
    if weights.shape != (tokenizer.vocab_size,) or not bool(weights.isfinite().all()):
        raise _broken(path, "its weights are not one number for each token")
    return Attribute(path.stem, weights, bias, digest)


def write_attribute(attribute: Attribute, tokenizer: Tokenizer, data_dir: Path) -> Path:
    """Write the attribute where requests find it; an older one of the same name is replaced."""
    if not NAME.fullmatch(attribute.name):
        raise InvalidParameter(
            f"name={attribute.name!r} cannot be the name of an attribute.",
            "Use letters, digits, '.', '_' and '-'.",
            param="name",
        )
    folder = data_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{attribute.name}{SUFFIX}"
    part = folder / f".{attribute.name}.part"
    tensors = {"weights": attribute.weights.contiguous(), "bias": torch.tensor(attribute.bias)}
    save_file(tensors, part, metadata={"tokens": tokenizer.digest})
    part.replace(path)
    return path


def _broken(path: Path, why: str) -> InvalidParameter:
    return InvalidParameter(
        f"The attribute {path.stem} cannot be used: {why}.",
        "Train it again with `penstock attributes train`.",
        param="attribute",
    )
