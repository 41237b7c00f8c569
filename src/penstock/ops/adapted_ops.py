"""The operations with low-rank additions to some rows: what adapters are made of.

Knows no adapter files and no requests. Rows without an adapter are computed by the operations
underneath, in the same way as in a step where nobody has one.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, dtype, nn

from penstock.ops.interface import Activation, LinearWeight, Ops
from penstock.ops.torch_ops import ACTIVATIONS

WHOLE_VECTORS = 64  # elements; rows of whole vectors get the same bits wherever they lie


@dataclass(frozen=True, slots=True, kw_only=True)
class ModulePlace:
    """Where a module of a checkpoint lies: some outputs of a packed weight."""

    weight: LinearWeight
    first: int  # of its outputs
    out_features: int
    in_features: int
    is_transposed: bool = False  # in the checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """`x @ down.T @ up.T`, added to a weight's outputs from `first` on."""

    first: int
    down: LinearWeight  # (rank, in_features)
    up: LinearWeight  # (out_features, rank), scaled


Additions = Mapping[int, Sequence[Addition]]  # by the id of the weight, which outlives them


@dataclass(frozen=True, slots=True)
class _Share:
    """The rows of a step that have the same additions."""

    additions: Additions
    rows: Tensor  # int64, ascending


class AdaptedOps:
    """`Ops` that does what another does, and adds to it within `adding`.

    Owned by one model: it knows where the modules of its checkpoint lie.
    """

    def __init__(self, base: Ops) -> None:
        self.name = base.name
        self.chooser = base.chooser
        self.base = base
        self.modules: dict[str, ModulePlace] = {}
        self._shares: Sequence[_Share] = ()
        self._num_rows = 0
        self.layer_norm = base.layer_norm
        self.rms_norm = base.rms_norm
        self.paged_attention = base.paged_attention
        self.source_attention = base.source_attention
        self.store = base.store
        self.attention = base.attention

    def pack_linear(self, weight: Tensor, bias: Tensor | None, store: dtype) -> LinearWeight:
        return self.base.pack_linear(weight, bias, store)

    def place(
        self,
        weight: LinearWeight,
        outputs: Mapping[str, int],
        in_features: int,
        *,
        is_transposed: bool = False,
    ) -> None:
        """Remember that these modules, by name and size of output, lie side by side there."""
        first = 0
        for name, size in outputs.items():
            self.modules[name] = ModulePlace(
                weight=weight,
                first=first,
                out_features=size,
                in_features=in_features,
                is_transposed=is_transposed,
            )
            first += size

    @contextmanager
    def adding(self, runs: Sequence[tuple[Additions | None, int]]) -> Iterator[None]:
        """Within it, rows have additions: so many rows these, then so many those, and so on."""
        self._shares, self._num_rows = _shares(runs), sum(count for _, count in runs)
        try:
            yield
        finally:
            self._shares = ()

    def linear(
        self,
        x: Tensor,
        weight: LinearWeight,
        activation: Activation | None = None,
        residual: Tensor | None = None,
    ) -> Tensor:
        shares = [share for share in self._shares if id(weight) in share.additions]
        if not shares:
            return self.base.linear(x, weight, activation, residual)
        assert len(x) == self._num_rows, "adapted layers see all rows of the step"
        out = x.new_empty(len(x), weight.out_features)
        rows = torch.cat([share.rows for share in shares])
        others = _others(rows, len(x))
        if len(others):
            rest = None if residual is None else residual[others]
            out[others] = self.base.linear(x[others], weight, activation, rest)
        y = _activated(self._with_additions(x[rows], weight, shares), activation)
        out[rows] = y if residual is None else y + residual[rows]
        return out

    def _with_additions(self, x: Tensor, weight: LinearWeight, shares: Sequence[_Share]) -> Tensor:
        """The product with additions; the rows of the shares follow each other in `x`."""
        y, start = self.base.linear(x, weight), 0
        for share in shares:
            end = start + len(share.rows)
            for addition in share.additions[id(weight)]:
                added = self.base.linear(self.base.linear(x[start:end], addition.down), addition.up)
                y[start:end, addition.first : addition.first + added.shape[1]] += added
            start = end
        return y


def _shares(runs: Sequence[tuple[Additions | None, int]]) -> list[_Share]:
    rows: dict[int, list[int]] = {}
    known: dict[int, Additions] = {}
    start = 0
    for additions, count in runs:
        if additions is not None:
            known[id(additions)] = additions
            rows.setdefault(id(additions), []).extend(range(start, start + count))
        start += count
    return [_Share(known[key], torch.tensor(its_rows)) for key, its_rows in rows.items()]


def _others(rows: Tensor, count: int) -> Tensor:
    """The rows among the first `count` that are not these."""
    is_other = torch.ones(count, dtype=torch.bool)
    is_other[rows] = False
    return is_other.nonzero()[:, 0]


def _activated(y: Tensor, activation: Activation | None) -> Tensor:
    if activation is None:
        return y
    width = y.shape[1]
    padded = nn.functional.pad(y, (0, -width % WHOLE_VECTORS))
    return ACTIVATIONS[activation](padded)[:, :width]
