"""A checkpoint's tensors on their way into a family: looked up by name, laid out for the ops."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from penstock.errors import UnsupportedModel
from penstock.ops.adapted_ops import AdaptedOps
from penstock.ops.interface import INT4, LinearWeight, Ops

HEAD_STORES = {INT4: torch.int8}  # as `HEAD_DTYPES`: the head is rounded less


@dataclass(frozen=True, slots=True)
class Norm:
    """Scale and shift of a layer norm."""

    weight: Tensor  # (width,)
    bias: Tensor  # (width,)


class Weights:
    """Hands out tensors of the expected shape and counts them. Names are without `prefix`."""

    def __init__(
        self, tensors: Mapping[str, Tensor], ops: Ops, store: torch.dtype, *, prefix: str
    ) -> None:
        self._tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        self._ops = ops
        self._store = store
        self._used: set[str] = set()
        self._kept: dict[str, int] = {}  # bytes of what is used as it is
        self._packed_bytes = 0

    @property
    def num_parameters(self) -> int:
        """Elements of all tensors handed out so far, each counted once."""
        return sum(self._tensors[name].numel() for name in self._used)

    @property
    def cache_dtype(self) -> torch.dtype:
        """What keys and values are kept in: in full where the weights are."""
        return torch.float32 if self._store is torch.float32 else torch.bfloat16

    @property
    def num_bytes(self) -> int:
        """What is kept: matrices as they were laid out, and whatever is used as it is."""
        return self._packed_bytes + sum(self._kept.values())

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def tensor(self, name: str, *shape: int) -> Tensor:
        """A tensor as it is stored, to be used so. Refuses one that is missing or misshapen.

        A copy: one tensor that is still mapped would keep its whole file in memory.
        """
        copy = self._checked(name, shape).clone()
        self._kept[name] = copy.nbytes
        return copy

    def _checked(self, name: str, shape: tuple[int, ...]) -> Tensor:
        found = self._tensors.get(name)
        if found is None or found.shape != shape:
            problem = "is missing" if found is None else f"has the shape {list(found.shape)}"
            raise UnsupportedModel(
                f"The weights do not fit the configuration: {name} {problem}; "
                f"it should be {list(shape)}.",
                "The files do not belong together: fetch them all again.",
            )
        if not found.is_floating_point():
            raise UnsupportedModel(
                f"The tensor {name} holds {found.dtype}.", "Weights are fp32, bf16 or fp16."
            )
        self._used.add(name)
        return found

    def vector(self, name: str, size: int) -> Tensor:
        """A vector in fp32, such as a norm's scale."""
        vector = self._copied(name, size)
        self._kept[name] = vector.nbytes
        return vector

    def norm(self, name: str, width: int) -> Norm:
        return Norm(self.vector(f"{name}.weight", width), self.vector(f"{name}.bias", width))

    def linear(self, outputs: Mapping[str, int], in_features: int) -> LinearWeight:
        """Matrices with the same input side by side, by name and size of output."""
        weights = [self._checked(f"{name}.weight", (n, in_features)) for name, n in outputs.items()]
        biases = [
            self._copied(f"{name}.bias", n) for name, n in outputs.items() if f"{name}.bias" in self
        ]
        if biases and len(biases) < len(outputs):
            raise UnsupportedModel(
                f"Only some of {', '.join(outputs)} have a bias.", "All or none must have one."
            )
        packed = self._pack(_joined(weights), _joined(biases) if biases else None)
        return self._placed(packed, outputs, in_features)

    def transposed(self, name: str, in_features: int, out_features: int) -> LinearWeight:
        """A matrix that is stored as (in_features, out_features), turned once, here."""
        weight = self._checked(f"{name}.weight", (in_features, out_features))
        bias = self._copied(f"{name}.bias", out_features)
        packed = self._pack(weight.t(), bias)
        return self._placed(packed, {name: out_features}, in_features, is_transposed=True)

    def head(self, embedding: Tensor, *, is_tied: bool) -> LinearWeight:
        """The output projection: its own matrix, or the token embedding again."""
        matrix = embedding if is_tied else self._checked("lm_head.weight", tuple(embedding.shape))
        return self._pack(matrix, None, HEAD_STORES.get(self._store))

    def refuse_leftovers(self, *known: str) -> None:
        """Refuse a checkpoint with tensors nobody asked for, but for names ending in `known`."""
        left = [n for n in self._tensors if n not in self._used and not n.endswith(known)]
        if left:
            raise UnsupportedModel(
                f"The weights have {len(left)} tensors that this architecture lacks, "
                f"such as {left[0]}.",
                "This is another architecture than config.json says, or a variant of it.",
            )

    def _copied(self, name: str, size: int) -> Tensor:
        """A vector in fp32 that is mapped from no file."""
        return self._checked(name, (size,)).to(torch.float32, copy=True)

    def _placed(
        self,
        weight: LinearWeight,
        outputs: Mapping[str, int],
        in_features: int,
        *,
        is_transposed: bool = False,
    ) -> LinearWeight:
        """Tell where the modules lie, for who adds to what they give."""
        if isinstance(self._ops, AdaptedOps):
            self._ops.place(weight, outputs, in_features, is_transposed=is_transposed)
        return weight

    def _pack(
        self, weight: Tensor, bias: Tensor | None, store: torch.dtype | None = None
    ) -> LinearWeight:
        packed = self._ops.pack_linear(weight, bias, store or self._store)
        self._packed_bytes += packed.num_bytes
        return packed


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))
