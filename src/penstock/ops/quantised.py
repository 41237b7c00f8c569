"""Weights kept in 8 or 4 bits: how they are rounded, and their product with rows in fp32.

The inputs of an output are taken in groups; what a group's codes stand for is told beside them.
See decision 30 for the sizes of the groups and how they were chosen.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from penstock.ops.interface import INT4
from penstock.ops.row_blocks import matmul_in_row_blocks

GROUP_SIZES = {torch.int8: 32, INT4: 16}
CHUNK_ELEMENTS = 1 << 20  # of a weight that are made fp32 at a time
TINY = 1e-30  # in place of 0 where it divides
GREATEST_CODE = 15  # of 4 bits
SHRINKS = (1.0, 0.9, 0.8)  # of a group's range: what lies outside is cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8LinearWeight:
    """An element is its code times its group's scale."""

    codes: Tensor  # (out_features, in_features) int8
    scales: Tensor  # (out_features, num_groups) bf16
    bias: Tensor | None  # (out_features,) fp32

    @property
    def out_features(self) -> int:
        return self.codes.shape[0]

    @property
    def num_bytes(self) -> int:
        return _num_bytes(self.codes, self.scales, self.bias)

    def restored(self, rows: slice = slice(None)) -> Tensor:
        """What the codes of some outputs stand for: (num_rows, in_features) fp32."""
        codes = self.codes[rows]
        scales = self.scales[rows].float().repeat_interleave(GROUP_SIZES[torch.int8], dim=1)
        return codes * scales[:, : codes.shape[1]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Int4LinearWeight:
    """An element is its code times its group's step, from its group's lowest value on.

    Steps and lowest values are whole multiples of what the output has for all its groups.
    """

    in_features: int
    codes: Tensor  # (out_features, padded in_features / 2) uint8, the first code in the low bits
    steps: Tensor  # (out_features, num_groups) uint8
    lows: Tensor  # (out_features, num_groups) int8
    units: Tensor  # (out_features, 2) fp32: of the steps, and of the lowest values
    bias: Tensor | None  # (out_features,) fp32

    @property
    def out_features(self) -> int:
        return self.codes.shape[0]

    @property
    def num_bytes(self) -> int:
        return _num_bytes(self.codes, self.steps, self.lows, self.units, self.bias)

    def restored(self, rows: slice = slice(None)) -> Tensor:
        """What the codes of some outputs stand for: (num_rows, in_features) fp32."""
        packed, units = self.codes[rows], self.units[rows]
        codes = torch.stack((packed & 15, packed >> 4), dim=2)
        codes = codes.view(len(packed), -1, GROUP_SIZES[INT4])
        steps, lows = self.steps[rows] * units[:, :1], self.lows[rows] * units[:, 1:]
        restored = codes * steps[:, :, None] + lows[:, :, None]
        return restored.view(len(packed), -1)[:, : self.in_features]


QuantisedLinearWeight = Int8LinearWeight | Int4LinearWeight


def product(x: Tensor, weight: QuantisedLinearWeight) -> Tensor:
    """`x @ weight.T` in fp32, some of the outputs at a time."""
    parts = _chunks(weight.out_features, x.shape[1])
    return torch.cat([matmul_in_row_blocks(x, weight.restored(part)) for part in parts], dim=1)


def quantised(weight: Tensor, bias: Tensor | None, store: torch.dtype) -> QuantisedLinearWeight:
    """Round a weight (out_features, in_features) to the nearest that `store` can tell."""
    bias = None if bias is None else bias.detach().float()
    weight = weight.detach()
    chunks = [weight[rows].float() for rows in _chunks(*weight.shape)]
    if store is torch.int8:
        codes, scales = map(torch.cat, zip(*map(_in_8_bits, chunks), strict=True))
        return Int8LinearWeight(codes=codes, scales=scales, bias=bias)
    codes, steps, lows, units = map(torch.cat, zip(*map(_in_4_bits, chunks), strict=True))
    return Int4LinearWeight(
        in_features=weight.shape[1], codes=codes, steps=steps, lows=lows, units=units, bias=bias
    )


def _in_8_bits(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and scales of some outputs. A group's greatest magnitude has the greatest code."""
    groups = _in_groups(weight, GROUP_SIZES[torch.int8])
    scales = (groups.abs().amax(dim=2, keepdim=True) / 127).bfloat16()
    codes = (groups / scales.float().clamp_min(TINY)).round().clamp(-127, 127).to(torch.int8)
    return codes.view(len(weight), -1)[:, : weight.shape[1]].contiguous(), scales[:, :, 0]


def _in_4_bits(weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Codes, steps, lowest values and their units of some outputs."""
    groups = _in_groups(weight, GROUP_SIZES[INT4])
    step, low = _best_fit(groups)
    units = torch.cat((step.amax(dim=1) / 255, low.abs().amax(dim=1) / 127), dim=1)
    steps = (step[:, :, 0] / units[:, :1].clamp_min(TINY)).round().clamp(1, 255)
    lows = (low[:, :, 0] / units[:, 1:].clamp_min(TINY)).round()
    step, low = (steps * units[:, :1])[:, :, None], (lows * units[:, 1:])[:, :, None]
    codes = _codes(groups, step, low).to(torch.uint8).view(len(weight), -1, 2)
    packed = codes[:, :, 0] | codes[:, :, 1] << 4
    return packed, steps.to(torch.uint8), lows.to(torch.int8), units


def _best_fit(groups: Tensor) -> tuple[Tensor, Tensor]:
    """The step and lowest value (num_rows, num_groups, 1) with which each group errs least.

    For each of some ranges: what that range gives, and the line through the codes that result.
    """
    least, greatest = groups.aminmax(dim=2, keepdim=True)
    best_step, best_low, best_error = least, least, torch.full_like(least, torch.inf)
    for shrink in SHRINKS:
        step = (greatest - least) * shrink / GREATEST_CODE
        low = least + (greatest - least) * (1 - shrink) / 2
        for fitted in ((step, low), _line(groups, _codes(groups, step, low))):
            error = _error(groups, *fitted)
            is_better = error < best_error
            best_step = torch.where(is_better, fitted[0], best_step)
            best_low = torch.where(is_better, fitted[1], best_low)
            best_error = torch.where(is_better, error, best_error)
    return best_step, best_low


def _codes(groups: Tensor, step: Tensor, low: Tensor) -> Tensor:
    return ((groups - low) / step.clamp_min(TINY)).round().clamp(0, GREATEST_CODE)


def _line(groups: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Step and lowest value of least squares, the codes given."""
    mean_code, mean = codes.mean(dim=2, keepdim=True), groups.mean(dim=2, keepdim=True)
    centred = codes - mean_code
    spread = centred.square().sum(dim=2, keepdim=True).clamp_min(TINY)
    step = (centred * (groups - mean)).sum(dim=2, keepdim=True) / spread
    return step, mean - step * mean_code


def _error(groups: Tensor, step: Tensor, low: Tensor) -> Tensor:
    rounded = _codes(groups, step, low) * step + low
    return (rounded - groups).square().sum(dim=2, keepdim=True)


def _in_groups(weight: Tensor, size: int) -> Tensor:
    """(num_rows, num_groups, size); the last group is filled up with its last element."""
    padded = nn.functional.pad(weight[None], (0, -weight.shape[1] % size), mode="replicate")[0]
    return padded.view(len(weight), -1, size)


def _chunks(num_rows: int, width: int) -> Iterator[slice]:
    size = max(1, CHUNK_ELEMENTS // width)
    return (slice(start, start + size) for start in range(0, num_rows, size))


def _num_bytes(*tensors: Tensor | None) -> int:
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)
