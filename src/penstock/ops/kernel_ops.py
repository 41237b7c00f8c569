"""The operations on native CPU kernels, with as little Python for each call as can be."""

import weakref
from ctypes import addressof
from functools import partial

import torch
from torch import Tensor

from penstock.errors import EngineFailed
from penstock.ops.interface import Activation, ForwardBatch, LinearWeight
from penstock.ops.kernel_chooser import KernelChooser
from penstock.ops.kernel_library import Batch, Cache, Kernels
from penstock.ops.kernel_tensors import (
    ELEMENTS,
    check_vector,
    describe_batch,
    describe_cache,
    describe_heads,
    describe_rows,
    refused,
)
from penstock.ops.quantised import (
    GROUP_SIZE,
    STEP_SIZE,
    Int4LinearWeight,
    Int8LinearWeight,
    QuantisedLinearWeight,
)
from penstock.ops.torch_ops import TorchOps

ACTIVATIONS: dict[Activation | None, int] = {
    None: 0,
    "gelu_new": 1,
    "gelu": 2,
    "relu": 3,
    "silu": 4,
}


NO_WINDOW = 2**62  # more tokens than any sequence has
KnownCache = tuple[weakref.ref[Tensor], weakref.ref[Tensor], Cache]


class KernelLinearWeight:
    """A weight laid out in panels of output columns. Owns native memory, freed with this object."""

    __slots__ = ("__weakref__", "handle", "in_features", "num_bytes", "out_features")

    def __init__(
        self, kernels: Kernels, weight: Tensor | QuantisedLinearWeight, bias: Tensor | None
    ) -> None:
        library = kernels.library
        self.handle, self.out_features, self.in_features = _lay_out(kernels, weight, bias)
        self.num_bytes: int = library.penstock_linear_num_bytes(self.handle)
        # Not at exit: another thread may still be in a call, and the process ends anyway.
        weakref.finalize(self, library.penstock_linear_destroy, self.handle).atexit = False


def _lay_out(
    kernels: Kernels, weight: Tensor | QuantisedLinearWeight, bias: Tensor | None
) -> tuple[int, int, int]:
    """Native memory with a weight in it, its number of outputs and of inputs."""
    library, isa = kernels.library, kernels.isa
    bias_data = None if bias is None else bias.data_ptr()
    if isinstance(weight, Int4LinearWeight):
        num_outputs, num_inputs = weight.out_features, weight.in_features
        parts = (weight.codes, weight.steps, weight.lows, weight.scales)
        data = (part.data_ptr() for part in parts)
        handle = library.penstock_linear_create_int4(isa, *data, num_outputs, num_inputs, bias_data)
    elif isinstance(weight, Int8LinearWeight):
        num_outputs, num_inputs = weight.codes.shape
        data = (part.data_ptr() for part in (weight.codes, weight.scales))
        handle = library.penstock_linear_create_int8(isa, *data, num_outputs, num_inputs, bias_data)
    else:
        num_outputs, num_inputs = weight.shape
        handle = library.penstock_linear_create(
            isa, weight.data_ptr(), ELEMENTS[weight.dtype], num_outputs, num_inputs, bias_data
        )
    if handle is None:
        raise MemoryError(f"No memory for a weight of {num_outputs} by {num_inputs}.")
    return handle, num_outputs, num_inputs


class KernelOps(TorchOps):
    """`Ops` on native kernels: a row has the same bits in any batch, on any number of threads.

    What has no kernel yet is inherited from the reference.
    """

    name = "kernel"

    def __init__(self, kernels: Kernels) -> None:
        self.isa_name = kernels.isa_name
        self._kernels = kernels
        self._isa = kernels.isa
        self._linear = kernels.library.penstock_linear
        self._layer_norm = kernels.library.penstock_layer_norm
        self._rms_norm = kernels.library.penstock_rms_norm
        self._paged_attention = kernels.library.penstock_paged_attention
        self._argmax = kernels.library.penstock_argmax
        self.chooser = KernelChooser(kernels)
        self._batch: tuple[ForwardBatch, Batch] | None = None  # the last: a step has many calls
        self._caches: dict[int, KnownCache] = {}  # by the id of the keys

    def pack_linear(self, weight: Tensor, bias: Tensor | None, store: torch.dtype) -> LinearWeight:
        if bias is not None:
            bias = bias.detach().to("cpu", torch.float32).contiguous()
        if store in ELEMENTS:
            stored = weight.detach().to("cpu", store).contiguous()
            return KernelLinearWeight(self._kernels, stored, bias)
        rounded = self.quantised(weight.detach().to("cpu", torch.float32).contiguous(), store)
        return KernelLinearWeight(self._kernels, rounded, bias)

    def quantised(self, weight: Tensor, store: torch.dtype) -> QuantisedLinearWeight:
        """Round a contiguous fp32 weight (out_features, in_features) as the reference does."""
        num_outputs, num_inputs = weight.shape
        num_groups = -(-num_inputs // GROUP_SIZE)
        scales = torch.empty(num_outputs, num_groups, dtype=torch.bfloat16)
        given = (self._isa, weight.data_ptr(), num_outputs, num_inputs)
        if store is torch.int8:
            codes = torch.empty(num_outputs, num_inputs, dtype=torch.int8)
            self._kernels.library.penstock_quantise_int8(
                *given, codes.data_ptr(), scales.data_ptr()
            )
            return Int8LinearWeight(codes=codes, scales=scales, bias=None)
        packed = torch.empty(num_outputs, num_groups * GROUP_SIZE // 2, dtype=torch.uint8)
        steps = torch.empty(num_outputs, num_groups * GROUP_SIZE // STEP_SIZE, dtype=torch.uint8)
        lows = torch.empty_like(steps, dtype=torch.int8)
        parts = (packed, steps, lows, scales)
        self._kernels.library.penstock_quantise_int4(*given, *(part.data_ptr() for part in parts))
        return Int4LinearWeight(
            in_features=num_inputs, codes=packed, steps=steps, lows=lows, scales=scales, bias=None
        )

    def linear(
        self,
        x: Tensor,
        weight: LinearWeight,
        activation: Activation | None = None,
        residual: Tensor | None = None,
    ) -> Tensor:
        if not isinstance(weight, KernelLinearWeight):
            return super().linear(x, weight, activation, residual)
        rows, x_stride = describe_rows(x, weight.in_features)
        out = torch.empty((rows, weight.out_features))
        residual_data = residual_stride = 0
        if residual is not None:
            residual_rows, residual_stride = describe_rows(residual, weight.out_features)
            if residual_rows != rows:
                raise refused("a residual", residual, f"{rows} rows")
            residual_data = residual.data_ptr()
        self._linear(
            weight.handle,
            x.data_ptr(),
            x_stride,
            rows,
            ACTIVATIONS[activation],
            residual_data,
            residual_stride,
            out.data_ptr(),
        )
        return out

    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
        width = weight.shape[0]
        rows, x_stride = describe_rows(x, width)
        check_vector(weight, width)
        check_vector(bias, width)
        out = torch.empty((rows, width))
        self._layer_norm(
            self._isa,
            x.data_ptr(),
            x_stride,
            rows,
            width,
            weight.data_ptr(),
            bias.data_ptr(),
            epsilon,
            out.data_ptr(),
        )
        return out

    def rms_norm(self, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        width = weight.shape[0]
        rows, x_stride = describe_rows(x, width)
        check_vector(weight, width)
        out = torch.empty((rows, width))
        self._rms_norm(
            self._isa,
            x.data_ptr(),
            x_stride,
            rows,
            width,
            weight.data_ptr(),
            epsilon,
            out.data_ptr(),
        )
        return out

    def paged_attention(
        self,
        qkv: tuple[Tensor, Tensor, Tensor],
        cache: tuple[Tensor, Tensor],
        batch: ForwardBatch,
        window: int | None = None,
        distance_bias: Tensor | None = None,
    ) -> Tensor:
        if distance_bias is not None:
            return super().paged_attention(qkv, cache, batch, window, distance_bias)
        if window is not None and window < 1:
            raise EngineFailed(f"The kernels got a window of {window}.", "They want 1 or more.")
        queries, keys, values = qkv
        num_tokens, num_heads = batch.slots.shape[0], queries.shape[1]
        num_kv_heads, head_size = cache[0].shape[1], cache[0].shape[3]
        if num_heads % num_kv_heads:
            raise refused("queries", queries, f"a multiple of {num_kv_heads} heads")
        kv_shape = (num_tokens, num_kv_heads, head_size)
        out = torch.empty((num_tokens, num_heads * head_size))
        status = self._paged_attention(
            self._isa,
            *describe_heads(queries, (num_tokens, num_heads, head_size)),
            *describe_heads(keys, kv_shape),
            *describe_heads(values, kv_shape),
            num_heads,
            self._cache_address(*cache),
            self._batch_address(batch),
            NO_WINDOW if window is None else window,
            out.data_ptr(),
        )
        if status != 0:
            raise EngineFailed(
                "The batch names slots, blocks or lengths outside the cache.",
                "This is a defect of the block manager; please report it.",
            )
        return out

    def argmax(self, logits: Tensor) -> Tensor:
        """The first index of each row's greatest value: (rows, vocab) to (rows,) int64."""
        width = logits.shape[1]
        rows, row_stride = describe_rows(logits, width)
        out = torch.empty(rows, dtype=torch.int64)
        self._argmax(self._isa, logits.data_ptr(), row_stride, rows, width, out.data_ptr())
        return out

    def _batch_address(self, batch: ForwardBatch) -> int:
        last = self._batch
        if last is None or last[0] is not batch:
            self._batch = last = (batch, describe_batch(batch))
        return addressof(last[1])

    def _cache_address(self, keys: Tensor, values: Tensor) -> int:
        """Where the cache's description lies: made once, since it changes with no step."""
        known = self._caches.get(id(keys))
        if known is not None and known[0]() is keys and known[1]() is values:
            return addressof(known[2])
        native = describe_cache(keys, values)
        forget = partial(_forget, self._caches, id(keys))
        self._caches[id(keys)] = (weakref.ref(keys, forget), weakref.ref(values), native)
        return addressof(native)


def _forget(caches: dict[int, KnownCache], key: int, _: object) -> None:
    caches.pop(key, None)
