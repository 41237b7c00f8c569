"""A draft model that thinks much like a model, and not quite."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from penstock.model.loading import LoadedModel


class Unsure:
    """A family whose logits are another's with some noise, the same for the same logits."""

    def __init__(self, family: Any, noise: float) -> None:
        self._family = family
        self._noise = noise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._family, name)

    def forward(self, *arguments: Any) -> Tensor:
        logits = self._family.forward(*arguments)
        return logits + self._noise * torch.sin(1000 * logits)


class UnsureEncoderDecoder(Unsure):
    """The same of an encoder-decoder, which is told by its attributes."""

    def __init__(self, family: Any, noise: float) -> None:
        super().__init__(family, noise)
        self.decoder_start_token_id = family.decoder_start_token_id
        self.encode = family.encode
        for name in ("context_length", "vocab_size", "num_parameters", "num_bytes", "cache_shape"):
            setattr(self, name, getattr(family, name))
        self.load = family.load


def drafting_like(model: LoadedModel, noise: float = 1.0) -> LoadedModel:
    """`model` as a draft for itself that is wrong now and then."""
    kind = Unsure if model.decoder_start_token_id is None else UnsureEncoderDecoder
    return replace(model, model_id="draft", family=kind(model.family, noise))
