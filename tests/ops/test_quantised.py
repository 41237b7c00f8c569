"""Weights in 8 and 4 bits: how far they are off, what they take, and that rows do not meet."""

from collections.abc import Callable
from itertools import accumulate, pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from penstock.ops.interface import INT4, Activation
from penstock.ops.kernel_ops import ACTIVATIONS, KernelLinearWeight, KernelOps
from penstock.ops.quantised import (
    CHUNK_ELEMENTS,
    GROUP_SIZE,
    Int4LinearWeight,
    Int8LinearWeight,
    quantised,
    rounded_rows,
)
from penstock.ops.torch_ops import TorchOps

STORES = [torch.int8, INT4]
SIZES = st.one_of(st.integers(1, 70), st.sampled_from([127, 128, 129, 300]))
ROWS = st.integers(1, 40)


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(SIZES, SIZES, st.integers(0, 2**31))
def test_no_element_is_off_by_more_than_its_group_allows(
    out_features: int, in_features: int, seed: int
) -> None:
    weight = random(seed, out_features, in_features)

    restored = quantised(weight, None, torch.int8)
    assert isinstance(restored, Int8LinearWeight)

    for start in range(0, in_features, GROUP_SIZE):
        group = weight[:, start : start + GROUP_SIZE]
        greatest = group.abs().amax(dim=1, keepdim=True)
        off = (restored.restored()[:, start : start + GROUP_SIZE] - group).abs()
        assert (off <= greatest * (0.5 / 127 + 1 / 256)).all()  # half a code; scales are bf16


@given(SIZES, SIZES, st.integers(0, 2**31), st.sampled_from([0.0, 5.0]))
def test_four_bits_keep_all_but_a_hundredth_of_the_spread(
    out_features: int, in_features: int, seed: int, offset: float
) -> None:
    weight = random(seed, out_features, in_features) + offset

    packed = quantised(weight, None, INT4)

    assert isinstance(packed, Int4LinearWeight)
    error = (packed.restored() - weight).square().mean(dim=1)
    greatest = weight.abs().amax(dim=1) / 127  # how finely the lowest values are told
    assert (error <= 0.02 * weight.square().mean(dim=1).clamp_min(1) + greatest**2).all()


def test_on_many_normal_numbers_the_mean_error_is_that_of_the_design() -> None:
    weight = random(0, 512, 1024)

    eight, four = (quantised(weight, None, store).restored() - weight for store in STORES)

    assert eight.square().mean() < 4e-5
    assert four.square().mean() < 4.5e-3


@pytest.mark.parametrize("store", STORES)
def test_what_the_codes_can_tell_is_kept(store: torch.dtype) -> None:
    """All equal, all nothing, and one value among zeros."""
    weight = torch.zeros(3, 40)
    weight[0] = 0.75
    weight[2, 7] = -3.0

    restored = quantised(weight, None, store).restored()

    torch.testing.assert_close(restored, weight, rtol=1e-2, atol=1e-6)
    assert (restored[1] == 0).all()


@given(SIZES, SIZES, ROWS, st.sampled_from(STORES), st.sampled_from(list(ACTIVATIONS)))
def test_a_layer_computes_with_what_its_codes_stand_for(
    in_features: int, out_features: int, rows: int, store: torch.dtype, activation: Activation
) -> None:
    weight, bias = random(1, out_features, in_features), random(2, out_features)
    x, residual = random(3, rows, in_features), random(4, rows, out_features)
    restored = quantised(weight, None, store).restored()
    exact = TorchOps().pack_linear(restored, bias, torch.float32)
    packed = TorchOps().pack_linear(weight, bias, store)

    y = TorchOps().linear(x, packed, activation, residual)

    expected = TorchOps().linear(rounded_rows(x), exact, activation, residual)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)


@given(SIZES, SIZES, st.lists(st.integers(1, 30), min_size=1, max_size=4), st.sampled_from(STORES))
def test_a_row_has_the_same_bits_in_every_batch(
    in_features: int, out_features: int, batch_rows: list[int], store: torch.dtype
) -> None:
    ops, x = TorchOps(), random(3, sum(batch_rows), in_features)
    packed = ops.pack_linear(random(1, out_features, in_features), None, store)

    together = ops.linear(x, packed)

    for begin, end in pairwise(accumulate(batch_rows, initial=0)):
        assert torch.equal(ops.linear(x[begin:end], packed), together[begin:end])


@pytest.mark.parametrize("store", STORES)
def test_a_weight_of_many_chunks_is_that_of_one(store: torch.dtype) -> None:
    width = CHUNK_ELEMENTS // 8  # eight outputs at a time
    weight, x = random(1, 19, width), random(2, 3, width)
    packed = TorchOps().pack_linear(weight, None, store)

    y = TorchOps().linear(x, packed)

    for start in range(0, 19, 8):
        part = TorchOps().pack_linear(weight[start : start + 8], None, store)
        assert torch.equal(TorchOps().linear(x, part), y[:, start : start + 8])


def test_a_quantised_weight_takes_the_bytes_it_says() -> None:
    eight, four = (
        TorchOps().pack_linear(random(1, 768, 768), None, store).num_bytes for store in STORES
    )

    assert eight == 768 * 768 + 768 * 12 * 2
    assert four == 768 * 768 // 2 + 768 * 48 * 2 + 768 * 12 * 2


@pytest.mark.parametrize("store", STORES)
@given(SIZES, SIZES, st.integers(0, 2**31), st.sampled_from([0.0, 5.0]))
def test_the_kernels_round_to_the_same_codes(
    ops: KernelOps,
    store: torch.dtype,
    out_features: int,
    in_features: int,
    seed: int,
    offset: float,
) -> None:
    weight = random(seed, out_features, in_features) * 10 ** (seed % 7 - 3) + offset

    ours, reference = ops.quantised(weight, store), quantised(weight, None, store)

    for name in ("codes", "scales", *(("steps", "lows") if store is INT4 else ())):
        assert torch.equal(getattr(ours, name), getattr(reference, name)), name


@pytest.mark.parametrize("store", STORES)
@given(SIZES, SIZES, ROWS, st.sampled_from(list(ACTIVATIONS)), st.booleans())
def test_with_the_kernels_it_is_the_same_layer(  # noqa: PLR0913, PLR0917  # what is drawn
    linear_ops: KernelOps,
    store: torch.dtype,
    in_features: int,
    out_features: int,
    rows: int,
    activation: Activation | None,
    has_bias: bool,
) -> None:
    weight = random(1, out_features, in_features) / in_features**0.5
    bias = random(2, out_features) if has_bias else None
    x, residual = random(3, rows, in_features), random(4, rows, out_features)

    ours, reference = (
        o.linear(x, o.pack_linear(weight, bias, store), activation, residual)
        for o in (linear_ops, TorchOps())
    )

    torch.testing.assert_close(ours, reference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("store", STORES)
@given(SIZES, SIZES, st.lists(st.integers(1, 90), min_size=1, max_size=4))
def test_in_the_kernels_a_row_has_the_same_bits_in_every_batch(
    linear_ops: KernelOps,
    store: torch.dtype,
    in_features: int,
    out_features: int,
    batch_rows: list[int],
) -> None:
    x = random(3, sum(batch_rows), in_features)
    packed = linear_ops.pack_linear(random(1, out_features, in_features), None, store)
    assert isinstance(packed, KernelLinearWeight)

    together = linear_ops.linear(x, packed, "gelu_new")

    for begin, end in pairwise(accumulate(batch_rows, initial=0)):
        assert torch.equal(linear_ops.linear(x[begin:end], packed, "gelu_new"), together[begin:end])


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("rows", [1, 2, 7, 16, 63, 64, 257])
def test_threads_change_no_bit_of_codes(
    linear_ops: KernelOps, set_num_threads: Callable[[int], None], store: torch.dtype, rows: int
) -> None:
    x, weight = random(0, rows, 257), linear_ops.pack_linear(random(1, 500, 257), None, store)

    results = []
    for num_threads in (1, 2, 3):
        set_num_threads(num_threads)
        results.append(linear_ops.linear(x, weight))
    set_num_threads(2)

    assert all(torch.equal(result, results[0]) for result in results)


@pytest.mark.parametrize(("store", "bits"), [(torch.int8, 8.25), (INT4, 5.25)])
def test_the_kernels_keep_codes_in_as_many_bytes_as_they_take(
    linear_ops: KernelOps, store: torch.dtype, bits: float
) -> None:
    packed = linear_ops.pack_linear(random(1, 1152, 3072), None, store)

    assert packed.num_bytes == pytest.approx(1152 * 3072 * bits / 8, rel=0.05)
