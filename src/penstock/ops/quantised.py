"""Weights kept in 8 or 4 bits: how they are rounded, and their product with rows.

An element is a code times a scale that a group of an output's inputs shares. The rows they are
multiplied with are rounded in the same groups, each row by itself, so that codes are multiplied
with codes. See decision 38 for the sizes of the groups and how they were chosen.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from penstock.ops.interface import INT4
from penstock.ops.row_blocks import matmul_in_row_blocks

STORES = (torch.int8, INT4)
GROUP_SIZE = 64  # inputs that share a scale
STEP_SIZE = 16  # inputs whose 4-bit codes share a step and a lowest value
GREATEST = 127  # code of 8 bits
GREATEST_IN_4_BITS = 15
GREATEST_STEP = 16  # so that step * code fits in a byte
CHUNK_ELEMENTS = 1 << 20  # of a weight that are made fp32 at a time
TINY = 1e-30  # in place of 0 where it divides
SHRINKS = (1.0, 0.9, 0.8)  # of the range of inputs with one step: what lies outside is cut off


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
        scales = self.scales[rows].float().repeat_interleave(GROUP_SIZE, dim=1)
        return codes * scales[:, : codes.shape[1]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Int4LinearWeight:
    """An element is `low + step * code` times its group's scale, all three whole numbers.

    The three together are a code of 8 bits: from -127 to 127.
    """

    in_features: int
    codes: Tensor  # (out_features, padded in_features / 2) uint8, the first code in the low bits
    steps: Tensor  # (out_features, num_steps) uint8: 1 to 16
    lows: Tensor  # (out_features, num_steps) int8
    scales: Tensor  # (out_features, num_groups) bf16
    bias: Tensor | None  # (out_features,) fp32

    @property
    def out_features(self) -> int:
        return self.codes.shape[0]

    @property
    def num_bytes(self) -> int:
        return _num_bytes(self.codes, self.steps, self.lows, self.scales, self.bias)

    def restored(self, rows: slice = slice(None)) -> Tensor:
        """What the codes of some outputs stand for: (num_rows, in_features) fp32."""
        packed = self.codes[rows]
        codes = torch.stack((packed & 15, packed >> 4), dim=2).view(len(packed), -1, STEP_SIZE)
        codes = codes * self.steps[rows, :, None].float() + self.lows[rows, :, None]
        scales = self.scales[rows].float().repeat_interleave(GROUP_SIZE, dim=1)
        return (codes.view(len(packed), -1) * scales)[:, : self.in_features]


QuantisedLinearWeight = Int8LinearWeight | Int4LinearWeight


def product(x: Tensor, weight: QuantisedLinearWeight) -> Tensor:
    """`x @ weight.T` of rows rounded to codes, some of the outputs at a time."""
    x = rounded_rows(x)
    parts = _chunks(weight.out_features, x.shape[1])
    return torch.cat([matmul_in_row_blocks(x, weight.restored(part)) for part in parts], dim=1)


def rounded_rows(x: Tensor) -> Tensor:
    """What is left of rows (rows, in_features) when each group of each row becomes 8-bit codes."""
    groups = _in_groups(x, GROUP_SIZE)
    greatest = groups.abs().amax(dim=2, keepdim=True)
    codes = (groups * (greatest.clamp_min(TINY).reciprocal() * GREATEST)).round()
    return (codes * (greatest / GREATEST)).view(len(x), -1)[:, : x.shape[1]]


def quantised(weight: Tensor, bias: Tensor | None, store: torch.dtype) -> QuantisedLinearWeight:
    """Round a weight (out_features, in_features) to the nearest that `store` can tell."""
    bias = None if bias is None else bias.detach().float()
    weight = weight.detach()
    chunks = [weight[rows].float() for rows in _chunks(*weight.shape)]
    if store is torch.int8:
        codes, scales = map(torch.cat, zip(*map(_in_8_bits, chunks), strict=True))
        return Int8LinearWeight(codes=codes, scales=scales, bias=bias)
    codes, steps, lows, scales = map(torch.cat, zip(*map(_in_4_bits, chunks), strict=True))
    return Int4LinearWeight(
        in_features=weight.shape[1], codes=codes, steps=steps, lows=lows, scales=scales, bias=bias
    )


def _in_8_bits(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and scales of some outputs. A group's greatest magnitude has the greatest code."""
    groups = _in_groups(weight, GROUP_SIZE)
    scales = (groups.abs().amax(dim=2, keepdim=True) / GREATEST).bfloat16()
    codes = (groups / scales.float().clamp_min(TINY)).round().clamp(-GREATEST, GREATEST)
    codes = codes.to(torch.int8).view(len(weight), -1)[:, : weight.shape[1]].contiguous()
    return codes, scales[:, :, 0]


def _in_4_bits(weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Codes, steps, lowest values and scales of some outputs: of what is tried, what errs least."""
    groups = _in_groups(weight, GROUP_SIZE)
    scales = _scales_that_hold(groups)
    parts = groups / scales.float().clamp_min(TINY)[:, :, None]
    parts = parts.view(len(weight), -1, STEP_SIZE)
    steps, lows = parts[:, :, :1], parts[:, :, :1]
    least_error = torch.full_like(steps, torch.inf)
    for step, low in _grids(*parts.aminmax(dim=2, keepdim=True)):
        error = _sum_of_halves((_codes(parts, step, low) * step + low - parts).square())
        is_better = error < least_error
        steps, lows = torch.where(is_better, step, steps), torch.where(is_better, low, lows)
        least_error = torch.where(is_better, error, least_error)
    codes = _codes(parts, steps, lows).to(torch.uint8).view(len(weight), -1, 2)
    packed = codes[:, :, 0] | codes[:, :, 1] << 4
    return packed, steps[:, :, 0].to(torch.uint8), lows[:, :, 0].to(torch.int8), scales


def _scales_that_hold(groups: Tensor) -> Tensor:
    """With which neither a step nor a code of a group is beyond the greatest: bf16."""
    least, greatest = groups.view(*groups.shape[:2], -1, STEP_SIZE).aminmax(dim=3)
    step = (greatest - least) / (GREATEST_IN_4_BITS * GREATEST_STEP)
    needed = torch.maximum(step, torch.maximum(least.abs(), greatest.abs()) / GREATEST)
    return needed.amax(dim=2).bfloat16()


def _grids(least: Tensor, greatest: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Steps and lowest values worth trying for values between these, both in whole codes.

    For each range the nearest step around its middle, and a step that holds it so that 0 stays 0.
    """
    for shrink in SHRINKS:
        step = (greatest - least) * (shrink / GREATEST_IN_4_BITS)
        nearest = step.round().clamp(1, GREATEST_STEP)
        middle = (least + greatest) / 2 - nearest * (GREATEST_IN_4_BITS / 2)
        yield nearest, _within_codes(middle.round(), nearest)
        holding = step.ceil().clamp(1, GREATEST_STEP)
        yield holding, _within_codes((shrink * least / holding).round() * holding, holding)


def _within_codes(low: Tensor, step: Tensor) -> Tensor:
    greatest = GREATEST - GREATEST_IN_4_BITS * step
    return torch.minimum(low.clamp_min(-GREATEST), greatest)


def _sum_of_halves(x: Tensor) -> Tensor:
    """The sum over the last dimension in one order, the native kernels' too: (…, 16) to (…, 1)."""
    while (half := x.shape[-1] // 2) > 0:
        x = x[..., :half] + x[..., half:]
    return x


def _codes(parts: Tensor, step: Tensor, low: Tensor) -> Tensor:
    return ((parts - low) / step).round().clamp(0, GREATEST_IN_4_BITS)


def _in_groups(weight: Tensor, size: int) -> Tensor:
    """(num_rows, num_groups, size); the last group is filled up with its last element."""
    padded = nn.functional.pad(weight[None], (0, -weight.shape[1] % size), mode="replicate")[0]
    return padded.view(len(weight), -1, size)


def _chunks(num_rows: int, width: int) -> Iterator[slice]:
    size = max(1, CHUNK_ELEMENTS // width)
    return (slice(start, start + size) for start in range(0, num_rows, size))


def _num_bytes(*tensors: Tensor | None) -> int:
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)
