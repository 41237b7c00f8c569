"""Layer normalisation and argmax of rows, native, against torch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import EngineFailed
from penstock.ops.kernel_ops import KernelOps
from penstock.ops.torch_ops import TorchOps

WIDTHS = st.one_of(st.integers(1, 70), st.sampled_from([511, 512, 513, 768, 1025, 5000]))


def random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# Not the narrowest rows: two nearly equal numbers have no well-conditioned norm in fp32.
@given(st.integers(1, 40), st.integers(16, 900), st.integers(0, 2**31))
def test_layer_norm_equals_the_reference(ops: KernelOps, rows: int, width: int, seed: int) -> None:
    x = 3 * random(seed, rows, width) + 1
    weight, bias = random(seed + 1, width), random(seed + 2, width)

    y = ops.layer_norm(x, weight, bias, 1e-5)

    expected = TorchOps().layer_norm(x.double(), weight.double(), bias.double(), 1e-5)
    torch.testing.assert_close(y, expected.float(), rtol=1e-5, atol=2e-5)


@given(st.integers(1, 40), st.integers(1, 900), st.integers(0, 2**31))
def test_rms_norm_equals_the_reference(ops: KernelOps, rows: int, width: int, seed: int) -> None:
    x, weight = 3 * random(seed, rows, width), random(seed + 1, width)

    y = ops.rms_norm(x, weight, 1e-6)

    expected = TorchOps().rms_norm(x.double(), weight.double(), 1e-6)
    torch.testing.assert_close(y, expected.float(), rtol=1e-5, atol=1e-6)


@given(st.integers(1, 40), st.integers(1, 900), st.integers(0, 2**31))
def test_a_normalised_row_has_the_same_bits_alone(
    ops: KernelOps, rows: int, width: int, seed: int
) -> None:
    x = random(seed, rows, width)
    weight, bias = random(seed + 1, width), random(seed + 2, width)

    together = ops.layer_norm(x, weight, bias, 1e-5)
    rms_together = ops.rms_norm(x, weight, 1e-6)

    for i in range(rows):
        alone = x[i : i + 1]
        assert torch.equal(ops.layer_norm(alone, weight, bias, 1e-5)[0], together[i])
        assert torch.equal(ops.rms_norm(alone, weight, 1e-6)[0], rms_together[i])


def test_layer_norm_refuses_weights_it_cannot_read(ops: KernelOps) -> None:
    ones = torch.ones(8)

    with pytest.raises(EngineFailed, match="a vector"):
        ops.layer_norm(torch.zeros(2, 8), ones, ones.double(), 1e-5)


@given(st.integers(1, 9), WIDTHS, st.integers(1, 50), st.integers(0, 2**31))
def test_argmax_is_the_first_greatest(
    ops: KernelOps, rows: int, width: int, num_values: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(num_values, (rows, width), generator=generator).float()
    logits[logits == 0] = -torch.inf  # as a processor leaves it

    found = ops.argmax(logits)

    first = [row.index(max(row)) for row in logits.tolist()]
    assert found.tolist() == first


def test_argmax_takes_nan_for_the_greatest(ops: KernelOps) -> None:
    logits = torch.zeros(1, 700)
    logits[0, 650] = torch.nan

    assert ops.argmax(logits).tolist() == [650]
