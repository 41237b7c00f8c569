"""Rotary positions (Su et al. 2021) with the scaling variants in use. Knows no layers."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from penstock.errors import UnsupportedModel

LENGTH_DEPENDENT = ("dynamic", "longrope")  # their angles change as a text grows


class Rotary:
    """The angles by which queries and keys are turned at each position."""

    def __init__(self, config: Mapping[str, Any], head_size: int) -> None:
        self._frequencies, self._scale = _frequencies(config, head_size)

    def angles(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines (num_tokens, 1, head_size) for `positions` (num_tokens,)."""
        half = positions[:, None].float() * self._frequencies
        whole = torch.cat([half, half], dim=-1)[:, None]
        return whole.cos() * self._scale, whole.sin() * self._scale


def rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair (i, i + head_size / 2) of `x` (num_tokens, num_heads, head_size)."""
    cosines, sines = angles
    first, second = x.chunk(2, dim=-1)
    return x * cosines + torch.cat([-second, first], dim=-1) * sines


def _frequencies(config: Mapping[str, Any], head_size: int) -> tuple[Tensor, float]:
    """Angle per position for each pair (head_size / 2,), and a factor for cosine and sine."""
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind == "default":
        base = float(scaling.get("rope_theta", config.get("rope_theta", 10_000.0)))
        exponents = torch.arange(0, head_size, 2, dtype=torch.int64).float() / head_size
        return 1.0 / base**exponents, 1.0
    return _scaled_frequencies(config, kind)


def _scaled_frequencies(config: Mapping[str, Any], kind: str) -> tuple[Tensor, float]:
    """The variants that stretch the context, by transformers' own functions."""
    from transformers import AutoConfig  # noqa: PLC0415  slow to import, seldom needed
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS  # noqa: PLC0415

    if kind in LENGTH_DEPENDENT or kind not in ROPE_INIT_FUNCTIONS:
        raise UnsupportedModel(
            f"Rotary positions of the type {kind!r} are not supported.",
            "Supported are default, linear, llama3 and yarn.",
        )
    full = AutoConfig.for_model(**config)
    frequencies, scale = ROPE_INIT_FUNCTIONS[kind](full, torch.device("cpu"))
    return frequencies.float(), float(scale)
