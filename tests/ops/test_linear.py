"""The native linear layer against the reference, and against itself in other company."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from penstock.errors import EngineFailed
from penstock.ops.interface import Activation
from penstock.ops.kernel_ops import ACTIVATIONS, KernelOps
from penstock.ops.torch_ops import TorchOps

ROUND_ROWS = {"amx", "avx512_bf16"}  # to bf16, where weights are; the others keep rows in fp32
SIZES = st.one_of(st.integers(1, 70), st.sampled_from([127, 128, 129, 255, 300]))
ROWS = st.one_of(st.integers(1, 40), st.sampled_from([64, 255, 256, 257, 300]))


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A linear layer with random numbers in it."""

    in_features: int
    out_features: int
    store: torch.dtype
    has_bias: bool
    seed: int

    def weight(self) -> Tensor:
        return random(self.seed, self.out_features, self.in_features) / self.in_features**0.5

    def bias(self) -> Tensor | None:
        return random(self.seed + 1, self.out_features) if self.has_bias else None

    def rows(self, count: int) -> Tensor:
        return random(self.seed + 2, count, self.in_features)

    def residual(self, count: int) -> Tensor:
        return random(self.seed + 3, count, self.out_features)


LAYERS = st.builds(
    Layer,
    in_features=SIZES,
    out_features=SIZES,
    store=st.sampled_from([torch.float32, torch.bfloat16]),
    has_bias=st.booleans(),
    seed=st.integers(0, 2**31),
)


@given(LAYERS, ROWS, st.sampled_from(list(ACTIVATIONS)), st.booleans())
def test_linear_equals_the_reference(
    linear_ops: KernelOps,
    layer: Layer,
    rows: int,
    activation: Activation | None,
    has_residual: bool,
) -> None:
    x = layer.rows(rows)
    residual = layer.residual(rows) if has_residual else None
    packed = linear_ops.pack_linear(layer.weight(), layer.bias(), layer.store)

    y = linear_ops.linear(x, packed, activation, residual)

    rounded = layer.weight().to(layer.store).float()
    if layer.store is torch.bfloat16 and linear_ops.isa_name in ROUND_ROWS:
        x = x.bfloat16().float()
    reference = TorchOps().pack_linear(rounded, layer.bias(), torch.float32)
    expected = TorchOps().linear(x, reference, activation, residual)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)


@given(LAYERS, st.lists(st.integers(1, 60), min_size=1, max_size=4))
def test_a_row_has_the_same_bits_in_every_batch(
    linear_ops: KernelOps, layer: Layer, batch_rows: list[int]
) -> None:
    x, residual = layer.rows(sum(batch_rows)), layer.residual(sum(batch_rows))
    packed = linear_ops.pack_linear(layer.weight(), layer.bias(), layer.store)

    together = linear_ops.linear(x, packed, "gelu_new", residual)

    for begin, end in pairwise(accumulate(batch_rows, initial=0)):
        apart = linear_ops.linear(x[begin:end], packed, "gelu_new", residual[begin:end])
        assert torch.equal(apart, together[begin:end])


@pytest.mark.parametrize("store", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [1, 2, 7, 9, 16, 24, 25, 100, 257])
def test_threads_change_no_bit(
    linear_ops: KernelOps, set_num_threads: Callable[[int], None], store: torch.dtype, rows: int
) -> None:
    x = random(0, rows, 257)
    weight = linear_ops.pack_linear(random(1, 500, 257), None, store)

    results = []
    for num_threads in (1, 2, 3, 4):
        set_num_threads(num_threads)
        results.append(linear_ops.linear(x, weight))
    set_num_threads(2)

    assert all(torch.equal(result, results[0]) for result in results)


def test_rows_may_lie_apart(linear_ops: KernelOps) -> None:
    wide = random(0, 9, 200)
    weight = linear_ops.pack_linear(random(1, 50, 64), None, torch.float32)

    assert torch.equal(
        linear_ops.linear(wide[:, 3:67], weight), linear_ops.linear(wide[:, 3:67].clone(), weight)
    )


def test_no_rows_give_no_rows(linear_ops: KernelOps) -> None:
    weight = linear_ops.pack_linear(random(1, 50, 64), None, torch.float32)

    assert linear_ops.linear(torch.empty(0, 64), weight).shape == (0, 50)


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name is not None])
def test_activations_are_exact_to_rounding_and_keep_nan(
    ops: KernelOps, activation: Activation
) -> None:
    x = torch.cat([torch.linspace(-30, 30, 20001), torch.tensor([0.0, 1e-30, 1e4, -1e4])])
    exactly = {
        "gelu_new": lambda t: torch.nn.functional.gelu(t, approximate="tanh"),
        "gelu": torch.nn.functional.gelu,
        "relu": torch.relu,
        "silu": torch.nn.functional.silu,
    }[activation]
    one = ops.pack_linear(torch.ones(1, 1), None, torch.float32)

    y = ops.linear(x[:, None], one, activation)[:, 0]

    torch.testing.assert_close(y.double(), exactly(x.double()), rtol=2e-6, atol=1e-9)
    assert ops.linear(torch.tensor([[torch.nan]]), one, activation).isnan().all()


def test_a_stored_weight_takes_the_bytes_it_says(linear_ops: KernelOps) -> None:
    wide = linear_ops.pack_linear(random(1, 768, 768), None, torch.float32)
    narrow = linear_ops.pack_linear(random(1, 768, 768), None, torch.bfloat16)

    assert wide.num_bytes == 768 * 768 * 4
    assert narrow.num_bytes == 768 * 768 * 2


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(2, 8, dtype=torch.float64),
        torch.zeros(2, 8, dtype=torch.bfloat16),
        torch.zeros(2, 7),
        torch.zeros(8),
        torch.zeros(8, 2).T,
        torch.zeros(2, 8, device="meta"),
        torch.zeros(2, 8, requires_grad=True),
    ],
    ids=["fp64", "bf16", "narrow", "vector", "transposed", "meta", "gradients"],
)
def test_what_the_kernels_cannot_read_is_refused(ops: KernelOps, x: Tensor) -> None:
    weight = ops.pack_linear(random(1, 3, 8), None, torch.float32)

    with pytest.raises(EngineFailed, match=r"They want .* float32 on the CPU"):
        ops.linear(x, weight)


def test_a_residual_of_other_rows_is_refused(ops: KernelOps) -> None:
    weight = ops.pack_linear(random(1, 3, 8), None, torch.float32)

    with pytest.raises(EngineFailed, match="a residual of shape"):
        ops.linear(torch.zeros(2, 8), weight, residual=torch.zeros(1, 3))
