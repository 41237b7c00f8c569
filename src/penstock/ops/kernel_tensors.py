"""Describes tensors to the native kernels; refuses those they would crash the process with."""

import torch
from torch import Tensor

from penstock.errors import EngineFailed
from penstock.ops.interface import ForwardBatch
from penstock.ops.kernel_library import Batch, Cache

ELEMENTS = {torch.float32: 0, torch.bfloat16: 1}


def describe_rows(x: Tensor, width: int) -> tuple[int, int]:
    """The number of rows of a readable fp32 matrix (rows, width), and how far they lie apart."""
    if x.dtype is torch.float32 and x.is_cpu and x.dim() == 2 and not _has_gradients(x):
        rows, columns = x.shape
        if columns == width:
            if x.is_contiguous():
                return rows, width
            row_stride, stride = x.stride()
            if stride == 1 or width == 1:
                return rows, row_stride
    raise refused("rows", x, f"(rows, {width}) float32")


def check_vector(x: Tensor, width: int) -> None:
    """Accept a contiguous fp32 vector (width,)."""
    if x.dtype is not torch.float32 or not x.is_cpu or x.shape != (width,) or not x.is_contiguous():
        raise refused("a vector", x, f"({width},) float32")


def describe_heads(x: Tensor, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Where readable fp32 heads lie, and the strides from token to token and head to head."""
    if x.dtype is torch.float32 and x.is_cpu and x.shape == shape and not _has_gradients(x):
        token_stride, head_stride, stride = x.stride()
        if stride == 1 or shape[2] == 1:
            return x.data_ptr(), token_stride, head_stride
    raise refused("heads", x, f"{shape} float32")


def describe_cache(keys: Tensor, values: Tensor) -> Cache:
    """One layer's keys and values, each (num_blocks, num_kv_heads, block_size, head_size)."""
    if (
        keys.dtype not in ELEMENTS
        or keys.dtype is not values.dtype
        or not (keys.is_cpu and values.is_cpu)
        or keys.shape != values.shape
        or keys.stride() != values.stride()
        or keys.stride(3) != 1
    ):
        raise refused("a cache", values, "keys and values laid out alike")
    num_blocks, num_kv_heads, block_size, head_size = keys.shape
    return Cache(
        keys.data_ptr(),
        values.data_ptr(),
        ELEMENTS[keys.dtype],
        num_kv_heads,
        head_size,
        block_size,
        num_blocks,
        *keys.stride()[:3],
    )


def describe_batch(batch: ForwardBatch) -> Batch:
    """The indices of a batch; the kernels check what they point to."""
    num_sequences = batch.context_lengths.shape[0]
    num_tokens = batch.slots.shape[0]
    for tensor, dtype, shape in (
        (batch.slots, torch.int64, (num_tokens,)),
        (batch.query_starts, torch.int32, (num_sequences + 1,)),
        (batch.context_lengths, torch.int32, (num_sequences,)),
        (batch.block_tables, torch.int32, (num_sequences, batch.block_tables.shape[1])),
    ):
        if (
            tensor.dtype is not dtype
            or tensor.shape != shape
            or not tensor.is_cpu
            or not tensor.is_contiguous()
        ):
            raise refused("batch indices", tensor, f"{shape} {dtype}, contiguous")
    return Batch(
        num_tokens,
        num_sequences,
        batch.block_tables.shape[1],
        batch.slots.data_ptr(),
        batch.query_starts.data_ptr(),
        batch.context_lengths.data_ptr(),
        batch.block_tables.data_ptr(),
    )


def refused(what: str, tensor: Tensor, wanted: str) -> EngineFailed:
    """The error for a tensor that the kernels cannot read."""
    return EngineFailed(
        f"The kernels got {what} of shape {tuple(tensor.shape)}, strides {tensor.stride()}, "
        f"{tensor.dtype} on {tensor.device}{', with gradients' if tensor.requires_grad else ''}.",
        f"They want {wanted} on the CPU without gradients.",
    )


def _has_gradients(x: Tensor) -> bool:
    return x.requires_grad and torch.is_grad_enabled()
