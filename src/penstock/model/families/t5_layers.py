"""The layers of T5: which tensors of a checkpoint make up each. Computes nothing."""

from dataclasses import dataclass

from torch import Tensor

from penstock.model.families.weights import Weights
from penstock.ops.interface import LinearWeight


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes that all layers share."""

    width: int
    attended: int  # number of heads times their size
    inner: int
    is_gated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfAttention:
    """The first part of every block."""

    norm: Tensor  # (width,)
    qkv: LinearWeight
    out: LinearWeight


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossAttention:
    """The decoder's look at what the encoder made of the prompt."""

    norm: Tensor  # (width,)
    queries: LinearWeight
    keys_values: LinearWeight
    out: LinearWeight


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedForward:
    """The last part of every block; `gate` is in later variants only."""

    norm: Tensor  # (width,)
    up: LinearWeight
    gate: LinearWeight | None
    down: LinearWeight


@dataclass(frozen=True, slots=True)
class EncoderBlock:
    """One block of the encoder."""

    attention: SelfAttention
    feed_forward: FeedForward


@dataclass(frozen=True, slots=True)
class DecoderBlock:
    """One block of the decoder."""

    attention: SelfAttention
    cross: CrossAttention
    feed_forward: FeedForward


def encoder_block(weights: Weights, sizes: Sizes, index: int) -> EncoderBlock:
    name = f"encoder.block.{index}.layer"
    return EncoderBlock(
        _self_attention(weights, sizes, f"{name}.0"), _feed_forward(weights, sizes, f"{name}.1")
    )


def decoder_block(weights: Weights, sizes: Sizes, index: int) -> DecoderBlock:
    name = f"decoder.block.{index}.layer"
    return DecoderBlock(
        _self_attention(weights, sizes, f"{name}.0"),
        _cross_attention(weights, sizes, f"{name}.1"),
        _feed_forward(weights, sizes, f"{name}.2"),
    )


def _self_attention(weights: Weights, sizes: Sizes, name: str) -> SelfAttention:
    attention = f"{name}.SelfAttention"
    return SelfAttention(
        norm=weights.vector(f"{name}.layer_norm.weight", sizes.width),
        qkv=weights.linear({f"{attention}.{p}": sizes.attended for p in "qkv"}, sizes.width),
        out=weights.linear({f"{attention}.o": sizes.width}, sizes.attended),
    )


def _cross_attention(weights: Weights, sizes: Sizes, name: str) -> CrossAttention:
    attention = f"{name}.EncDecAttention"
    return CrossAttention(
        norm=weights.vector(f"{name}.layer_norm.weight", sizes.width),
        queries=weights.linear({f"{attention}.q": sizes.attended}, sizes.width),
        keys_values=weights.linear({f"{attention}.{p}": sizes.attended for p in "kv"}, sizes.width),
        out=weights.linear({f"{attention}.o": sizes.width}, sizes.attended),
    )


def _feed_forward(weights: Weights, sizes: Sizes, name: str) -> FeedForward:
    """A gated one calls the matrix that the activation follows `wi_0`, a plain one `wi`."""

    def into(matrix: str) -> LinearWeight:
        return weights.linear({f"{name}.DenseReluDense.{matrix}": sizes.inner}, sizes.width)

    return FeedForward(
        norm=weights.vector(f"{name}.layer_norm.weight", sizes.width),
        up=into("wi_1") if sizes.is_gated else into("wi"),
        gate=into("wi_0") if sizes.is_gated else None,
        down=weights.linear({f"{name}.DenseReluDense.wo": sizes.width}, sizes.inner),
    )
