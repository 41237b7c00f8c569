"""Turns a model folder into something that runs; knows no architecture and no request."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from penstock.errors import UnsupportedModel
from penstock.model.adapter_folder import AdapterFolders
from penstock.model.adapters import MAX_ADAPTER_BYTES, AdapterShelf
from penstock.model.attributes import AttributeFolder
from penstock.model.bridged_types import refuse_unknown
from penstock.model.checkpoint import read_weights
from penstock.model.dtypes import QUANTISED, Dtype
from penstock.model.families import FAMILIES
from penstock.model.families.interface import EncoderDecoder, Family, TellsHidden
from penstock.model.folder import read_config
from penstock.ops.adapted_ops import AdaptedOps
from penstock.ops.choices import Chooser
from penstock.ops.interface import INT4, Ops
from penstock.text.chat_templates import FALLBACK_TEMPLATE, ChatTemplate
from penstock.text.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

Stage = Literal["tokenizer", "weights", "layout"]

STORES: Mapping[Dtype, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "int8": torch.int8,
    "int4": INT4,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterPlaces:
    """Where a model's adapters come from, and how much memory they may take."""

    folders: AdapterFolders = field(default_factory=AdapterFolders)
    max_bytes: int = MAX_ADAPTER_BYTES


NO_ADAPTERS = AdapterPlaces()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model that can run: its architecture with weights, and its tokenizer."""

    model_id: str
    family: Family
    tokenizer: Tokenizer
    context_length: int
    vocab_size: int
    num_parameters: int
    dtype: Dtype
    num_bytes: int
    load_seconds: float
    chat_template: ChatTemplate = FALLBACK_TEMPLATE
    adapters: AdapterShelf = field(default_factory=lambda: AdapterShelf(None, AdapterFolders()))
    attributes: AttributeFolder = field(default_factory=AttributeFolder)
    chooser: Chooser | None = None  # chooses tokens natively; else the reference does
    draft: "LoadedModel | None" = None  # a smaller model that guesses what this one will write

    @property
    def hidden_size(self) -> int | None:
        """The width of a prompt's final hidden states, where it tells them."""
        if isinstance(self.family, TellsHidden) and self.decoder_start_token_id is None:
            return self.family.hidden_size
        return None

    @property
    def decoder_start_token_id(self) -> int | None:
        """What a text begins with after the prompt was encoded; `None` where it continues it."""
        family = self.family
        return family.decoder_start_token_id if isinstance(family, EncoderDecoder) else None


def load_model(  # noqa: PLR0913  # how it is loaded, each with a default
    folder: Path,
    *,
    model_id: str,
    ops: Ops,
    dtype: Dtype = "float32",
    device: str = "cpu",
    adapters: AdapterPlaces = NO_ADAPTERS,
    progress: Callable[[Stage], None] = lambda stage: None,
) -> LoadedModel:
    """Load a folder; `progress` hears of each stage as it begins."""
    started = time.perf_counter()
    config = read_config(folder)
    refuse_unknown(config["model_type"])
    _refuse_unquantisable(config["model_type"], dtype)
    progress("tokenizer")
    tokenizer = Tokenizer.from_folder(folder)
    progress("weights")
    weights = read_weights(folder)
    progress("layout")
    on_device = {name: tensor.to(device) for name, tensor in weights.items()}
    adapted = AdaptedOps(ops) if config["model_type"] in FAMILIES else None
    family = _load_family(config, on_device, adapted or ops, STORES[dtype])
    _check_vocabulary(tokenizer, family)
    loaded = LoadedModel(
        model_id=model_id,
        family=family,
        tokenizer=tokenizer,
        context_length=family.context_length,
        vocab_size=family.vocab_size,
        num_parameters=family.num_parameters,
        dtype=dtype,
        num_bytes=family.num_bytes,
        load_seconds=time.perf_counter() - started,
        chat_template=ChatTemplate.from_folder(folder),
        adapters=AdapterShelf(adapted, adapters.folders, max_bytes=adapters.max_bytes),
        attributes=AttributeFolder(adapters.folders.data_dir),
        chooser=ops.chooser,
    )
    logger.info(
        "Loaded %s: %d parameters as %s, %d bytes, in %.2f s.",
        model_id, loaded.num_parameters, dtype, loaded.num_bytes, loaded.load_seconds,
    )  # fmt: skip
    return loaded


def _refuse_unquantisable(model_type: str, dtype: Dtype) -> None:
    """Refuse to quantise a model that transformers' own code computes."""
    if dtype in QUANTISED and model_type not in FAMILIES:
        raise UnsupportedModel(
            f"A model of the type {model_type!r} runs through transformers and cannot be kept as "
            f"{dtype}.",
            "Set PENSTOCK_ENGINE__DTYPE to float32 or bfloat16, or choose a model of the types "
            f"{', '.join(sorted(FAMILIES))}.",
        )


def _load_family(
    config: Mapping[str, Any], weights: Mapping[str, Tensor], ops: Ops, store: torch.dtype
) -> Family:
    """Our own implementation of the architecture, or transformers' where there is none."""
    native = FAMILIES.get(config["model_type"])
    if native is not None:
        return native.load(config, weights, ops, store)
    from penstock.model.families.transformers_bridge import (  # noqa: PLC0415  # slow to import
        load_bridged,
    )

    return load_bridged(config, weights, ops, store)


def _check_vocabulary(tokenizer: Tokenizer, family: Family) -> None:
    """A model may have spare rows, but a tokenizer may not have ids that the model lacks."""
    if tokenizer.vocab_size == 0 or tokenizer.vocab_size > family.vocab_size:
        raise UnsupportedModel(
            f"The tokenizer has {tokenizer.vocab_size} tokens, "
            f"but the model has {family.vocab_size}.",
            "The files do not belong together: fetch them all again.",
        )
