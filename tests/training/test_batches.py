"""Batches see every token once per pass, mix by weight, and continue where they were."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from penstock.training.batches import MixedBatches, TokenStream, validation_batches
from penstock.training.prepared import TokenizedSource


def source(lengths: list[int], first: int = 0) -> TokenizedSource:
    """Documents of these lengths whose tokens are all different."""
    return TokenizedSource(
        tokens=np.arange(first, first + sum(lengths), dtype=np.uint16),
        ends=np.cumsum(lengths, dtype=np.int64),
        num_words=1,
    )


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    reads=st.lists(st.integers(1, 7), min_size=1, max_size=20),
)
def test_each_pass_gives_every_token_once(lengths: list[int], reads: list[int]) -> None:
    stream = TokenStream(source(lengths), seed=1)
    size = sum(lengths)

    read = np.concatenate([stream.read(count) for count in reads]).tolist()

    assert len(read) == sum(reads)
    for start in range(0, len(read), size):
        whole = read[start : start + size]
        assert len(set(whole)) == len(whole)


def test_rows_come_from_the_sources_in_the_proportion_of_their_weights() -> None:
    batches = MixedBatches([source([500]), source([500], first=1000)], seed=0)

    rows = torch.cat([batches.next(8, 4, [0.25, 0.75]) for _ in range(100)])

    assert 0.70 < float((rows[:, 0] >= 1000).float().mean()) < 0.80


@given(before=st.integers(0, 9))
def test_restored_batches_continue_as_if_never_stopped(before: int) -> None:
    def fresh() -> MixedBatches:
        return MixedBatches([source([30, 20]), source([40], first=100)], seed=3)

    going, restored = fresh(), fresh()
    for _ in range(before):
        going.next(3, 8, [1, 1])

    restored.restore(going.state())

    for _ in range(5):
        assert torch.equal(restored.next(3, 8, [1, 2]), going.next(3, 8, [1, 2]))


def test_validation_batches_are_the_same_every_time_and_within_their_limit() -> None:
    def batches() -> list[torch.Tensor]:
        return list(
            validation_batches(source([90, 110]), block_size=9, batch_size=4, max_batches=3)
        )

    assert [len(b) for b in batches()] == [4, 4, 4]
    assert all(torch.equal(a, b) for a, b in zip(batches(), batches(), strict=True))
