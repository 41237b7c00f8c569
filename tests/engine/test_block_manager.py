"""Blocks are never lost, never written by two sequences, and copied before a shared one is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.block_manager import BlockManager
from penstock.engine.sequence import Sequence

NUM_BLOCKS = 12
BLOCK_SIZE = 4


def _sequence(num_tokens: int) -> Sequence:
    return Sequence(0, list(range(num_tokens)), num_prompt=num_tokens)


@pytest.mark.parametrize(("num_tokens", "num_blocks"), [(0, 0), (1, 1), (4, 1), (5, 2), (8, 2)])
def test_a_started_block_counts_whole(num_tokens: int, num_blocks: int) -> None:
    blocks = BlockManager(num_blocks=NUM_BLOCKS, block_size=BLOCK_SIZE)

    assert blocks.blocks_for(num_tokens) == num_blocks


def test_reserving_too_much_changes_nothing() -> None:
    blocks = BlockManager(num_blocks=2, block_size=BLOCK_SIZE)
    sequence = _sequence(9)

    assert not blocks.reserve(sequence, 9)

    assert (blocks.num_free, sequence.block_table) == (2, [])


def test_a_fork_copies_the_shared_block_before_it_writes() -> None:
    blocks = BlockManager(num_blocks=4, block_size=BLOCK_SIZE)
    parent, child = _sequence(6), _sequence(6)
    blocks.reserve(parent, 6)
    parent.num_computed = 6
    blocks.fork(parent, child)

    blocks.reserve(child, 1)

    assert child.block_table[0] == parent.block_table[0]
    assert blocks.take_copies() == [(parent.block_table[1], child.block_table[1])]
    assert blocks.take_copies() == []


def test_a_fork_at_a_block_boundary_copies_nothing() -> None:
    blocks = BlockManager(num_blocks=4, block_size=BLOCK_SIZE)
    parent, child = _sequence(8), _sequence(8)
    blocks.reserve(parent, 8)
    parent.num_computed = 8
    blocks.fork(parent, child)

    blocks.reserve(child, 1)
    blocks.reserve(parent, 1)

    assert blocks.take_copies() == []
    assert child.block_table[2] != parent.block_table[2]


@given(st.data())
def test_any_use_keeps_every_block_accounted_for(data: st.DataObject) -> None:
    blocks = BlockManager(num_blocks=NUM_BLOCKS, block_size=BLOCK_SIZE)
    alive: list[Sequence] = []
    for _ in range(data.draw(st.integers(1, 40))):
        action = data.draw(st.sampled_from(["new", "grow", "fork", "free"]))
        if action == "new" or not alive:
            alive.append(_sequence(0))
        sequence = data.draw(st.sampled_from(alive))
        if action == "grow":
            _write(blocks, sequence, data.draw(st.integers(1, 7)), alive)
        elif action == "fork":
            child = _sequence(0)
            blocks.fork(sequence, child)
            alive.append(child)
        elif action == "free":
            blocks.free(sequence)
            alive.remove(sequence)
        used = {block for s in alive for block in s.block_table}
        assert blocks.num_free == NUM_BLOCKS - len(used)

    for sequence in alive:
        blocks.free(sequence)
    assert blocks.num_free == NUM_BLOCKS


def _write(
    blocks: BlockManager, sequence: Sequence, num_tokens: int, alive: list[Sequence]
) -> None:
    if not blocks.reserve(sequence, num_tokens):
        return
    positions = range(sequence.num_computed, sequence.num_computed + num_tokens)
    written = {sequence.block_table[position // BLOCK_SIZE] for position in positions}
    others = {block for s in alive if s is not sequence for block in s.block_table}
    assert not written & others, "a block that another sequence reads was written"
    sequence.num_computed += num_tokens


def test_what_is_taken_back_frees_the_blocks_that_hold_nothing_else() -> None:
    blocks = BlockManager(num_blocks=6, block_size=4)
    sequence = Sequence(0, list(range(15)), num_prompt=5)
    assert blocks.reserve(sequence, 15)
    sequence.num_computed = 15

    blocks.truncate(sequence, 5)

    assert (sequence.num_computed, len(sequence.block_table), blocks.num_free) == (5, 2, 4)
    blocks.truncate(sequence, 9)  # nothing is computed there
    assert (sequence.num_computed, len(sequence.block_table)) == (5, 2)
