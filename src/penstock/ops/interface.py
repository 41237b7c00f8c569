"""What an implementation of the operations must offer, and the batch they all work on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, dtype

from penstock.ops.choices import Chooser

INT4: dtype = torch.int4  # type: ignore[attr-defined]  # torch has it, its stubs do not
Activation = Literal["gelu_new", "gelu", "relu", "silu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardBatch:
    """The packed tokens of many sequences for one step. Prefill and decode do not differ here.

    Sequence `i` owns the rows `query_starts[i]:query_starts[i + 1]` of every per-token tensor;
    after the step it has `context_lengths[i]` tokens in the cache, its new ones included.
    """

    token_ids: Tensor  # (num_tokens,) int64
    positions: Tensor  # (num_tokens,) int64
    slots: Tensor  # (num_tokens,) int64: block * block_size + offset, where keys and values go
    query_starts: Tensor  # (num_sequences + 1,) int32
    context_lengths: Tensor  # (num_sequences,) int32
    block_tables: Tensor  # (num_sequences, max_blocks) int32, padded with 0
    output_rows: Tensor  # (num_outputs,) int64: the rows whose logits are wanted
    sources: "SourceTables | None" = None  # of an encoder-decoder


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTables:
    """Where the cache holds what each sequence of a batch attends to of its source, all of it."""

    block_tables: Tensor  # (num_sequences, max_blocks) int32, padded with 0
    lengths: Tensor  # (num_sequences,) int32


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceBatch:
    """The packed tokens of the sources that an encoder reads in one step, each of them whole.

    Source `i` owns the rows `starts[i]:starts[i + 1]`.
    """

    token_ids: Tensor  # (num_tokens,) int64
    slots: Tensor  # (num_tokens,) int64: where the keys and values for the decoder go
    starts: tuple[int, ...]  # (num_sources + 1,)


class LinearWeight(Protocol):
    """A weight matrix and bias as one implementation lays them out for its own `linear`."""

    @property
    def out_features(self) -> int: ...

    @property
    def num_bytes(self) -> int: ...


class Ops(Protocol):
    """One implementation. Activations are fp32; a row's result must not depend on other rows."""

    name: str
    chooser: Chooser | None
    """Chooses tokens from logits natively; `None` where only the reference does."""

    def pack_linear(self, weight: Tensor, bias: Tensor | None, store: dtype) -> LinearWeight:
        """Lay out a weight (out_features, in_features) once at load.

        It is stored as fp32 or bf16, or rounded in groups to int8 or int4; a bias stays fp32.
        """

    def linear(
        self,
        x: Tensor,
        weight: LinearWeight,
        activation: Activation | None = None,
        residual: Tensor | None = None,
    ) -> Tensor:
        """`activation(x @ weight.T + bias) + residual`, from (rows, in_features) to (rows, out)."""

    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
        """Normalise each row of (rows, width) to mean 0 and variance 1, then scale and shift."""

    def rms_norm(self, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        """Divide each row of (rows, width) by its root mean square, then scale."""

    def paged_attention(
        self,
        qkv: tuple[Tensor, Tensor, Tensor],
        cache: tuple[Tensor, Tensor],
        batch: ForwardBatch,
        window: int | None = None,
        distance_bias: Tensor | None = None,
    ) -> Tensor:
        """Write the new keys and values into the cache, then attend causally over each sequence.

        `qkv`: queries (num_tokens, num_heads, head_size), keys and values
        (num_tokens, num_kv_heads, head_size), each with unit stride in its last dimension only.
        `cache`: a layer's keys and values, each (num_blocks, num_kv_heads, block_size, head_size).
        A token sees the `window` latest tokens, itself included; `None` is all of them.
        Scores are scaled by 1 / sqrt(head_size); `distance_bias` (num_heads, num_distances) is
        added to them by how far back a token lies. Returns (num_tokens, num_heads * head_size).
        """

    def source_attention(
        self, queries: Tensor, cache: tuple[Tensor, Tensor], batch: ForwardBatch
    ) -> Tensor:
        """Attend over the whole source of each sequence, as `store` left it in a layer's cache.

        Queries (num_tokens, num_heads, head_size), scaled as above. Returns the same, flattened.
        """

    def store(
        self, keys_values: tuple[Tensor, Tensor], cache: tuple[Tensor, Tensor], slots: Tensor
    ) -> None:
        """Write keys and values (num_tokens, num_kv_heads, head_size) to a layer's slots."""

    def attention(
        self, qkv: tuple[Tensor, Tensor, Tensor], starts: Sequence[int], bias: Tensor
    ) -> Tensor:
        """Attend in both directions within each of the packed texts that begin at `starts`.

        All of `qkv` are (num_tokens, num_heads, head_size); scores are scaled as above, then
        `bias` (num_heads, longest, longest) of query and key is added. Returns
        (num_tokens, num_heads * head_size).
        """
