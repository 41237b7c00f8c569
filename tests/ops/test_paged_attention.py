"""Native attention over paged caches against the reference, and against itself in other company."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import EngineFailed
from penstock.ops.kernel_ops import KernelOps
from penstock.ops.torch_ops import TorchOps
from tests.ops.attention_batches import (
    Heads,
    attend_in_chunks,
    empty_cache,
    make_batch,
    make_chunks,
    random_qkv,
    scatter_blocks,
)

HEADS = st.builds(
    lambda group, num_kv_heads, head_size: Heads(
        num_heads=group * num_kv_heads, num_kv_heads=num_kv_heads, head_size=head_size
    ),
    st.integers(1, 7),
    st.integers(1, 3),
    st.sampled_from([1, 5, 8, 16, 20, 64, 80]),
)
TWO_HEADS = Heads(num_heads=4, num_kv_heads=2, head_size=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer's attention and the cache it works on."""

    heads: Heads
    block_size: int
    store: torch.dtype
    window: int | None
    seed: int


LAYERS = st.builds(
    Layer,
    heads=HEADS,
    block_size=st.sampled_from([1, 3, 4, 16, 32]),
    store=st.sampled_from([torch.float32, torch.bfloat16]),
    window=st.one_of(st.none(), st.integers(1, 100)),
    seed=st.integers(0, 2**31),
)


@given(LAYERS, st.lists(st.tuples(st.integers(0, 70), st.integers(1, 40)), min_size=1, max_size=5))
def test_attention_and_the_cache_equal_the_reference(
    ops: KernelOps,
    layer: Layer,
    sequences: list[tuple[int, int]],  # (tokens in the cache, new tokens)
) -> None:
    generator = torch.Generator().manual_seed(layer.seed)
    paging = scatter_blocks([old + new for old, new in sequences], layer.block_size, generator)
    cache = empty_cache(layer.heads, paging, layer.store)
    expected_cache = empty_cache(layer.heads, paging, layer.store)
    with_old = [(i, 0, old) for i, (old, _) in enumerate(sequences) if old]
    with_new = [(i, old, old + new) for i, (old, new) in enumerate(sequences)]

    for ranges in filter(None, (with_old, with_new)):
        batch = make_batch(paging, ranges)
        qkv = random_qkv(layer.heads, len(batch.slots), generator)
        out = ops.paged_attention(qkv, cache, batch, layer.window)
        expected = TorchOps().paged_attention(qkv, expected_cache, batch, layer.window)
        torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)

    torch.testing.assert_close(cache, expected_cache, rtol=0, atol=0, equal_nan=True)


@given(LAYERS, st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 60))
def test_a_prompt_in_chunks_and_in_company_has_the_bits_of_the_whole_prompt(
    ops: KernelOps, layer: Layer, chunks: list[int], mate_length: int
) -> None:
    generator = torch.Generator().manual_seed(layer.seed)
    length = sum(chunks)
    paging = scatter_blocks([length, mate_length], layer.block_size, generator)
    qkv = random_qkv(layer.heads, length + mate_length, generator)
    new_cache = partial(empty_cache, layer.heads, paging, layer.store)

    both = make_batch(paging, [(0, 0, length), (1, 0, mate_length)])
    in_company = ops.paged_attention(qkv, new_cache(), both, layer.window)[:length]

    for cuts in ([0, length], list(accumulate(chunks, initial=0))):
        alone = attend_in_chunks(ops, qkv, new_cache(), make_chunks(paging, cuts), layer.window)
        assert torch.equal(alone, in_company)


def test_threads_change_no_bit(ops: KernelOps, set_num_threads: Callable[[int], None]) -> None:
    generator = torch.Generator().manual_seed(0)
    paging = scatter_blocks([90, 33, 1], 16, generator)
    batch = make_batch(paging, [(0, 0, 90), (1, 0, 33), (2, 0, 1)])
    qkv = random_qkv(TWO_HEADS, 124, generator)

    results = []
    for num_threads in (1, 2, 3, 4):
        set_num_threads(num_threads)
        cache = empty_cache(TWO_HEADS, paging, torch.float32)
        results.append(ops.paged_attention(qkv, cache, batch))
    set_num_threads(2)

    assert all(torch.equal(result, results[0]) for result in results)


def test_scores_of_any_size_give_finite_weights(ops: KernelOps) -> None:
    generator = torch.Generator().manual_seed(0)
    paging = scatter_blocks([40], 16, generator)
    queries, keys, values = random_qkv(TWO_HEADS, 40, generator)
    batch = make_batch(paging, [(0, 0, 40)])

    out = ops.paged_attention(
        (queries * 1000, keys * 1000, values), empty_cache(TWO_HEADS, paging, torch.float32), batch
    )

    assert out.isfinite().all()
    assert out.abs().max() <= values.abs().max() * 1.001


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slots", torch.full((5,), 10_000)),
        ("slots", torch.full((5,), -1)),
        ("query_starts", torch.tensor([0, 9], dtype=torch.int32)),
        ("query_starts", torch.tensor([1, 5], dtype=torch.int32)),
        ("context_lengths", torch.tensor([4], dtype=torch.int32)),
        ("context_lengths", torch.tensor([500], dtype=torch.int32)),
        ("block_tables", torch.full((1, 2), 77, dtype=torch.int32)),
    ],
)
def test_a_batch_outside_the_cache_is_refused(
    ops: KernelOps, field: str, value: torch.Tensor
) -> None:
    generator = torch.Generator().manual_seed(0)
    paging = scatter_blocks([5], 4, generator)
    batch = replace(make_batch(paging, [(0, 0, 5)]), **{field: value})
    cache = empty_cache(TWO_HEADS, paging, torch.float32)

    with pytest.raises(EngineFailed, match="outside the cache"):
        ops.paged_attention(random_qkv(TWO_HEADS, 5, generator), cache, batch)


def test_tensors_the_kernels_cannot_read_are_refused(ops: KernelOps) -> None:
    generator = torch.Generator().manual_seed(0)
    paging = scatter_blocks([5], 4, generator)
    batch = make_batch(paging, [(0, 0, 5)])
    keys, values = empty_cache(TWO_HEADS, paging, torch.float32)
    queries, new_keys, new_values = random_qkv(TWO_HEADS, 5, generator)

    with pytest.raises(EngineFailed, match="heads of shape"):
        ops.paged_attention((queries.double(), new_keys, new_values), (keys, values), batch)
    with pytest.raises(EngineFailed, match="heads of shape"):
        ops.paged_attention((queries, new_keys[:4], new_values), (keys, values), batch)
    with pytest.raises(EngineFailed, match="a cache of shape"):
        ops.paged_attention((queries, new_keys, new_values), (keys, values.double()), batch)
    with pytest.raises(EngineFailed, match="batch indices of shape"):
        wrong = replace(batch, slots=batch.slots.int())
        ops.paged_attention((queries, new_keys, new_values), (keys, values), wrong)
